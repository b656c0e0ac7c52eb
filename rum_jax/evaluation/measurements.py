"""Accuracies and attacks of models, and their gaps to retrained models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from rum_jax.evaluation import membership, metrics
from rum_jax.types import AnyArray, Signals


class Subsets(NamedTuple):
  """The sets of examples to evaluate on, as rows of all examples.

  Attributes:
    groups: G arrays of rows, whose union is the forget set.
    retain: `[R]` rows.
    test: `[n]` rows that no model trained on.
    kept_test: the test rows without the classes that the forget set contains
      completely; `None` where there is no such class.
  """

  groups: tuple[np.ndarray, ...]
  retain: AnyArray
  test: AnyArray
  kept_test: np.ndarray | None = None

  @property
  def forget(self) -> np.ndarray:
    return np.concatenate(self.groups)


class Behaviour(NamedTuple):
  """Accuracies (mean scores) and attack of S models, in `[0, 1]`.

  All values of a run that diverged are NaN.

  Attributes:
    forget: `[S]` accuracy on the forget set.
    groups: `[S, G]` accuracy on each of its groups.
    retain: `[S]` accuracy on the retain set.
    test: `[S]` accuracy on the test set.
    mia: `[S]` share of the forget set that the attack classifies as
      non-members.
    kept_test: `[S]` accuracy on the rows `Subsets.kept_test`; `None` where
      there are none.
  """

  forget: np.ndarray
  groups: np.ndarray
  retain: np.ndarray
  test: np.ndarray
  mia: np.ndarray
  kept_test: np.ndarray | None = None


def behaviour(signals: Signals, subsets: Subsets, seed: int = 0) -> Behaviour:
  """Accuracies and the SVC attack of S models.

  Args:
    signals: loss and score `[S, N]`; `[N]` of one model is taken as S = 1.
    subsets: the sets of examples to evaluate on.
    seed: the seed of the attack's draw of members.

  Returns:
    The values of each model.
  """
  if jnp.ndim(signals.loss) == 1:
    signals = Signals(jnp.asarray(signals.loss)[None],
                      jnp.asarray(signals.score)[None])
  confidence = np.asarray(jnp.exp(-jnp.asarray(signals.loss)))

  def accuracy(rows: AnyArray) -> np.ndarray:
    return np.asarray(metrics.accuracy(signals, rows), np.float64)

  mia = [membership.svc_attack(
      c[subsets.retain], c[subsets.test], c[subsets.forget], seed=seed)
         for c in confidence]
  return Behaviour(
      forget=accuracy(subsets.forget),
      groups=np.stack([accuracy(g) for g in subsets.groups], axis=-1),
      retain=accuracy(subsets.retain), test=accuracy(subsets.test),
      mia=np.asarray(mia), kept_test=(
          None if subsets.kept_test is None else accuracy(subsets.kept_test)))


def forgotten_classes(labels: AnyArray, forget: AnyArray, retain: AnyArray
                      ) -> np.ndarray:
  """The classes that the forget set contains completely, in order.

  Args:
    labels: `[N]` that the models trained on.
    forget: `[F]` rows.
    retain: `[R]` rows.
  """
  return np.setdiff1d(labels[forget], labels[retain])


class Comparison(NamedTuple):
  """The metrics of the paper, for S unlearned and S retrained models.

  Attributes:
    tow: `[S]` Tug-of-War.
    tow_by_group: `[S]` Tug-of-War whose forget term is a mean over groups.
    tow_mia: `[S]` Tug-of-War with the attack in place of forget accuracy.
    mia_gap: `[S]` distance between the values of the attack.
    forget_accuracy: `[S]` of the unlearned models on the forget set.
    retain_accuracy: `[S]` of the unlearned models on the retain set.
    test_accuracy: `[S]` of the unlearned models on the test set.
    group_accuracy: `[S, G]` of the unlearned models on each group.
  """

  tow: np.ndarray
  tow_by_group: np.ndarray
  tow_mia: np.ndarray
  mia_gap: np.ndarray
  forget_accuracy: np.ndarray
  retain_accuracy: np.ndarray
  test_accuracy: np.ndarray
  group_accuracy: np.ndarray


def compare(unlearned: Behaviour, oracle: Behaviour) -> Comparison:
  """The metrics of the paper for each seed.

  Args:
    unlearned: S models.
    oracle: S retrained models, paired with the unlearned ones.
  """
  retain, test = (unlearned.retain - oracle.retain,
                  unlearned.test - oracle.test)
  mia = unlearned.mia - oracle.mia
  tow = lambda forget: metrics.tug_of_war(forget, retain, test)
  by_group = metrics.grouped_tug_of_war(
      unlearned.groups - oracle.groups, retain, test)
  return Comparison(
      tow=np.asarray(tow(unlearned.forget - oracle.forget)),
      tow_by_group=np.asarray(by_group), tow_mia=np.asarray(tow(mia)),
      mia_gap=np.abs(mia), forget_accuracy=unlearned.forget,
      retain_accuracy=unlearned.retain, test_accuracy=unlearned.test,
      group_accuracy=unlearned.groups)


def finite(loss: np.ndarray) -> np.ndarray:
  """`[S, N]` to `[S]`: whether all losses of a model are finite."""
  return np.all(np.isfinite(loss), axis=1)


def diverged(losses: Sequence[np.ndarray], sound: np.ndarray
             ) -> list[tuple[int, int]]:
  """The runs that diverged, and the first stage in which each did.

  A loss is computed before its step, and some methods report no losses. So the
  last stage also counts as diverged where the final model is not finite.

  Args:
    losses: `[S, T]` for each stage.
    sound: `[S]`, whether the losses of the final models are finite.

  Returns:
    `(run, stage)`, both from 0.
  """
  broken = np.stack([~np.isfinite(x).all(axis=1) for x in losses], axis=1)
  broken[:, -1] |= ~sound
  return [(int(s), int(broken[s].argmax()))
          for s in np.flatnonzero(broken.any(axis=1))]
