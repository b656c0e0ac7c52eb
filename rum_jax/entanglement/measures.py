"""How entangled candidate forget sets are by every measure, under one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from rum_jax import evaluation
from rum_jax.entanglement import partitions, score, separation, wasserstein
from rum_jax.types import Array, GROUPS, Split

RELEASED = {partitions.COUNT: partitions.RELEASED,
            partitions.COUNT_TINY: partitions.RELEASED_TINY}


def measure(features: Array, group: np.ndarray, retain: np.ndarray,
            scores: np.ndarray) -> dict[str, float]:
  """All figures of one forget set under one model.

  Args:
    features: `[N, D]`.
    group: `[n]` rows to forget.
    retain: `[m]` rows to keep.
    scores: `[N]` memorization; NaN is left out.

  Returns:
    Name to figure: ES and its midpoint variant, mean memorization, squared MMD
    with a kernel of width 1 and of the median distance, and the entanglements
    by Wasserstein distance and silhouette.
  """
  split = Split(group, retain)
  gamma = separation.median_gamma(jax.random.key(0), features, split)
  mmd, scaled = (separation.squared_mmd(features, split, gamma=g).unbiased
                 for g in (1.0, gamma))
  return {
      'es': score.entanglement_score(features, split),
      'es_midpoint': score.entanglement_score(
          features, split, midpoint=True),
      'memorization': np.nanmean(scores[group]),
      'mmd': mmd, 'mmd_median': scaled,
      'sliced_wasserstein': wasserstein.sliced_wasserstein(
          jax.random.key(0), features, split),
      'wasserstein_entanglement': wasserstein.wasserstein_entanglement(
          features, split),
      'silhouette_entanglement': separation.silhouette_entanglement(
          features, split)}


def one_seed(features: Array, parts: np.ndarray, scores: np.ndarray
             ) -> tuple[dict[str, list[dict[str, float]]], dict[str, Any]]:
  """Low, medium and high entanglement under one model, and correlations.

  Args:
    features: `[N, D]`.
    parts: `[G, n]` rows of the candidate groups.
    scores: `[N]` memorization; NaN is left out.

  Returns:
    `(sets, rest)`: by measured ES, and as released where that is known for so
    many parts, the figures of the three groups; and the groups that were
    picked, ES and memorization of all, and the rank correlations of the two.
  """
  kinds = {'by_entanglement': partitions.by_measured_score(features, parts)}
  if len(parts) in RELEASED:
    kinds['released'] = partitions.as_released(
        features, parts, RELEASED[len(parts)])
  everyone = np.arange(len(features))
  sets = {kind: [measure(features, g, np.setdiff1d(everyone, g), scores)
                 for g in chosen.groups] for kind, chosen in kinds.items()}
  chosen, mean = kinds['by_entanglement'], np.nanmean(scores[parts], axis=1)
  correlation = evaluation.rank_correlation
  return sets, {
      'picks': chosen.picks, 'es': chosen.all_scores.tolist(),
      'memorization': mean.tolist(),
      'rank_correlation_of_examples': correlation(
          np.asarray(score.centroid_distance(features)), scores),
      'rank_correlation_of_groups': correlation(chosen.all_scores, mean)}


def summarised(found: Sequence[Sequence[dict[str, float]]]) -> dict[str, Any]:
  """Summaries over seeds of figures of low, medium and high sets.

  Args:
    found: `[S][3]`, name to figure.

  Returns:
    Level to name to what `evaluation.summary` makes of S figures.
  """
  return {name: {k: evaluation.summary([f[g][k] for f in found])
                 for k in found[0][g]} for g, name in enumerate(GROUPS)}
