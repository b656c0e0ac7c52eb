"""Separation of forget and retain set in the embedding: MMD and silhouettes.

The entanglement score depends only on the means and the spreads of the two
sets. These measures also depend on other properties of the sets. Each function
takes one split, and `jax.vmap` maps it over seeds. Distances between all pairs
are computed for a block of rows at a time.

References:
  Zhao et al., What makes unlearning hard and what to do about it, 2024 (MMD).
  Tang and Khanna, Sharpness-aware machine unlearning, 2025 (silhouette).
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
import numpy as np

from rum_jax import _checks
from rum_jax.entanglement import distances
from rum_jax.types import AnyArray, Array, Key, Split


class SquaredMMD(NamedTuple):
  """Two estimates of MMD².

  Attributes:
    biased: the estimate that also pairs every example with itself. It is never
      negative, and 0 for two equal sets. For two samples of one distribution
      and a narrow kernel it is about `1 / F + 1 / R`.
    unbiased: the estimate without these pairs. For two samples of one
      distribution it is 0 on average, so it may be negative.
  """

  biased: Array
  unbiased: Array


def squared_mmd(features: AnyArray, split: Split, *, gamma: ArrayLike = 1.0,
                block: int = 256) -> SquaredMMD:
  """MMD² with the kernel `k(x, y) = exp(−γ ‖x − y‖²)`.

  `MMD² = mean k over F × F + mean k over R × R − 2 mean k over F × R`

  Args:
    features: `[N, D]`.
    split: forget set `[F]` and retain set `[R]`.
    gamma: γ; the paper uses 1, and `median_gamma` adapts to the data.
    block: the number of rows at a time; the memory is that of
      `block · max(F, R)` numbers. It affects speed only.

  Returns:
    Scalars; the unbiased estimate is NaN if a set has a single example.

  Raises:
    ValueError: if γ or `block` is not positive.

  References:
    Gretton et al., A kernel two-sample test, 2012.
  """
  _checks.check_range('gamma', gamma, 0, open_low=True)
  _checks.check_count('block', block, 1)
  return _squared_mmd(features, split, gamma, block)


@functools.partial(jax.jit, static_argnums=3)
def _squared_mmd(features: AnyArray, split: Split, gamma: Array, block: int
                 ) -> SquaredMMD:
  forget, retain = distances.about_mean(features, split)
  kernel = lambda squared: jnp.exp(-gamma * squared)

  def total(x: Array, y: Array, same: bool = False) -> Array:
    return distances.sum_over_pairs(kernel, x, y, block, same=same).sum()

  f, r = len(forget), len(retain)
  in_forget = total(forget, forget, True)
  in_retain = total(retain, retain, True)
  across = 2 * total(forget, retain) / f / r
  return SquaredMMD(
      (in_forget / f + 1) / f + (in_retain / r + 1) / r - across,
      in_forget / f / (f - 1) + in_retain / r / (r - 1) - across)


@functools.partial(jax.jit, static_argnames='sample')
def median_gamma(key: Key, features: AnyArray, split: Split, *,
                 sample: int = 1000) -> Array:
  """The median heuristic: `γ = 1 / (2 σ²)` for a median distance σ of pairs.

  Args:
    key: draws the examples whose pairs are used.
    features: `[N, D]`.
    split: forget set `[F]` and retain set `[R]`, which are pooled.
    sample: the number of examples to draw without replacement; all examples are
      used if it is F + R or more.

  Returns:
    A scalar for `squared_mmd`; infinite if half of the pairs coincide.

  Raises:
    ValueError: if `sample` is below 2.

  References:
    Gretton et al., A kernel two-sample test, 2012.
  """
  _checks.check_count('sample', sample, 2)
  both = jnp.concatenate(distances.about_mean(features, split))
  if sample < len(both):
    both = both[jax.random.permutation(key, len(both))[:sample]]
  pairs = np.triu_indices(len(both), 1)
  sigma = jnp.median(jnp.sqrt(distances.squared(both, both)[pairs]))
  return 1 / (2 * sigma**2)


@functools.partial(jax.jit, static_argnames='block')
def silhouette(features: AnyArray, split: Split, *, block: int = 256) -> Array:
  """Mean silhouette of the two clusters, forget and retain set.

  The silhouette of an example is `s = (b − a) / max(a, b)`. Here a is its mean
  distance to the other examples of its own set, and b its mean distance to the
  examples of the other set. It is 1 for separate sets and 0 for mixed sets.
  This function takes `(F + R)² D` operations; `squared_silhouette` takes
  `(F + R) D`.

  Args:
    features: `[N, D]`.
    split: forget set `[F]` and retain set `[R]`.
    block: the number of rows at a time; it affects speed and memory only.

  Returns:
    A scalar in `[-1, 1]`; the only example of a set counts as 0.

  Raises:
    ValueError: if `block` is not positive.

  References:
    Rousseeuw, Silhouettes: a graphical aid to the interpretation and validation
    of cluster analysis, 1987.
  """
  _checks.check_count('block', block, 1)
  sets = distances.about_mean(features, split)

  def both(own: int) -> tuple[Array, Array]:
    x, other = sets[own], sets[1 - own]
    inside = distances.sum_over_pairs(jnp.sqrt, x, x, block, same=True)
    across = distances.sum_over_pairs(jnp.sqrt, x, other, block)
    return inside / max(len(x) - 1, 1), across / len(other)

  return _mean_silhouette(both(0), both(1))


@jax.jit
def squared_silhouette(features: AnyArray, split: Split) -> Array:
  """The silhouette of squared distances, in closed form.

  The mean squared distance of x to a set is `‖x − μ‖² + spread`, so no distance
  between two examples is needed. For features of length 1 (`distances.unit`),
  the squared distance is twice the cosine distance. Then the result is the
  exact silhouette of cosine distances.

  Args:
    features: `[N, D]`.
    split: forget set `[F]` and retain set `[R]`.

  Returns:
    A scalar in `[-1, 1]`; the only example of a set counts as 0.
  """
  sets = distances.about_mean(features, split)
  means = [x.mean(axis=0) for x in sets]
  spreads = [distances.square(x - m).mean() for x, m in zip(sets, means)]

  def both(own: int) -> tuple[Array, Array]:
    x, other = sets[own], 1 - own
    a, b = (distances.square(x - means[i]) + spreads[i] for i in (own, other))
    n = len(x)
    return (a * n / (n - 1) if n > 1 else jnp.zeros_like(a)), b

  return _mean_silhouette(both(0), both(1))


@jax.jit
def centroid_silhouette(features: AnyArray, split: Split) -> Array:
  """The simplified silhouette, in which a and b are distances to the means.

  Args:
    features: `[N, D]`.
    split: forget set `[F]` and retain set `[R]`.

  Returns:
    A scalar in `[-1, 1]`; the only example of a set counts as 0.

  References:
    Hruschka, de Castro and Campello, Evolutionary algorithms for clustering
    gene-expression data, 2004.
  """
  forget, retain = distances.about_mean(features, split)
  far = lambda x, y: jnp.sqrt(distances.square(x - y.mean(axis=0)))
  return _mean_silhouette((far(forget, forget), far(forget, retain)),
                          (far(retain, retain), far(retain, forget)))


@jax.jit
def silhouette_entanglement(features: AnyArray, split: Split) -> Array:
  """Tang and Khanna's `(1 − s) / 2`, with the silhouette s of cosine distances.

  Args:
    features: `[N, D]`.
    split: forget set `[F]` and retain set `[R]`.

  Returns:
    A scalar in `[0, 1]`; 1/2 means mixed sets, and lower values separate sets.
  """
  return (1 - squared_silhouette(distances.unit(features), split)) / 2


def _mean_silhouette(*sets: tuple[Array, Array]) -> Array:
  """Mean silhouette of all examples, from the a and b of each set."""
  a, b = (jnp.concatenate(x) for x in zip(*sets))
  alone = jnp.concatenate([jnp.full(len(x), len(x) == 1) for x, _ in sets])
  largest = jnp.where(jnp.maximum(a, b) > 0, jnp.maximum(a, b), 1)
  return jnp.where(alone, 0, (b - a) / largest).mean()
