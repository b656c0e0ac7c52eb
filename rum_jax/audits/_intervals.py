"""Means over examples and models, with intervals that count both.

A figure of S models on n examples varies for two reasons: other examples would
have been drawn, and other models would have been trained. Its variance is the
sum of the two. This is a little too much and never too little, because the
variance between models holds some of the variance between examples.

Each side of a figure gets two added examples, half a unit above and below its
mean. The interval of 3 examples on which all models agree is then wide, as it
should be, and that of 1,000 examples is not changed.

References:
  Agresti and Coull, Approximate is better than "exact" for interval estimation
  of binomial proportions, 1998: added examples.
  Agresti and Min, Effects and non-effects of paired identical observations in
  comparing proportions with binary matched-pairs data, 2004: of differences.
  Satterthwaite, An approximate distribution of estimates of variance
  components, 1946: the degrees of freedom of a sum.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math
from typing import NamedTuple

import numpy as np
from scipy import special

from rum_jax.evaluation import statistics
from rum_jax.evaluation.statistics import Summary

POWER = 0.8  # The share of cases in which a difference is to be shown.
_ADDED = 2  # Examples added to each side,
_HALF = 0.5  # at this distance from its mean.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured(Summary):
  """A figure with an interval that counts examples and models.

  The mean, `ci95` and `values` are those of a `Summary`, over the S models
  alone. The interval is not clipped to the range of the figure.

  Attributes:
    low: lower end of the 95 % interval over examples and models; over examples
      alone where there is one model. NaN where no model has a value.
    high: upper end.
    error: the standard error that the interval is made of.
    freedom: its degrees of freedom.
  """

  low: float
  high: float
  error: float
  freedom: float

  def interval(self, level: float = 0.95) -> tuple[float, float]:
    """The interval of another level, such as 0.99."""
    if not self.seeds:
      return math.nan, math.nan
    half = quantile(self.freedom, (1 + level) / 2) * self.error
    return self.mean - half, self.mean + half

  def smallest(self, level: float = 0.95) -> float:
    """The smallest change that would be shown.

    A change of this size leads to an interval without the old value in `POWER`
    of all cases.
    """
    return (quantile(self.freedom, (1 + level) / 2)
            + quantile(self.freedom, POWER)) * self.error


class Term(NamedTuple):
  """A part of a variance, and its degrees of freedom."""

  variance: float
  freedom: float


def measured(values: np.ndarray, terms: Sequence[Term]) -> Measured:
  """A figure whose variance is the sum of `terms`.

  Args:
    values: `[S]` of each model; NaN where it diverged.
    terms: of the mean.
  """
  whole = statistics.summary(values)
  variance = sum(term.variance for term in terms)
  below = sum(x.variance**2 / x.freedom for x in terms if x.variance)
  freedom = variance**2 / below if below else max(x.freedom for x in terms)
  error = math.sqrt(variance) if whole.seeds else math.nan
  half = quantile(freedom, 0.975) * error
  return Measured(**vars(whole), low=whole.mean - half, high=whole.mean + half,
                  error=error, freedom=freedom)


def quantile(freedom: float, share: float) -> float:
  """Quantile of Student's t; of a normal where `freedom` is very large."""
  return float(special.stdtrit(min(freedom, 1e9), share))


def over_examples(values: np.ndarray, weight: np.ndarray | None = None, *,
                  sides: int = 1) -> Term:
  """Variance of the weighted mean of values, as examples vary.

  Args:
    values: `[n]`, each the mean over models.
    weight: `[n]` at least 0; by default all are equal.
    sides: 1, or 2 for a difference of two figures.
  """
  weight = np.ones(len(values)) if weight is None else np.asarray(weight)
  weight = weight / weight.sum()
  count = 1 / float((weight**2).sum())  # The effective number of examples.
  squares = count * float((weight * (values - weight @ values)**2).sum())
  whole = squares + sides * _ADDED * _HALF**2
  free = count + _ADDED - 1
  return Term(whole / free / (count + _ADDED), free)


def over_models(values: np.ndarray, other: np.ndarray | None = None) -> Term:
  """Variance of the mean over models, or of a difference of two such means.

  Where one of two sides has one model, its variance is taken to be that of the
  other side. Where every side has one model, the variance is not known, and the
  term is 0.

  Args:
    values: `[S]` finite values.
    other: `[S']` finite values of other models, not paired with the first.
  """
  sides = [np.asarray(x, float) for x in (values, other) if x is not None]
  known = [x for x in sides if len(x) > 1]
  if not known:
    return Term(0.0, 1.0)
  terms = [Term(
      float((x if len(x) > 1 else known[0]).var(ddof=1)) / len(x),
      max(len(x) - 1, 1)) for x in sides]
  if len(known) < len(sides):
    terms = [Term(x.variance, len(known[0]) - 1) for x in terms]
  whole = sum(x.variance for x in terms)
  below = sum(x.variance**2 / x.freedom for x in terms)
  return Term(whole, whole**2 / below if below else terms[0].freedom)


def lived(*arrays: np.ndarray) -> np.ndarray:
  """Which of S models have finite values `[S, n]` in all arrays: `[S]` bool."""
  return np.all([np.isfinite(x).all(axis=1) for x in arrays], axis=0)


def mean(values: np.ndarray, *, sides: int = 1) -> Measured:
  """The mean over examples, in S models.

  Args:
    values: `[S, n]`; a model with a NaN counts as diverged.
    sides: 2 where values are differences of paired models.
  """
  values = np.atleast_2d(np.asarray(values, float))
  alive = lived(values)
  each = np.where(alive, values.mean(axis=1), np.nan)
  if not alive.any():
    return measured(each, [Term(math.nan, 1.0)])
  kept = values[alive]
  return measured(each, [over_examples(kept.mean(axis=0), sides=sides),
                         over_models(kept.mean(axis=1))])


def difference(values: np.ndarray, other: np.ndarray) -> Measured:
  """Mean of S models minus that of S' others, on the same examples.

  Args:
    values: `[S, n]`.
    other: `[S', n]`.

  Returns:
    The `values` of each of the S models are relative to the mean of the others.
  """
  values, other = (np.atleast_2d(np.asarray(x, float)) for x in (values, other))
  mine, theirs = lived(values), lived(other)
  each = np.where(mine, values.mean(axis=1), np.nan)
  if not (mine.any() and theirs.any()):
    return measured(each * np.nan, [Term(math.nan, 1.0)])
  values, other = values[mine], other[theirs]
  gaps = values.mean(axis=0) - other.mean(axis=0)
  return measured(each - other.mean(), [
      over_examples(gaps, sides=2),
      over_models(values.mean(axis=1), other.mean(axis=1))])
