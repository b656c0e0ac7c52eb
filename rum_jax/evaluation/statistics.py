"""Means over seeds with their intervals, differences of pairs, and ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from typing import Any, NamedTuple

import numpy as np
import scipy  # Its parts are imported when they are first used.
from scipy import special

Row = Mapping[str, Any]


def summary(values: Sequence[float]) -> dict[str, Any]:
  """Mean, half-width of the 95 % interval, and every seed, for JSON."""
  mean, ci95 = confidence_interval(np.asarray(values, float))
  return {'mean': mean, 'ci95': ci95, 'values': [float(v) for v in values]}


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


def values(figure: Mapping[str, Any]) -> np.ndarray:
  """`[S]` figures of all seeds, NaN where there is none."""
  return np.array(figure['values'], float)


def interval(figure: Mapping[str, Any]) -> Interval:
  """Mean and half-width of a figure, NaN where there is none."""
  return Interval(*(
      float('nan') if figure[x] is None else float(figure[x])
      for x in ('mean', 'ci95')))


def direction(difference: Interval) -> int | None:
  """1, -1, or 0 where the interval holds 0; `None` where it is unknown."""
  if not all(map(math.isfinite, difference)):
    return None
  return (difference.mean > difference.ci95) - (
      difference.mean < -difference.ci95)


def paired(row: Row, other: Row, figure: str = 'tow') -> Interval:
  """The difference of a figure between two rows, paired by seed."""
  return confidence_interval(
      values(row[figure]) - values(other[figure]))
