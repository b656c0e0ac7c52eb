"""Reliability: how well two independent estimates of memorization agree.

The two estimates have no model in common. Ranks agree with fewer models than
groups do. The medium group, a narrow band around 0.5, needs the most models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import math
from typing import Any, ClassVar, NamedTuple, Protocol, cast

import numpy as np
import scipy  # Its parts are imported when they are first used.

from rum_jax import evaluation, records, refinement, trees
from rum_jax.memorization import ensemble, estimator
from rum_jax.memorization.ensemble import Ensemble, Fit
from rum_jax.memorization.estimator import Memorization
from rum_jax.types import GROUPS

_record = dataclasses.dataclass(frozen=True, kw_only=True)


class Choose(Protocol):
  """`(scores, size, *, seed)` to three groups; `seed` orders equal scores."""

  def __call__(self, scores: np.ndarray, size: int, /, *, seed: int
               ) -> Sequence[np.ndarray]:
    ...


class Reliability(NamedTuple):
  """How well the two halves of M models agree.

  Attributes:
    models: M, both halves together.
    spearman: rank correlation of the halves.
    corrected: the rank correlation of two estimates with M models each, by the
      Spearman-Brown formula.
    low: share of the low group that both halves choose, with M/2 models each.
    medium: the same for the medium group.
    high: the same for the high group.
  """

  models: int
  spearman: float
  corrected: float
  low: float
  medium: float
  high: float


class Recommendation(NamedTuple):
  """How many models two runs need for their medium groups to overlap enough.

  Attributes:
    models: number of models in each run; NaN where the curve does not tell.
    lowest: lower end of the range of that number.
    highest: upper end of the range.
    measured: whether the curve reaches the target; otherwise the number is
      extrapolated.
  """

  models: float
  lowest: float
  highest: float
  measured: bool


@_record
class ScoreSummary:
  """Quantiles and errors of the scores of N examples.

  Attributes:
    quantiles: probability, as a string, to the quantile of the scores.
    mean_standard_error: mean of the standard errors of the scores.
    examples: N.
    without_score: number of examples whose score is not known.
  """

  quantiles: Mapping[str, float]
  mean_standard_error: float
  examples: int
  without_score: int


@_record
class Estimate(ScoreSummary):
  """A summary of scores, and the agreement of the halves of the models."""

  split_half: Reliability


@_record
class Advice:
  """A `Recommendation` with its target share, and in words."""

  models: float
  lowest: float
  highest: float
  measured: bool
  target: float
  group: str
  sentence: str


@_record
class Report:
  """How reliable the estimates of one ensemble are.

  Attributes:
    correctness: the estimate from correct and wrong predictions.
    probability: the estimate from the probabilities of the labels.
    fit: how well the models fit their training subsets.
    group_size: number of examples in each group.
    convergence: reliability of the first 50, 100, 200 … models.
    recommendation: how many models a reliable medium group needs.
  """

  correctness: Estimate
  probability: Estimate
  fit: Fit
  group_size: int
  convergence: tuple[Reliability, ...]
  recommendation: Advice


@_record
class Agreement:
  """How well an estimate agrees with other scores of the same examples.

  Attributes:
    spearman: rank correlation.
    low: share of the low group that is also in the low group of the other
      scores.
    medium: the same for the medium group.
    high: the same for the high group.
    chance: the share for random groups.
  """

  spearman: float
  low: float
  medium: float
  high: float
  chance: float


@_record
class OtherScores(Agreement):
  """An agreement, the name of the other file and how its order was checked."""

  name: str
  order: str


@_record
class Identity:
  """The fields of an ensemble's identity that reports use, and the `rest`."""

  dataset: str
  network: str
  epochs: int
  subset: float
  rest: Mapping[str, Any] = dataclasses.field(
      default_factory=dict, metadata=records.REST)


@_record
class MemorizationFile(Report):
  """The content of `memorization.json`.

  Attributes:
    first_model: the number of the first model.
    models: M.
    identity: all that determines the models.
    compared: how well the estimate agrees with scores of others, if these were
      given.
  """

  SCHEMA: ClassVar[int] = 1

  first_model: int
  models: int
  identity: Identity
  compared: OtherScores | None = None


@_record
class Work:
  """The training that one kind of device did.

  Attributes:
    models: the number of models that were trained.
    seconds: the seconds that it took, with compilation.
    models_an_hour: models divided by hours.
  """

  models: float
  seconds: float
  models_an_hour: float


@_record
class ScoresCard(Report):
  """The data and reliability of a score file that comes with the package.

  Attributes:
    name: the name of the score file.
    first_model: the number of the first model.
    models: M.
    identity: all that determines the models, as `shards.identity` has it.
    held_out_accuracy: mean over models, on the published test examples.
    work: device to the work that was done on it.
    file_hash: SHA-256 of the score file.
  """

  SCHEMA: ClassVar[int] = 1

  name: str
  first_model: int
  models: int
  identity: Mapping[str, Any]
  held_out_accuracy: float
  work: Mapping[str, Work]
  file_hash: str


def spearman_brown(correlation: float) -> float:
  """Reliability of all models from the correlation of their two halves.

  References:
    Spearman, Correlation calculated from faulty data, 1910; Brown, Some
    experimental results in the correlation of mental abilities, 1910.
  """
  if correlation == -1:
    return -math.inf
  return 2 * correlation / (1 + correlation)


def overlaps(first: np.ndarray, second: np.ndarray, size: int, choose: Choose,
             choose_second: Choose | None = None
             ) -> tuple[float, float, float]:
  """Share of the low, medium and high groups that two estimates both choose.

  Args:
    first: `[N]` scores of one estimate.
    second: `[N]` scores of the other.
    size: the size of each group.
    choose: `(scores, size, *, seed)` to the three groups, such as
      `refinement.by_score`. The two estimates get different seeds, so that
      equal scores fall into the same group by chance alone.
    choose_second: likewise for `second`; by default it is `choose`.

  Returns:
    The shares, over the examples that have both scores; NaN where there are too
    few of these for three groups.
  """
  both = np.isfinite(first) & np.isfinite(second)
  if 3 * size > both.sum():
    return (math.nan,) * 3
  chosen = zip(choose(first[both], size, seed=0),
               (choose_second or choose)(second[both], size, seed=1))
  low, medium, high = (len(np.intersect1d(a, b)) / size for a, b in chosen)
  return low, medium, high


def group_overlaps(first: np.ndarray, second: np.ndarray, size: int
                   ) -> tuple[float, float, float]:
  """Share of each group of one estimate that lies in that of the other.

  Unlike in `overlaps`, examples of equal scores are exchangeable: an example of
  one estimate's group counts as shared if its score by the other estimate is as
  extreme as that of some example of the other's group. Many examples have the
  lowest score, and which of them are in the low group does not matter.

  Args:
    first: `[N]` scores of one estimate.
    second: `[N]` scores of the other.
    size: the size of each group.

  Returns:
    The shares of the low, the medium and the high group, the mean of both
    directions; NaN where fewer than three groups have both scores.
  """
  both = np.isfinite(first) & np.isfinite(second)
  if 3 * size > both.sum():
    return (math.nan,) * 3
  estimates = first[both], second[both]
  # How far a score is from what each group is of.
  distances = [(x, np.abs(x - 0.5), -x) for x in estimates]
  groups = [refinement.by_score(x, size) for x in estimates]
  shares = []
  for g in range(3):
    parts = []
    for mine, other in ((0, 1), (1, 0)):
      distance = distances[other][g]
      limit = distance[groups[other][g]].max()
      parts.append(float((distance[groups[mine][g]] <= limit).mean()))
    shares.append(sum(parts) / 2)
  low, medium, high = shares
  return low, medium, high


def split_half(first: np.ndarray, second: np.ndarray, models: int, size: int,
               choose: Choose) -> Reliability:
  """Compares the scores `[N]` of the two halves of the models."""
  r = evaluation.rank_correlation(first, second)
  return Reliability(models, r, spearman_brown(r),
                     *overlaps(first, second, size, choose))


def prefixes(models: int, start: int = 50) -> list[int]:
  """The M of a convergence curve: `start`, 2 · `start`, … and `models`."""
  counts = []
  while start < models:
    counts.append(start)
    start *= 2
  return [*counts, models]


def convergence(halves: Callable[[int], tuple[np.ndarray, np.ndarray]],
                models: int, size: int, choose: Choose, start: int = 50
                ) -> list[Reliability]:
  """Reliability of the first 50, 100, 200 … models and of all of them.

  Args:
    halves: M to the scores `[N]` of the two halves of the first M models.
    models: all of them.
    size: the size of each group.
    choose: as for `overlaps`.
    start: the smallest number of models.
  """
  return [split_half(*halves(m), m, size, choose)
          for m in prefixes(models, start)]


def band_overlap(width: np.ndarray | float) -> np.ndarray | float:
  """Expected overlap of a narrow band of scores in two noisy estimates.

  The true scores are assumed to be uniform around the band, and the errors of
  both estimates normal, so that the difference d of the estimates is normal.
  The second estimate then puts the share `E[max(0, 1 − |d| / band)]` of the
  first one's examples into the band.

  Args:
    width: the width of the band, in standard deviations of the difference; it
      is proportional to the square root of the number of models.

  Returns:
    The share: `2Φ(w) − 1 − 2(φ(0) − φ(w)) / w`.
  """
  gap = scipy.stats.norm.pdf(0) - scipy.stats.norm.pdf(width)
  return 2 * scipy.stats.norm.cdf(width) - 1 - 2 * gap / width


def recommend(curve: Sequence[Reliability], target: float, size: int
              ) -> Recommendation:
  """How many models two runs need to share `target` of their medium groups.

  A point of the curve with M models compares two runs of M/2 models. If the
  target is reached at some point and at all points after it, the answer is the
  smallest such M/2, and the range begins at the point before. Otherwise
  `band_overlap(c √(M/2))` is fitted and extrapolated, where `log c` is the mean
  over the points, weighted by their binomial errors. The error of that mean is
  taken as the scatter of the points or the error of the best point, whichever
  is larger, because the points share models. The 95 % range follows from it. It
  does not cover scores that are far from uniform near 0.5.

  Args:
    curve: M ascending.
    target: share in `(0, 1)`.
    size: the size of the group.

  Raises:
    ValueError: if `target` is not in `(0, 1)`.
  """
  if not 0 < target < 1:
    raise ValueError(f'Expected target={target} in (0, 1).')
  points = [(p.models // 2, p.medium) for p in curve
            if math.isfinite(p.medium)]
  failing = [i for i, (_, share) in enumerate(points) if share < target]
  after = failing[-1] + 1 if failing else 0
  if after < len(points):
    enough = points[after][0]
    return Recommendation(
        enough, points[after - 1][0] if after else 0, enough, True)
  if not points:
    return Recommendation(math.nan, 0, math.inf, False)
  rate, error = _fit(points, size)
  log_models, last = 2 * (math.log(_width(target)) - rate), points[-1][0]
  models, lowest, highest = (
      max(last, math.ceil(math.exp(log_models + 2 * t * error)))
      for t in (0, -1.96, 1.96))
  return Recommendation(models, lowest, highest, False)


def sentence(found: Recommendation, target: float) -> str:
  """A recommendation in words."""
  aim = f'For two runs to share {target:.0%} of their medium groups, '
  if found.measured:
    return (f'{aim}{found.models} models in each are enough, as measured '
            f'(and {found.lowest} are not).' if found.lowest else
            f'{aim}{found.models} models in each are enough, as measured.')
  if math.isnan(found.models):
    return f'{aim}more models are needed than can be told from these.'
  return (f'{aim}about {found.models} models in each may be needed '
          f'({found.lowest} to {found.highest}), extrapolated.')


def _width(overlap: float) -> float:
  """The inverse of `band_overlap`."""
  root = scipy.optimize.brentq(
      lambda x: band_overlap(math.exp(x)) - overlap, -20, 20)
  return math.exp(cast(float, root))


def _fit(points: Sequence[tuple[int, float]], size: int) -> tuple[float, float]:
  """`log c` and its standard error."""
  rates, errors = [], []
  for models, overlap in points:
    # Adds half an example to both counts, so that no share is 0 or 1.
    share = (overlap * size + 0.5) / (size + 1)
    width = _width(share)
    gap = scipy.stats.norm.pdf(0) - scipy.stats.norm.pdf(width)
    rates.append(math.log(width / math.sqrt(models)))
    errors.append(math.sqrt(share * (1 - share) / size) * width / (2 * gap))
  mean = np.average(rates, weights=1 / np.square(errors))
  scatter = np.std(rates, ddof=1) if len(rates) > 1 else 0.0
  return float(mean), float(max(scatter, min(errors)))


def report(models: Ensemble, num_examples: int, size: int, target: float,
           start: int = 50) -> Report:
  """Reports how reliable the estimates of an ensemble are.

  Args:
    models: the ensemble.
    num_examples: N.
    size: the size of the low, the medium and the high group.
    target: share of the medium group that two runs should agree on.
    start: the smallest number of models of the convergence curve.
  """
  def halves(m: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = estimator.halves(
        models.correct[:m], models.inside[:m], num_examples)
    return first.score, second.score

  count = len(models.correct)
  curve = convergence(halves, count, size, refinement.by_score, start)
  first, second = (
      estimator.estimate_probability(trees.take(models.sums, i)).score
      for i in (0, 1))
  agreements = {
      'correctness': curve[-1],
      'probability': split_half(
          first, second, count, size, refinement.by_score)}
  advice = recommend(curve, target, size)
  return Report(
      **{name: Estimate(**vars(summary(x)), split_half=agreements[name])
         for name, x in ensemble.estimates(models, num_examples).items()},
      fit=ensemble.fit(models), group_size=size, convergence=tuple(curve),
      recommendation=Advice(
          **advice._asdict(), target=target, group='medium',
          sentence=sentence(advice, target)))


def agreement(score: np.ndarray, other: np.ndarray, size: int) -> Agreement:
  """Compares an estimate with other scores.

  Args:
    score: `[N]`; NaN where an example has no score.
    other: `[N]` of the same examples.
    size: the size of the low, the medium and the high group.
  """
  shared = overlaps(score, other, size, refinement.by_score)
  return Agreement(spearman=evaluation.rank_correlation(score, other),
                   **dict(zip(GROUPS, shared)), chance=size / len(score))


def summary(scores: Memorization) -> ScoreSummary:
  """Quantiles and mean standard error, over the examples that have a score."""
  known = np.isfinite(scores.score)
  quantiles = (0.05, 0.25, 0.5, 0.75, 0.95)
  values = (np.quantile(scores.score[known], quantiles) if known.any()
            else np.full(len(quantiles), np.nan))
  error = scores.standard_error[np.isfinite(scores.standard_error)]
  return ScoreSummary(
      quantiles={str(q): float(v) for q, v in zip(quantiles, values)},
      mean_standard_error=float(error.mean()) if len(error) else math.nan,
      examples=len(known), without_score=int((~known).sum()))
