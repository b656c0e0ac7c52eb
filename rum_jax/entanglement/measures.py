"""All measures of entanglement of candidate forget sets under one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import ClassVar

import jax
import numpy as np

from rum_jax import evaluation
from rum_jax.entanglement import partitions, score, separation, wasserstein
from rum_jax.evaluation import Summary
from rum_jax.evaluation.results import Origin
from rum_jax.types import AnyArray, GROUPS, Split

RELEASED = {partitions.COUNT: partitions.RELEASED,
            partitions.COUNT_TINY: partitions.RELEASED_TINY}
_record = dataclasses.dataclass(frozen=True, kw_only=True)


@_record
class SetFigures:
  """All measures of entanglement of one forget set, over seeds.

  Attributes:
    es: the entanglement score.
    es_midpoint: the midpoint variant of the entanglement score.
    memorization: the mean memorization of the set.
    mmd: squared MMD with a kernel of width 1.
    mmd_median: the same with the median distance as the kernel width.
    sliced_wasserstein: the sliced Wasserstein distance.
    wasserstein_entanglement: entanglement by the Wasserstein distance.
    silhouette_entanglement: entanglement by the silhouette.
  """

  es: Summary
  es_midpoint: Summary
  memorization: Summary
  mmd: Summary
  mmd_median: Summary
  sliced_wasserstein: Summary
  wasserstein_entanglement: Summary
  silhouette_entanglement: Summary


@_record
class SeedGroups:
  """The candidate groups under one model.

  Attributes:
    picks: the groups of the low, the medium and the high set.
    es: the ES of all groups.
    memorization: mean of all groups.
    rank_correlation_of_examples: between memorization and the distance to the
      mean of the features.
    rank_correlation_of_groups: between memorization and ES.
  """

  picks: tuple[tuple[int, ...], ...]
  es: tuple[float, ...]
  memorization: tuple[float, ...]
  rank_correlation_of_examples: float
  rank_correlation_of_groups: float


@_record
class EntanglementFile(Origin):
  """The content of `entanglement.json`.

  Attributes:
    partition: the score that the groups were cut by.
    parts: the number of groups.
    by_entanglement: level to the set of that level by measured ES.
    released: level to the set that the released code uses; `None` where it has
      none for this number of groups.
    by_memorization: level to the set of that level of memorization.
    rank_correlation_of_examples: summary over seeds of the value in
      `SeedGroups`.
    rank_correlation_of_groups: the same for groups.
    seeds: the groups under each model.
  """

  SCHEMA: ClassVar[int] = 1

  partition: str
  parts: int
  by_entanglement: Mapping[str, SetFigures]
  released: Mapping[str, SetFigures] | None = None
  by_memorization: Mapping[str, SetFigures]
  rank_correlation_of_examples: Summary
  rank_correlation_of_groups: Summary
  seeds: tuple[SeedGroups, ...]


def all_measures(features: AnyArray, group: np.ndarray, retain: np.ndarray,
                 scores: np.ndarray) -> dict[str, float]:
  """All measures of one forget set under one model.

  Args:
    features: `[N, D]`.
    group: `[n]` rows to forget.
    retain: `[m]` rows to keep.
    scores: `[N]` memorization; NaN is left out.

  Returns:
    The name of each field of `SetFigures` to its value.
  """
  split = Split(group, retain)
  gamma = separation.median_gamma(jax.random.key(0), features, split)
  mmd, scaled = (separation.squared_mmd(features, split, gamma=g).unbiased
                 for g in (1.0, gamma))
  alone = np.asarray(features)[None]
  figures = {
      'es': score.double_precision_scores(alone, split).item(),
      'es_midpoint': score.double_precision_scores(
          alone, split, midpoint=True).item(),
      'memorization': np.nanmean(scores[group]),
      'mmd': mmd, 'mmd_median': scaled,
      'sliced_wasserstein': wasserstein.sliced_wasserstein(
          jax.random.key(0), features, split),
      'wasserstein_entanglement': wasserstein.wasserstein_entanglement(
          features, split),
      'silhouette_entanglement': separation.silhouette_entanglement(
          features, split)}
  return {name: float(figure) for name, figure in figures.items()}


def one_seed(features: AnyArray, parts: np.ndarray, scores: np.ndarray
             ) -> tuple[dict[str, list[dict[str, float]]], SeedGroups]:
  """Low, medium and high entanglement under one model, and correlations.

  Args:
    features: `[N, D]`.
    parts: `[G, n]` rows of the candidate groups.
    scores: `[N]` memorization; NaN is left out.

  Returns:
    `(sets, groups)`. `sets` holds the figures of the three groups that were
    chosen by measured ES and, where the released code has a choice for this
    number of groups, of those. `groups` holds the chosen groups, the ES and the
    memorization of all groups, and their rank correlations.
  """
  kinds = {'by_entanglement': partitions.by_measured_score(features, parts)}
  if len(parts) in RELEASED:
    kinds['released'] = partitions.as_released(
        features, parts, RELEASED[len(parts)])
  rows = np.arange(len(features))
  sets = {kind: [all_measures(features, g, np.setdiff1d(rows, g), scores)
                 for g in chosen.groups] for kind, chosen in kinds.items()}
  chosen, mean = kinds['by_entanglement'], np.nanmean(scores[parts], axis=1)
  correlation = evaluation.rank_correlation
  return sets, SeedGroups(
      picks=tuple(tuple(int(i) for i in x) for x in chosen.picks),
      es=tuple(chosen.all_scores.tolist()), memorization=tuple(mean.tolist()),
      rank_correlation_of_examples=correlation(
          np.asarray(score.centroid_distance(features)), scores),
      rank_correlation_of_groups=correlation(chosen.all_scores, mean))


def summarised(figures: Sequence[Sequence[dict[str, float]]]
               ) -> dict[str, SetFigures]:
  """Summaries over seeds of figures of low, medium and high sets.

  Args:
    figures: `[S][3]`, name to figure.

  Returns:
    Level to the figures of its set.
  """
  return {level: SetFigures(**{
      name: evaluation.summary([of_seed[g][name] for of_seed in figures])
      for name in figures[0][g]}) for g, level in enumerate(GROUPS)}
