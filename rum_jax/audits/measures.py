"""Figures of original, unlearned and retrained models, and differences."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import math

import numpy as np

from rum_jax import losses
from rum_jax.audits import _beside_held_out as beside
from rum_jax.audits import _intervals
from rum_jax.audits._beside_held_out import Attack
from rum_jax.audits._intervals import Measured
from rum_jax.audits.observations import Known, Observed
from rum_jax.types import Signals

BINS = 40
_LIMIT = 12.0  # Logits of confidences beyond this are drawn at the edge.
_record = dataclasses.dataclass(frozen=True, kw_only=True)


@_record
class Comparison:
  """The difference of two kinds of models, on the same examples.

  Attributes:
    forget_accuracy: on the forget set.
    retain_accuracy: on the retain set.
    held_out_accuracy: on held-out examples; `None` without them.
    auc: of forget beside held-out examples; `None` without them.
  """

  forget_accuracy: Measured
  retain_accuracy: Measured
  held_out_accuracy: Measured | None
  auc: Measured | None


@_record
class After:
  """What a check brings back.

  Attributes:
    forget_accuracy: on the forget set after the check.
    attack: beside held-out examples after the check; `None` without them.
    rise: accuracy on the forget set after minus before, paired by model.
    excess: `rise` minus the same of held-out examples; `None` without them.
  """

  forget_accuracy: Measured
  attack: Attack | None
  rise: Measured
  excess: Measured | None


@_record
class Measures:
  """The figures of S models of one kind.

  Attributes:
    models: S.
    forget_accuracy: mean score on the forget set.
    retain_accuracy: on the retain set.
    held_out_accuracy: on held-out examples; `None` without them.
    attack: forget beside held-out examples; `None` without them.
    relearned: after fine-tuning on the retain set; `None` where not done.
    recalibrated: after the batch-norm check; `None` where not applicable.
  """

  models: int
  forget_accuracy: Measured
  retain_accuracy: Measured
  held_out_accuracy: Measured | None
  attack: Attack | None
  relearned: After | None
  recalibrated: After | None


@_record
class Histogram:
  """Shares of examples by the logit of their confidence, means over models.

  Attributes:
    edges: of the bins; values beyond the first or last count there.
    forget: kind of models (`original`, `unlearned`, `retrained`) to the share
      of the forget set in each bin.
    held_out: likewise of held-out examples, weighted to the same classes; empty
      without them.
  """

  edges: tuple[float, ...]
  forget: Mapping[str, tuple[float, ...]]
  held_out: Mapping[str, tuple[float, ...]]


@dataclasses.dataclass(frozen=True)
class Look:
  """Which examples are looked at, and how held-out ones are weighted."""

  rows: np.ndarray
  beside: np.ndarray  # Positions in `rows` that have held-out examples.
  weight: np.ndarray | None

  def has_attack(self, seen: Known) -> bool:
    return seen.held_out is not None and len(self.beside) > 0

  def pair(self, seen: Known) -> tuple[np.ndarray, np.ndarray]:
    """Losses of forget examples and of those to lay them beside."""
    assert seen.held_out is not None
    return (np.asarray(seen.forget.loss)[:, self.rows[self.beside]],
            np.asarray(seen.held_out.loss))

  def attack(self, seen: Known) -> Attack | None:
    if not self.has_attack(seen):
      return None
    return beside.beside_held_out(*self.pair(seen), weight=self.weight)

  def forget(self, seen: Known) -> np.ndarray:
    return _scores(seen.forget)[:, self.rows]

  def measures(self, seen: Observed) -> Measures:
    models = seen.models
    return Measures(
        models=len(models.forget.loss),
        forget_accuracy=_intervals.mean(self.forget(models)),
        retain_accuracy=_intervals.mean(_scores(models.retain)),
        held_out_accuracy=(None if models.held_out is None else
                           _intervals.mean(_scores(models.held_out))),
        attack=self.attack(models),
        relearned=self.after(models, seen.relearned),
        recalibrated=self.after(models, seen.recalibrated))

  def after(self, before: Known, later: Known | None) -> After | None:
    if later is None:
      return None
    gained = self.forget(later) - self.forget(before)
    excess = None
    if before.held_out is not None and later.held_out is not None:
      others = _scores(later.held_out) - _scores(before.held_out)
      excess = _excess(gained, others, self.weight)
    return After(
        forget_accuracy=_intervals.mean(self.forget(later)),
        attack=self.attack(later), rise=_intervals.mean(gained, sides=2),
        excess=excess)

  def compared(self, mine: Known, theirs: Known) -> Comparison:
    both = (mine, theirs)
    rest = all(x.held_out is not None for x in both)
    return Comparison(
        forget_accuracy=_intervals.difference(*map(self.forget, both)),
        retain_accuracy=_intervals.difference(
            *(_scores(x.retain) for x in both)),
        held_out_accuracy=_intervals.difference(
            *(_scores(x.held_out) for x in both)) if rest else None,
        auc=beside.auc_difference(
            self.pair(mine), self.pair(theirs), weight=self.weight)
        if all(map(self.has_attack, both)) else None)


def _excess(gained: np.ndarray, others: np.ndarray, weight: np.ndarray | None
            ) -> Measured:
  """Mean gain of forget examples minus that of held-out ones, by model."""
  count = others.shape[1]
  share = np.ones(count) if weight is None or not weight.sum() else weight
  share = share / share.sum()
  alive = _intervals.lived(gained, others)
  each = np.where(alive, gained.mean(axis=1) - others @ share, np.nan)
  if not alive.any():
    return _intervals.measured(each, [_intervals.Term(math.nan, 1.0)])
  return _intervals.measured(each, [
      _intervals.over_examples(gained[alive].mean(axis=0), sides=2),
      _intervals.over_examples(others[alive].mean(axis=0), share, sides=2),
      _intervals.over_models(each[alive])])


def _scores(signals: Signals | None) -> np.ndarray:
  """`[S, n]` float64; NaN where the loss is not finite: the model diverged."""
  assert signals is not None
  return np.where(np.isfinite(signals.loss), signals.score, np.nan).astype(
      np.float64)


def same(first: Known, second: Known) -> bool:
  """Whether both give the same losses, so that they are the same models."""
  one, other = (np.asarray(x.forget.loss) for x in (first, second))
  return one.shape == other.shape and bool((one == other).all()) and bool(
      (np.asarray(first.retain.loss) == np.asarray(second.retain.loss)).all())


def histogram(kinds: Mapping[str, Observed], look: Look) -> Histogram:
  """Shares by the logit of the confidence, for each kind of models.

  Args:
    kinds: name to what the models say.
    look: the examples to look at.
  """
  edges = np.linspace(-_LIMIT, _LIMIT, BINS + 1)

  def shares(loss: np.ndarray, weight: np.ndarray | None = None
             ) -> tuple[float, ...]:
    phi = np.asarray(losses.logit_confidence(loss), np.float64)
    weight = np.broadcast_to(
        np.ones(phi.shape[1]) if weight is None else weight, phi.shape)
    fine = np.isfinite(loss)
    counts, _ = np.histogram(np.clip(phi[fine], -_LIMIT, _LIMIT), edges,
                             weights=weight[fine])
    return tuple((counts / max(counts.sum(), 1e-12)).tolist())

  return Histogram(
      edges=tuple(edges.tolist()),
      forget={kind: shares(np.asarray(seen.models.forget.loss)[:, look.rows])
              for kind, seen in kinds.items()},
      held_out={kind: shares(np.asarray(seen.models.held_out.loss), look.weight)
                for kind, seen in kinds.items()
                if seen.models.held_out is not None and len(look.beside)})
