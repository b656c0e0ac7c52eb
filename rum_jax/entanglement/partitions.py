"""Partitions of the training examples by how entangled their parts are.

A partition is `[G, n]` int32 rows: G disjoint groups of n examples. All
examples are ranked by a score, and the ranking is cut into groups. The paper
ranks by the distance of the embedding to the mean embedding:

  | partition | made by |
  |---|---|
  | the paper's | `cut(entanglement.centroid_distance(features))` |
  | in each class | `cut_by_class(the same, labels)` |
  | of neighbours | `cut(neighbour_margin(features, labels))` |
  | control | `at_random(num_examples)` |

The rank does not tell how entangled a group is: in some networks the groups far
from the mean are more entangled than those near it, in others less. So
`by_measured_score` chooses the groups low, medium and high by their ES.
`as_released` chooses them by the numbers in the released code, and also returns
their ES.

`seed` orders equal scores (`refinement.ranked`). Where G does not divide N, the
groups are spread over the ranking: the first is at its beginning, the last at
its end, and the rows between two groups belong to none.

References:
  Zhao et al., What makes unlearning hard and what to do about it, 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jax.typing import ArrayLike
import numpy as np

from rum_jax import _checks, refinement
from rum_jax.entanglement import distances, score
from rum_jax.types import AnyArray, Array

COUNT = 15  # The paper's, for CIFAR: 45,000 examples in groups of 3,000.
COUNT_TINY = 100
RELEASED = ((3,), (12,), (14,))  # Low, medium and high of 15, numbered from 0.
RELEASED_TINY = ((0, 1, 2), (49, 50, 51), (97, 98, 99))
Picks = Sequence[Sequence[int]]


class Chosen(NamedTuple):
  """Forget sets of low, medium and high entanglement, and their measured ES.

  Attributes:
    groups: three sorted arrays of int32 rows, for `refinement.stages`.
    picks: for each of the three, the numbers of its groups in the partition.
    score: `[..., 3]` ES of each with all other examples.
    all_scores: `[..., G]` ES of each group of the partition with all others.
  """

  groups: refinement.Groups
  picks: tuple[tuple[int, ...], ...]
  score: np.ndarray
  all_scores: np.ndarray


def cut(scores: ArrayLike, count: int = COUNT, *, seed: int = 0) -> np.ndarray:
  """Cuts the ranking of all examples into `count` groups of equal size.

  Args:
    scores: `[N]`, finite.
    count: G.
    seed: breaks ties.

  Returns:
    `[G, N // G]` int32 rows, sorted in each group; the first group has the
    lowest scores.

  Raises:
    ValueError: if there are fewer examples than groups, or a score is not
      finite.
  """
  _checks.check_count('count', count, 1)
  order = refinement.ranked(scores, seed)
  size = len(order) // count
  if not size:
    raise ValueError(f'Expected count={count} groups to fit in {len(order)} '
                     f'examples.')
  first = np.arange(count) * (len(order) - size) // max(count - 1, 1)
  return np.sort(order[first[:, None] + np.arange(size)], axis=1)


def cut_by_class(scores: ArrayLike, labels: ArrayLike, count: int = COUNT, *,
                 seed: int = 0) -> np.ndarray:
  """`cut` inside each class, so that all groups have the same class counts.

  Otherwise a group may contain few classes, and be less entangled for that
  reason alone.

  Args:
    scores: `[N]`, finite.
    labels: `[N]`.
    count: G.
    seed: breaks ties.

  Returns:
    `[G, n]` int32 rows, sorted in each group, with `N_c // G` of class c.

  Raises:
    ValueError: if a class has fewer examples than there are groups, or a score
      is not finite.
  """
  scores, labels = np.asarray(scores), np.asarray(labels)
  _checks.check_count('count', count, 1)
  if scores.shape != labels.shape:
    raise ValueError(f'Expected labels {labels.shape} to have the shape of '
                     f'scores {scores.shape}.')
  parts = []
  for label in np.unique(labels):
    rows = np.flatnonzero(labels == label)
    if len(rows) < count:
      raise ValueError(f'Expected count={count} groups to fit in each class, '
                       f'found {len(rows)} examples of class {label}.')
    parts.append(rows[cut(scores[rows], count, seed=seed)])
  return np.sort(np.concatenate(parts, axis=1), axis=1).astype(np.int32)


def at_random(num_examples: int, count: int = COUNT, *, seed: int = 0
              ) -> np.ndarray:
  """The control: a random partition, which `seed` determines."""
  _checks.check_count('num_examples', num_examples, 1)
  return cut(np.zeros(num_examples), count, seed=seed)


@functools.partial(jax.jit, static_argnames=('neighbours', 'block'))
def neighbour_margin(features: AnyArray, labels: AnyArray, *,
                     neighbours: int = 10, block: int = 256) -> Array:
  """Distance to neighbours of the same class minus that to other classes.

  `mean distance to the k nearest of its class
   − mean distance to the k nearest of other classes`

  The example itself is not one of them. It is positive where examples of other
  classes are nearer. The share of neighbours of other classes is a similar
  score, but it is 0 for nearly all examples of a network that fits its training
  data, so the order of equal scores would determine the partition.

  Args:
    features: `[N, D]`.
    labels: `[N]`.
    neighbours: k; each class must have more than k examples.
    block: the number of rows at a time; it affects speed and memory only.

  Returns:
    `[N]`; infinite where there are fewer than k such examples.

  Raises:
    ValueError: if `neighbours` or `block` is not positive, or N is not above
      `neighbours`.

  References:
    Kira and Rendell, A practical approach to feature selection, 1992 (nearest
    hit and miss); Gilad-Bachrach et al., Margin based feature selection, 2004.
  """
  _checks.check_count('neighbours', neighbours, 1)
  _checks.check_count('block', block, 1)
  _checks.check_range('neighbours', neighbours, 1, len(features) - 1)
  x = jnp.asarray(features) - features[0]
  x, labels = x - x.mean(axis=0), jnp.asarray(labels)

  def one(row: Array) -> Array:
    distance = jnp.sqrt(distances.squared(x[row][None], x)[0])
    same = labels == labels[row]
    others = same.at[row].set(False)
    near = lambda allowed: -lax.top_k(
        jnp.where(allowed, -distance, -jnp.inf), neighbours)[0].mean()
    return near(others) - near(~same)

  return lax.map(one, jnp.arange(len(x)), batch_size=block)


def by_measured_score(features: AnyArray, groups: np.ndarray, *, each: int = 1,
                      seed: int = 0) -> Chosen:
  """Chooses low, medium and high by the ES of the groups.

  The groups are ranked by their ES, or by its mean over several models. The
  lowest `each`, the middle `each` and the highest `each` groups are chosen.

  Args:
    features: `[N, D]`, or `[S, N, D]` of S models.
    groups: `[G, n]` rows.
    each: number of groups in each of the three sets.
    seed: orders groups of equal ES.

  Returns:
    The three sets and their ES.

  Raises:
    ValueError: if three times `each` groups do not fit in G, or ES is NaN.
  """
  _checks.check_count('each', each, 1)
  if 3 * each > len(groups):
    raise ValueError(f'Expected three times each={each} to fit in '
                     f'{len(groups)} groups.')
  scores = np.asarray(score.entanglement_scores(features, groups))
  mean = scores.reshape(-1, len(groups)).mean(axis=0, dtype=np.float64)
  if np.isnan(mean).any():
    raise ValueError(f'Expected ES without NaN, found it in group '
                     f'{np.flatnonzero(np.isnan(mean))[0]}.')
  tie = np.random.default_rng(seed).permutation(len(groups))
  order = np.lexsort((tie, mean)).tolist()
  middle = (len(groups) - each) // 2
  return _chosen(features, groups, (
      order[:each], order[middle:middle + each], order[-each:]), scores)


def as_released(features: AnyArray, groups: np.ndarray, picks: Picks = RELEASED
                ) -> Chosen:
  """Chooses low, medium and high by number, as in the released code.

  Args:
    features: `[N, D]`, or `[S, N, D]` of S models.
    groups: `[G, n]` rows, by distance to the mean.
    picks: numbers of the groups that make up each of the three; `RELEASED` is
      for 15 groups, `RELEASED_TINY` for 100.

  Returns:
    The three sets and their ES.

  Raises:
    ValueError: if one of the three is empty, if a group does not exist, or if
      a group is chosen twice.
  """
  flat = sorted(i for pick in picks for i in pick)
  if len(picks) != 3 or not all(picks):
    raise ValueError(f'Expected picks={picks} to name groups for low, medium '
                     f'and high.')
  if flat[0] < 0 or flat[-1] >= len(groups):
    raise ValueError(f'Expected picks={picks} in [0, {len(groups)}), the '
                     f'numbers of the groups.')
  if len(set(flat)) < len(flat):
    raise ValueError(f'Expected picks={picks} to name no group twice.')
  scores = score.entanglement_scores(features, groups)
  return _chosen(features, groups, picks, np.asarray(scores))


def _chosen(features: AnyArray, groups: np.ndarray, picks: Picks,
            scores: np.ndarray) -> Chosen:
  each = tuple(tuple(int(i) for i in sorted(pick)) for pick in picks)
  sets = tuple(np.sort(groups[list(p)].ravel()).astype(np.int32) for p in each)
  reached = [np.asarray(score.entanglement_scores(features, s[None]))
             for s in sets]
  return Chosen(sets, each, np.concatenate(reached, axis=-1), scores)
