"""Signals of models whose truth is known, by a normal law of φ."""

from __future__ import annotations

import numpy as np

from rum_jax import audits
from rum_jax.audits import Known, Observed
from rum_jax.evaluation.results import Environment, Versions
from rum_jax.types import Signals

REQUEST = audits.Request(
    rows=(3, 5, 8), described='rows.txt', rows_hash='ab', data='digits',
    data_hash='cd', network='mlp', method='finetune',
    setting={'epochs': 2}, seeds=(0, 1), command='rum-jax unlearn',
    date='2026-11-28T19:00:00Z', seconds={'unlearning': 2.0},
    environment=Environment(
        versions=Versions(jax='0.7'), device='a processor', platform='cpu',
        devices=1, cores=2),
    weights_in=audits.File(name='model.safetensors', sha256='ef'))


class World:
  """Examples of fixed difficulty, and models that know some of them."""

  def __init__(self, forget=150, held_out=1500, retain=400, seed=0):
    self.rng = np.random.default_rng(seed)
    self.hard = {name: self.rng.normal(size=n) for name, n in (
        ('forget', forget), ('retain', retain), ('held_out', held_out))}

  def _signals(self, part: str, models: int, shift: float) -> Signals:
    hard = self.hard[part]
    phi = 1 + shift + hard + 0.3 * self.rng.normal(size=(models, len(hard)))
    return Signals(np.logaddexp(0, -phi).astype(np.float32),
                   (phi > 0).astype(np.float32))

  def known(self, models=4, shift=0.0, held_out=True) -> Known:
    """Models whose φ of forget examples is `shift` above that of new ones."""
    return Known(
        self._signals('forget', models, shift),
        self._signals('retain', models, 4.0),
        self._signals('held_out', models, 0.0) if held_out else None)

  def observed(self, models=4, shift=0.0, held_out=True, **after) -> Observed:
    """With the shift after each check, such as `relearned=2.0`."""
    return Observed(self.known(models, shift, held_out), **{
        name: self.known(models, x, held_out) for name, x in after.items()})
