"""Reliability: how far the scores and groups of one estimate are those of all.

Two estimates that share no model are compared. Ranks agree long before groups
do: the medium group, a narrow band around 0.5, is what takes many models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
from typing import NamedTuple

import numpy as np
from scipy import stats

Choose = Callable[[np.ndarray, int], Sequence[np.ndarray]]
GROUPS = ('low', 'medium', 'high')


class Reliability(NamedTuple):
  """How well the two halves of M models agree.

  Attributes:
    models: M, both halves together.
    spearman: rank correlation of the halves.
    corrected: that of two estimates with M models each, by Spearman-Brown.
    low: share of the low group that both halves choose, with M/2 models each.
    medium: likewise of the medium group.
    high: likewise of the high group.
  """

  models: int
  spearman: float
  corrected: float
  low: float
  medium: float
  high: float


class Recommendation(NamedTuple):
  """How many models two runs need for their groups to overlap by a target.

  Attributes:
    models: in each run; NaN where the curve does not say.
    lowest: end of the range that the true number may lie in.
    highest: the other end.
    measured: whether the target was reached, not extrapolated to.
    slope: of the log odds of the overlap against the log of the models.
  """

  models: float
  lowest: float
  highest: float
  measured: bool
  slope: float


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
  """Spearman correlation over the examples that both have a score for.

  NaN where these are fewer than two, or all the same in `first` or `second`.
  """
  both = np.isfinite(first) & np.isfinite(second)
  if any(len(np.unique(x[both])) < 2 for x in (first, second)):
    return math.nan
  return float(stats.spearmanr(first[both], second[both]).statistic)


def spearman_brown(correlation: float) -> float:
  """Reliability of all models from the correlation of their two halves.

  References:
    Spearman, Correlation calculated from faulty data, 1910; Brown, Some
    experimental results in the correlation of mental abilities, 1910.
  """
  if correlation == -1:
    return -math.inf
  return 2 * correlation / (1 + correlation)


def overlaps(first: np.ndarray, second: np.ndarray, size: int, choose: Choose
             ) -> tuple[float, float, float]:
  """Share of the low, medium and high groups that two estimates both choose.

  Args:
    first: `[N]` scores of one estimate.
    second: `[N]` scores of the other.
    size: of each group.
    choose: `(scores, size)` to the three groups, such as
      `refinement.by_score`; with a fixed seed, ties fall alike in both.

  Returns:
    Shares, over the examples that both have a score for; NaN where three groups
    do not fit in them.
  """
  both = np.isfinite(first) & np.isfinite(second)
  if 3 * size > both.sum():
    return (math.nan,) * 3
  chosen = zip(choose(first[both], size), choose(second[both], size))
  low, medium, high = (len(np.intersect1d(a, b)) / size for a, b in chosen)
  return low, medium, high


def split_half(first: np.ndarray, second: np.ndarray, models: int, size: int,
               choose: Choose) -> Reliability:
  """Compares the scores `[N]` of the two halves of the models."""
  r = rank_correlation(first, second)
  return Reliability(models, r, spearman_brown(r),
                     *overlaps(first, second, size, choose))


def prefixes(models: int, start: int = 50) -> list[int]:
  """The M of a convergence curve: `start`, doubled while it lasts, and all."""
  counts = []
  while start < models:
    counts.append(start)
    start *= 2
  return [*counts, models]


def convergence(halves: Callable[[int], tuple[np.ndarray, np.ndarray]],
                models: int, size: int, choose: Choose) -> list[Reliability]:
  """Reliability of the first 50, 100, 200 … models and of all of them.

  Args:
    halves: M to the scores `[N]` of the two halves of the first M models.
    models: all of them.
    size: of each group.
    choose: as for `overlaps`.
  """
  return [split_half(*halves(m), m, size, choose) for m in prefixes(models)]


def recommend(curve: Sequence[Reliability], target: float, size: int,
              group: str = 'medium') -> Recommendation:
  """How many models it takes for two runs to share `target` of a group.

  A point of the curve with M models measures two runs of M/2. The smallest of
  these M/2 from which on the target is reached is the answer, between it and
  the one before it. Where none is, the log odds of the overlap are extrapolated
  along a straight line in the log of the models, fitted by least squares. Its
  slope is 1/2 in theory both far below (a band narrower than the noise) and far
  above (errors at the band's edges fall as the root), and a little more in
  between. The range is the 95 % interval of the fit, widened to hold the line
  of slope 1/2 through the last point. It is a guide: the points share models,
  and beyond ten times the last point it says little.

  Args:
    curve: of at least three points for an extrapolation, M ascending.
    target: share in `(0, 1)`.
    size: of the group.
    group: low, medium or high.
  """
  if not 0 < target < 1:
    raise ValueError(f'Expected target={target} in (0, 1).')
  points = [(p.models // 2, getattr(p, group)) for p in curve]
  points = [(m, share) for m, share in points if math.isfinite(share)]
  failing = [i for i, (_, share) in enumerate(points) if share < target]
  after = failing[-1] + 1 if failing else 0
  x = np.log([m for m, _ in points])
  # Half an example more and half less: 0 and 1 have odds, too.
  share = (np.array([s for _, s in points]) * size + 0.5) / (size + 1)
  y = np.log(share / (1 - share))
  slope = float(np.polyfit(x, y, 1)[0]) if len(points) > 1 else math.nan
  if after < len(points):
    before = points[after - 1][0] if after else 0
    return Recommendation(points[after][0], before, points[after][0], True,
                          slope)
  last = points[-1][0] if points else 0
  if len(points) < 3 or slope <= 0:
    return Recommendation(math.nan, last, math.inf, False, slope)
  wanted = math.log(target / (1 - target))
  found, error = _solve(x, y, wanted)
  theory = x[-1] + (wanted - y[-1]) / 0.5
  ends = (min(found - error, theory), max(found + error, theory))
  models, lowest, highest = (
      max(last, math.ceil(math.exp(min(v, 40)))) for v in (found, *ends))
  return Recommendation(models, lowest, highest, False, slope)


def sentence(found: Recommendation, target: float, group: str = 'medium'
             ) -> str:
  """What a recommendation says, in words."""
  aim = f'For two runs to share {target:.0%} of their {group} groups, '
  if found.measured:
    return (f'{aim}{found.models} models in each are enough, as measured '
            f'(and {found.lowest} are not).' if found.lowest else
            f'{aim}{found.models} models in each are enough, as measured.')
  if math.isnan(found.models):
    return (f'{aim}it takes more than {found.lowest} models in each; the curve '
            'is too short to say how many.')
  return (f'{aim}about {found.models} models in each may be needed '
          f'({found.lowest} to {found.highest}), extrapolated.')


def _solve(x: np.ndarray, y: np.ndarray, wanted: float) -> tuple[float, float]:
  """Where a fitted line reaches `wanted`, ± its 95 % interval."""
  slope, offset = np.polyfit(x, y, 1)
  found, freedom = (wanted - offset) / slope, len(x) - 2
  residual = ((y - offset - slope * x)**2).sum() / freedom
  spread = 1 / len(x) + (found - x.mean())**2 / ((x - x.mean())**2).sum()
  error = stats.t.ppf(0.975, freedom) * math.sqrt(residual * spread) / slope
  return float(found), float(error)
