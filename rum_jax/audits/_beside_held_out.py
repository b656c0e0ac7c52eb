"""How the confidences of the forget set lie beside those of new examples.

If a model knows nothing of the forget set, its examples look like held-out
examples of the same classes. The order of two examples by the logit of their
confidence `φ` is the order by their loss, reversed, so the loss is used as it
is: it is exact where confidences round to 1.

References:
  Carlini et al., Membership inference attacks from first principles, 2022: TPR
  at a low FPR.
  DeLong, DeLong and Clarke-Pearson, Comparing the areas under two or more
  correlated receiver operating characteristic curves, 1988.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy import special

from rum_jax.audits import _intervals
from rum_jax.audits._intervals import Measured, Term
from rum_jax.types import AnyArray

RATES = 0.01, 0.001
RESAMPLES = 200
_ROUNDING = 1e-9  # Relative error of sums of weights.
_record = dataclasses.dataclass(frozen=True, kw_only=True)


@_record
class Rate:
  """The true positive rate of the attack at a low false positive rate.

  Attributes:
    wanted: the FPR asked for.
    fpr: the FPR realised: the largest that the held-out examples allow, and at
      most `wanted`; the mean over models.
    resolved: whether some held-out example lies above the threshold of some
      model. Otherwise `fpr` is 0, and `tpr` is the share of the forget set that
      is more confident than every held-out example.
    tpr: the share of the forget set above the threshold. Its standard error has
      three parts: forget examples, held-out examples (by the bootstrap) and
      models.
  """

  wanted: float
  fpr: float
  resolved: bool
  tpr: Measured


@_record
class Shift:
  """The smallest shift that so many examples would show, in 80 % of cases.

  Attributes:
    auc: distance of the AUC from 0.5; 0.5 where not even complete separation
      would be shown.
    sigma: the same as the distance of two normal distributions, in standard
      deviations of φ; NaN where `auc` is 0.5.
    error: standard error of the AUC where there is no shift.
    freedom: its degrees of freedom.
  """

  auc: float
  sigma: float
  error: float
  freedom: float

  def at(self, level: float) -> Shift:
    """That of intervals of another level than 0.95."""
    return _shift(self.error, self.freedom, level)


def _shift(error: float, freedom: float, level: float = 0.95) -> Shift:
  quantile = _intervals.quantile
  auc = error * (quantile(freedom, (1 + level) / 2)
                 + quantile(freedom, _intervals.POWER))
  auc = min(auc, 0.5) if math.isfinite(auc) else 0.5
  return Shift(auc=auc, error=error, freedom=freedom, sigma=(
      math.nan if auc == 0.5 else
      math.sqrt(2) * float(special.ndtri(0.5 + auc))))


@_record
class Attack:
  """Forget examples beside held-out examples, by S models.

  Attributes:
    auc: share of pairs of a forget and a held-out example in which the model is
      more confident in the forget example; 0.5 where it does not tell them
      apart. Its interval is DeLong's, with the variance between models added.
    rates: TPR at an FPR of 1 % and of 0.1 %.
    power: the smallest shift that would be shown.
    forget: number of forget examples.
    held_out: number of held-out examples of positive weight.
  """

  auc: Measured
  rates: tuple[Rate, ...]
  power: Shift
  forget: int
  held_out: int


def beside_held_out(forget_loss: AnyArray, held_out_loss: AnyArray, *,
                    weight: AnyArray | None = None, seed: int = 0) -> Attack:
  """AUC, TPR at low FPR, and the smallest shift that would be shown.

  Args:
    forget_loss: `[S, F]` nats of the forget set in evaluation mode; a row with
      a value that is not finite counts as diverged.
    held_out_loss: `[S, H]` nats of examples that no model trained on.
    weight: `[H]` of the held-out examples, at least 0, such as `class_weights`;
      by default all are equal.
    seed: of the bootstrap.

  Returns:
    The attack.

  Raises:
    ValueError: if there are no forget examples, no held-out examples of
      positive weight, or shapes do not fit.

  >>> far = beside_held_out(np.full((1, 50), .1), np.full((1, 99), 2.))
  >>> far.auc.mean, far.rates[0].fpr, far.rates[0].tpr.mean
  (1.0, 0.0, 1.0)
  >>> near = beside_held_out(np.full((1, 50), 2.), np.full((1, 99), 2.))
  >>> round(near.auc.mean, 6), near.rates[0].tpr.mean
  (0.5, 0.0)
  """
  forget, held_out = (np.atleast_2d(np.asarray(x, np.float32))
                      for x in (forget_loss, held_out_loss))
  share = _shares(held_out, weight)
  if forget.shape[0] != held_out.shape[0]:
    raise ValueError('Expected forget_loss and held_out_loss of equally many '
                     f'models, found {forget.shape[0]} and '
                     f'{held_out.shape[0]}.')
  if not forget.shape[1]:
    raise ValueError('Expected forget_loss to hold examples, found none.')
  held_out, share = held_out[:, share > 0], share[share > 0]
  alive = _intervals.lived(forget, held_out)
  of_forget, of_held_out = placements(forget, held_out, share)
  each = np.where(alive, of_forget.mean(axis=1), np.nan)
  terms = [Term(math.nan, 1.0)]
  if alive.any():
    terms = auc_terms(of_forget[alive], of_held_out[alive], share)
    terms.append(_intervals.over_models(each[alive]))
  return Attack(
      auc=_intervals.measured(each, terms),
      rates=tuple(_rate(forget, held_out, share, alive, wanted, seed)
                  for wanted in RATES),
      power=power(forget.shape[1], share, terms[-1]),
      forget=forget.shape[1], held_out=held_out.shape[1])


def class_weights(forget_label: AnyArray, held_out_label: AnyArray
                  ) -> np.ndarray:
  """Weights that give held-out examples the classes of the forget set.

  Args:
    forget_label: `[F]`; all of its classes must be among the held-out ones for
      the sum of the weights to be 1.
    held_out_label: `[H]`.

  Returns:
    `[H]`: the share of the class in the forget set over its number of held-out
    examples; 0 where the forget set lacks the class.

  >>> class_weights(np.array([0, 0, 0, 1]), np.array([0, 1, 1, 2])).tolist()
  [0.75, 0.125, 0.125, 0.0]
  """
  forget, held_out = np.asarray(forget_label), np.asarray(held_out_label)
  classes, place = np.unique(held_out, return_inverse=True)
  share = (forget[None] == classes[:, None]).sum(axis=1) / max(len(forget), 1)
  return (share / np.bincount(place, minlength=len(classes)))[place]


def placements(forget_loss: np.ndarray, held_out_loss: np.ndarray,
               weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """DeLong's placements under each model; their means are the AUC.

  Args:
    forget_loss: `[S, F]`.
    held_out_loss: `[S, H]`.
    weight: `[H]`, of sum 1.

  Returns:
    `[S, F]`, the share of held-out examples with a larger loss, and `[S, H]`,
    the share of forget examples with a smaller loss; equal losses count as
    half.
  """
  of_forget, of_held_out = [], []
  for mine, theirs in zip(forget_loss, held_out_loss, strict=True):
    order = np.argsort(theirs)
    below = np.concatenate([[0.0], np.cumsum(weight[order])])
    left, right = _ranks(theirs[order], mine)
    of_forget.append(1 - (below[left] + below[right]) / 2)
    less, most = _ranks(np.sort(mine), theirs)
    of_held_out.append((less + most) / 2 / len(mine))
  return np.stack(of_forget), np.stack(of_held_out)


def _ranks(ranked: np.ndarray, values: np.ndarray
           ) -> tuple[np.ndarray, np.ndarray]:
  """How many of `ranked` are less than each value, and at most it."""
  return (np.searchsorted(ranked, values, side='left'),
          np.searchsorted(ranked, values, side='right'))


def flagged(forget_loss: np.ndarray, held_out_loss: np.ndarray,
            weight: np.ndarray, wanted: float
            ) -> tuple[np.ndarray, np.ndarray]:
  """Which forget examples lie above the threshold of an FPR, and the FPR.

  The threshold is the confidence of a held-out example, the lowest that keeps
  the weight of the held-out examples above it at `wanted` or less.

  Args:
    forget_loss: `[S, F]`.
    held_out_loss: `[S, H]`.
    weight: `[H]`, of sum 1.
    wanted: the largest FPR.

  Returns:
    `[S, F]` bool and `[S]`, the FPR realised.
  """
  order = np.argsort(held_out_loss, axis=1)
  ranked, share = np.take_along_axis(held_out_loss, order, 1), weight[order]
  first = (share.cumsum(axis=1) > wanted * (1 + _ROUNDING)).argmax(axis=1)
  threshold = np.take_along_axis(ranked, first[:, None], 1)
  realised = np.where(ranked < threshold, share, 0).sum(axis=1)
  return forget_loss < threshold, realised


def _resampled(forget: np.ndarray, held_out: np.ndarray, weights: np.ndarray,
               wanted: float) -> np.ndarray:
  """`[B]` TPR, the mean of S models, with each of the weights `[B, H]`."""
  limit = wanted * (1 + _ROUNDING) * weights.sum(axis=1, keepdims=True)
  rates = []
  for mine, theirs in zip(forget, held_out, strict=True):
    order = np.argsort(theirs)
    first = (weights[:, order].cumsum(axis=1) > limit).argmax(axis=1)
    below = np.searchsorted(np.sort(mine), theirs[order][first], side='left')
    rates.append(below / len(mine))
  return np.mean(rates, axis=0)


def auc_terms(of_forget: np.ndarray, of_held_out: np.ndarray,
              share: np.ndarray, *, sides: int = 1) -> list[Term]:
  """DeLong's two parts of the variance of the mean AUC of S models.

  Args:
    of_forget: `[S, F]` placements, or `[F]` differences of their means.
    of_held_out: `[S, H]`, or `[H]`.
    share: `[H]` weights.
    sides: 2 where they are differences.
  """
  mine, theirs = (np.atleast_2d(x).mean(axis=0)
                  for x in (of_forget, of_held_out))
  return [_intervals.over_examples(mine, sides=sides),
          _intervals.over_examples(theirs, share, sides=sides)]


def auc_difference(first: tuple[AnyArray, AnyArray],
                   second: tuple[AnyArray, AnyArray], *,
                   weight: AnyArray | None = None) -> Measured:
  """AUC of S models minus that of S' others, on the same examples.

  Args:
    first: losses `[S, F]` of the forget set and `[S, H]` of held-out examples.
    second: the same of the others, `[S', F]` and `[S', H]`.
    weight: `[H]`, as for `beside_held_out`.

  Returns:
    The difference; its interval is DeLong's for correlated curves, with the
    variance between models added.
  """
  pairs = [tuple(np.atleast_2d(np.asarray(x, np.float32)) for x in pair)
           for pair in (first, second)]
  share = _shares(pairs[0][1], weight)
  keep = share > 0
  pairs = [(f, h[:, keep]) for f, h in pairs]
  share = share[keep]
  alive = [_intervals.lived(*pair) for pair in pairs]
  mine, theirs = (placements(f, h, share) for f, h in pairs)
  each = np.where(alive[0], mine[0].mean(axis=1), np.nan)
  if not (alive[0].any() and alive[1].any()):
    return _intervals.measured(each * np.nan, [Term(math.nan, 1.0)])
  gaps = [a[alive[0]].mean(axis=0) - b[alive[1]].mean(axis=0)
          for a, b in zip(mine, theirs, strict=True)]
  others = theirs[0][alive[1]].mean(axis=1)
  return _intervals.measured(each - others.mean(), [
      *auc_terms(gaps[0], gaps[1], share, sides=2),
      _intervals.over_models(each[alive[0]], others)])


def power(num_forget: int, share: np.ndarray, models: Term) -> Shift:
  """The smallest shift of the AUC from 0.5 that would be shown.

  Args:
    num_forget: F.
    share: `[H]` weights of the held-out examples.
    models: the variance of the AUC between models.
  """
  # Where nothing tells them apart, placements are uniform on [0, 1].
  even = lambda n: (np.arange(n) + 0.5) / n
  terms = [_intervals.over_examples(even(num_forget)),
           _intervals.over_examples(even(len(share)), share), models]
  null = _intervals.measured(np.full(1, 0.5), terms)
  return _shift(null.error, null.freedom)


def _shares(held_out: np.ndarray, weight: AnyArray | None) -> np.ndarray:
  """Weights of sum 1, checked."""
  count = held_out.shape[1]
  share = np.ones(count) if weight is None else np.asarray(weight, float)
  if share.shape != (count,):
    raise ValueError(f'Expected a weight for each of {count} held-out '
                     f'examples, found shape {share.shape}.')
  if not (share >= 0).all() or not share.sum() > 0:
    raise ValueError('Expected held_out_loss to hold examples, and their '
                     'weight to be at least 0 and not all 0, found '
                     f'{count} examples with a sum of {share.sum():g}.')
  return share / share.sum()


def _rate(forget: np.ndarray, held_out: np.ndarray, share: np.ndarray,
          alive: np.ndarray, wanted: float, seed: int) -> Rate:
  """TPR at one FPR."""
  if not alive.any():
    nothing = _intervals.mean(np.full((len(alive), 1), np.nan))
    return Rate(wanted=wanted, fpr=math.nan, resolved=False, tpr=nothing)
  above, fpr = flagged(forget, held_out, share, wanted)
  count, kept = len(share), above[alive]
  rng = np.random.default_rng(seed)
  drawn = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES) * share
  resampled = _resampled(forget[alive], held_out[alive],
                         drawn[drawn.sum(axis=1) > 0], wanted)
  terms = [_intervals.over_examples(kept.mean(axis=0)),
           Term(float(np.var(resampled)), 1 / float((share**2).sum())),
           _intervals.over_models(kept.mean(axis=1))]
  return Rate(
      wanted=wanted, fpr=float(fpr[alive].mean()),
      resolved=bool((fpr[alive] > 0).any()),
      tpr=_intervals.measured(
          np.where(alive, above.mean(axis=1), np.nan), terms))
