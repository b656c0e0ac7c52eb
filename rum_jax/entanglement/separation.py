"""Separation of forget and retain set in the embedding: MMD and silhouettes.

Both stand beside the entanglement score and, unlike it, see more than means and
spreads. All of them are of one split, pure, and map over seeds under
`jax.vmap`; distances between all pairs are taken a block of rows at a time.

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
  """Two estimates of MMD², from the same sums.

  Attributes:
    biased: with every example also paired with itself; never negative, and 0
      for two equal sets, but about `1 / F + 1 / R` for two samples of one
      distribution under a narrow kernel.
    unbiased: without those pairs; 0 on average for two samples of one
      distribution, and so at times negative.
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
    gamma: γ; 1 is the paper's, `median_gamma` follows the scale of the data.
    block: rows whose kernel with all others is held at a time, so that memory
      is `block · max(F, R)` numbers; speed only.

  Returns:
    Scalars; the unbiased one is NaN where a set has a single example.

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
  """The median heuristic: `γ = 1 / (2 σ²)`, σ the median distance of a pair.

  Args:
    key: draws the examples whose pairs are looked at.
    features: `[N, D]`.
    split: forget set `[F]` and retain set `[R]`, taken together.
    sample: examples drawn, without replacement; F + R or more takes all.

  Returns:
    A scalar for `squared_mmd`; infinite where half of the pairs coincide.

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
  """Mean silhouette of two clusters, forget and retain, exactly.

  `s = (b − a) / max(a, b)` with a the mean distance of an example to the others
  of its own set and b to those of the other set. 1 is apart, 0 is mixed. It
  takes `(F + R)² D` operations; `squared_silhouette` takes `(F + R) D`.

  Args:
    features: `[N, D]`.
    split: forget set `[F]` and retain set `[R]`.
    block: rows whose distances to all others are held at a time; speed only.

  Returns:
    A scalar in `[-1, 1]`; an example alone in its set counts as 0.

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

  The mean squared distance of x to a set is `‖x − μ‖² + spread`, so no pair has
  to be looked at. Of features of length 1 (`distances.unit`) a squared distance
  is twice a cosine distance, and this the exact silhouette of the latter.

  Args:
    features: `[N, D]`.
    split: forget set `[F]` and retain set `[R]`.

  Returns:
    A scalar in `[-1, 1]`; an example alone in its set counts as 0.
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
  """The simplified silhouette: a and b are distances to the two means.

  Args:
    features: `[N, D]`.
    split: forget set `[F]` and retain set `[R]`.

  Returns:
    A scalar in `[-1, 1]`; an example alone in its set counts as 0.

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
  """Tang and Khanna's: `(1 − s) / 2`, s the silhouette of cosine distances.

  Args:
    features: `[N, D]`.
    split: forget set `[F]` and retain set `[R]`.

  Returns:
    A scalar in `[0, 1]`; 1/2 is mixed, less is apart.
  """
  return (1 - squared_silhouette(distances.unit(features), split)) / 2


def _mean_silhouette(*sets: tuple[Array, Array]) -> Array:
  """Mean over the examples of both sets; each gives its a and b."""
  a, b = (jnp.concatenate(x) for x in zip(*sets))
  alone = jnp.concatenate([jnp.full(len(x), len(x) == 1) for x, _ in sets])
  largest = jnp.where(jnp.maximum(a, b) > 0, jnp.maximum(a, b), 1)
  return jnp.where(alone, 0, (b - a) / largest).mean()
