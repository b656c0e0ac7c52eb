"""Means over seeds with confidence intervals, paired differences, and ranks."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math
from typing import NamedTuple

import numpy as np
import scipy  # Its parts are imported when they are first used.
from scipy import special

MARGIN = 0.02  # Smaller differences count as equivalence.
BETTER, WORSE, EQUAL, UNKNOWN = 'better', 'worse', 'equal', 'cannot tell'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
  """A figure over seeds.

  Attributes:
    mean: over the seeds that have a value; NaN where no seed has one.
    ci95: half of the width of the 95 % confidence interval of the mean; NaN
      where fewer than two seeds have a value.
    values: one for each seed; NaN where it has none.
  """

  mean: float
  ci95: float
  values: tuple[float, ...]

  @property
  def seeds(self) -> int:
    """Number of seeds that have a value."""
    return sum(map(math.isfinite, self.values))


def summary(values: Sequence[float] | np.ndarray) -> Summary:
  """Mean, half-width of the 95 % interval, and the value of every seed."""
  mean, ci95 = confidence_interval(np.asarray(values, float))
  return Summary(mean=mean, ci95=ci95, values=tuple(float(v) for v in values))


class Interval(NamedTuple):
  """A mean over seeds with the half-width of its 95 % confidence interval."""

  mean: float
  ci95: float


def confidence_interval(values: np.ndarray) -> Interval:
  """Student-t interval of the mean over seeds; NaN values are left out.

  Args:
    values: `[S]`.

  Returns:
    `Interval(mean, ci95)`; `ci95` is NaN where fewer than two are finite.
  """
  finite = np.asarray(values, float)
  finite = finite[np.isfinite(finite)]
  n = finite.size
  if n < 2:
    return Interval(float(finite.mean()) if n else float('nan'), float('nan'))
  half = special.stdtrit(n - 1, 0.975) * finite.std(ddof=1) / np.sqrt(n)
  return Interval(float(finite.mean()), float(half))


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
  """Spearman correlation over the examples that have both scores.

  NaN if there are fewer than two of them, or if all scores of `first` or of
  `second` are equal.
  """
  both = np.isfinite(first) & np.isfinite(second)
  if any(len(np.unique(x[both])) < 2 for x in (first, second)):
    return math.nan
  return float(scipy.stats.spearmanr(first[both], second[both]).statistic)


def verdict(difference: Summary, *, lower_is_better: bool = False) -> str:
  """Whether a difference is an improvement, by its 95 % interval.

  Args:
    difference: the difference of two figures, paired by seed.
    lower_is_better: whether a negative difference is an improvement.

  Returns:
    `EQUAL` where the whole interval lies within ± `MARGIN`; else `BETTER` or
    `WORSE` where it excludes 0; else, and where there are fewer than two
    seeds, `UNKNOWN`.
  """
  mean, ci95 = difference.mean, difference.ci95
  if not (math.isfinite(mean) and math.isfinite(ci95)):
    return UNKNOWN
  if abs(mean) + ci95 <= MARGIN:
    return EQUAL
  if abs(mean) <= ci95:
    return UNKNOWN
  return BETTER if (mean > 0) != lower_is_better else WORSE


def smallest(difference: Summary, power: float = 0.8) -> float:
  """The smallest difference that so many seeds show in `power` of all cases.

  Args:
    difference: the difference of two figures, paired by seed.
    power: share of cases in which the 95 % interval is to exclude 0.

  Returns:
    NaN where fewer than two seeds have a value.

  >>> round(smallest(summary([-1.0, 0.0, 1.0])), 2)  # Standard error 0.577.
  3.1
  """
  free = difference.seeds - 1
  if free < 1:
    return math.nan
  half, more = special.stdtrit(free, [0.975, power])
  return float(difference.ci95 / half * (half + more))


def difference(figure: Summary, other: Summary) -> Summary:
  """`figure − other`, paired by seed."""
  return summary(np.subtract(figure.values, other.values))
