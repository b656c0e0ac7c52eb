"""Means over seeds with their intervals, differences of pairs, and ranks."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math
from typing import NamedTuple

import numpy as np
import scipy  # Its parts are imported when they are first used.
from scipy import special


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
  """A figure over seeds.

  Attributes:
    mean: over the seeds that have a value; NaN where none has.
    ci95: half of the width of the 95 % confidence interval of the mean; NaN
      where fewer than two seeds have a value.
    values: one a seed, NaN where it has none.
  """

  mean: float
  ci95: float
  values: tuple[float, ...]


def summary(values: Sequence[float] | np.ndarray) -> Summary:
  """Mean, half-width of the 95 % interval, and every seed."""
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
  """Spearman correlation over the examples that both have a score for.

  NaN where these are fewer than two, or all the same in `first` or `second`.
  """
  both = np.isfinite(first) & np.isfinite(second)
  if any(len(np.unique(x[both])) < 2 for x in (first, second)):
    return math.nan
  return float(scipy.stats.spearmanr(first[both], second[both]).statistic)


def direction(difference: Summary) -> int | None:
  """1, -1, or 0 where the interval holds 0; `None` where it is unknown."""
  mean, ci95 = difference.mean, difference.ci95
  if not (math.isfinite(mean) and math.isfinite(ci95)):
    return None
  return (mean > ci95) - (mean < -ci95)


def difference(figure: Summary, other: Summary) -> Summary:
  """What a figure is above another one, paired by seed."""
  return summary(np.subtract(figure.values, other.values))
