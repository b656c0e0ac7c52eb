"""Judges unlearned models against retrained ones, seed by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from rum_jax import attacks, metrics
from rum_jax.rows import CONTROLS, FIGURES as COMPARED
from rum_jax.types import Array


FIGURES = (*COMPARED, 'forget_accuracy', 'retain_accuracy', 'test_accuracy')


class Subsets(NamedTuple):
  """Whom the figures are about, as rows of all examples.

  Attributes:
    groups: G arrays of rows, together the forget set.
    retain: `[R]` rows.
    test: `[n]` rows that no model trained on.
  """

  groups: tuple[np.ndarray, ...]
  retain: np.ndarray
  test: np.ndarray

  @property
  def forget(self) -> np.ndarray:
    return np.concatenate(self.groups)


class Behaviour(NamedTuple):
  """What S models do; every figure in `[0, 1]`, NaN where a run diverged.

  Attributes:
    forget: `[S]` accuracy on the forget set.
    groups: `[S, G]` accuracy on each of its groups.
    retain: `[S]` accuracy on the retain set.
    test: `[S]` accuracy on the test set.
    mia: `[S]` share of the forget set that the attack takes for non-members.
  """

  forget: np.ndarray
  groups: np.ndarray
  retain: np.ndarray
  test: np.ndarray
  mia: np.ndarray


def behaviour(logits: Array, labels: Array, subsets: Subsets,
              seed: int = 0) -> Behaviour:
  """Accuracies and the SVC attack of S models.

  Args:
    logits: `[S, N, K]` in evaluation mode.
    labels: `[N]` that the models were trained on.
    subsets: whom to look at.
    seed: of the attack's draw of members.

  Returns:
    The figures of each model.
  """
  confidence = np.asarray(attacks.true_confidence(logits, labels))

  def accuracy(rows: np.ndarray) -> np.ndarray:
    return np.asarray(metrics.accuracy(logits, labels, rows), np.float64)

  mia = [attacks.svc_attack(c[subsets.retain], c[subsets.test],
                            c[subsets.forget], seed=seed) for c in confidence]
  return Behaviour(
      forget=accuracy(subsets.forget),
      groups=np.stack([accuracy(g) for g in subsets.groups], axis=-1),
      retain=accuracy(subsets.retain), test=accuracy(subsets.test),
      mia=np.asarray(mia))


def compare(unlearned: Behaviour, oracle: Behaviour) -> dict[str, np.ndarray]:
  """The paper's figures, one a seed.

  Args:
    unlearned: S models.
    oracle: S retrained models, paired with them.

  Returns:
    `tow`, `tow_by_group`, `tow_mia`, `mia_gap`, `forget_accuracy`,
    `retain_accuracy`, `test_accuracy`, each `[S]`, and `group_accuracy`
    `[S, G]`.
  """
  gaps = Behaviour(*(u - o for u, o in zip(unlearned, oracle)))
  war = lambda forget: metrics.tug_of_war(forget, gaps.retain, gaps.test)
  by_group = metrics.grouped_tug_of_war(
      jnp.asarray(gaps.groups), gaps.retain, gaps.test)
  return {
      'tow': np.asarray(war(gaps.forget)),
      'tow_by_group': np.asarray(by_group),
      'tow_mia': np.asarray(war(gaps.mia)),
      'mia_gap': np.abs(gaps.mia),
      'forget_accuracy': unlearned.forget,
      'retain_accuracy': unlearned.retain,
      'test_accuracy': unlearned.test,
      'group_accuracy': unlearned.groups,
  }


def summary(values: Sequence[float]) -> dict[str, Any]:
  """Mean, half-width of the 95 % interval, and every seed, for JSON."""
  mean, ci95 = metrics.confidence_interval(np.asarray(values, float))
  return {'mean': mean, 'ci95': ci95, 'values': [float(v) for v in values]}


def row(method: str, variant: str, groups: Iterable[str],
        unlearned: Behaviour, oracle: Behaviour, notes: Mapping[str, Any],
        setting: Any = None) -> dict[str, Any]:
  """One row of the table, as JSON values.

  Args:
    method: name of the algorithm.
    variant: vanilla, matched, shuffle, rum_f, rum or reference.
    groups: names of the G groups.
    unlearned: what the S models do.
    oracle: what the S retrained models do.
    notes: of the stage: seconds, steps, diverged runs.
    setting: the hyper-parameters.

  Returns:
    Summaries over seeds of all `FIGURES`, of `seconds` of one model, and for
    each of the `groups` of `tow` and `forget_accuracy`; and what was given.
  """
  compared = compare(unlearned, oracle)
  count = len(unlearned.forget)
  parts = {}
  for g, name in enumerate(groups):
    tow = metrics.tug_of_war(
        unlearned.groups[:, g] - oracle.groups[:, g],
        unlearned.retain - oracle.retain, unlearned.test - oracle.test)
    parts[name] = {'tow': summary(np.asarray(tow)), 'forget_accuracy': summary(
        compared['group_accuracy'][:, g])}
  return {
      'method': method, 'variant': variant,
      **{name: summary(compared[name]) for name in FIGURES},
      'seconds': summary([notes.get('seconds', 0.0) / count] * count),
      'compile_seconds': notes.get('compile_seconds', 0.0),
      'steps': notes.get('steps', []), 'diverged': notes.get('diverged', []),
      'probes': notes.get('probes', []),
      'groups': parts, 'setting': setting}


def of_oracle(groups: Iterable[str], truth: Behaviour, seconds: float
              ) -> dict[str, Any]:
  """What retraining gives, and what it costs, as JSON values.

  Args:
    groups: names of the G groups.
    truth: what the S retrained models do.
    seconds: that all of them took together.

  Returns:
    `seconds` of one model, summaries over seeds of `mia` and of the accuracies,
    and for each of the `groups` of the accuracy on it.
  """
  figures = {'mia': truth.mia, 'forget_accuracy': truth.forget,
             'retain_accuracy': truth.retain, 'test_accuracy': truth.test}
  return {
      'seconds': seconds / len(truth.forget),
      **{name: summary(x) for name, x in figures.items()},
      'groups': {name: summary(truth.groups[:, g])
                 for g, name in enumerate(groups)}}


def differences(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
  """RUM^F minus each of its controls, paired by seed.

  Args:
    rows: with `method`, `variant` and the figures of `summary`.

  Returns:
    For each method and control: `method`, `minus`, and the summaries of the
    differences in `tow`, `tow_by_group`, `tow_mia` and `mia_gap`.
  """
  by_name = {(r['method'], r['variant']): r for r in rows}
  out = []
  for method in dict.fromkeys(r['method'] for r in rows):
    for control in CONTROLS:
      pair = [by_name.get((method, v)) for v in ('rum_f', control)]
      if all(pair):
        out.append({'method': method, 'minus': control, **{
            name: summary(np.subtract(*(r[name]['values'] for r in pair)))
            for name in COMPARED}})
  return out


def finite(logits: np.ndarray) -> np.ndarray:
  """`[S, N, K]` to `[S]`: whether a model says anything at all."""
  return np.isfinite(logits).all(axis=(1, 2))


def diverged(losses: Sequence[np.ndarray], sound: np.ndarray
             ) -> list[tuple[int, int]]:
  """Run and first stage of every run that is not finite.

  A loss is taken before its step, and some methods have none: what the models
  say in the end tells of the last stage.

  Args:
    losses: of each stage, `[S, T]`.
    sound: `[S]`, whether the outputs of the last stage's models are.

  Returns:
    `(run, stage)`, both from 0.
  """
  broken = np.stack([~np.isfinite(x).all(axis=1) for x in losses], axis=1)
  broken[:, -1] |= ~sound
  return [(int(s), int(broken[s].argmax()))
          for s in np.flatnonzero(broken.any(axis=1))]
