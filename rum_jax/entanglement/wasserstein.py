"""Wasserstein distances between forget and retain set in the embedding.

The exact distance between two sets of thousands of points takes too long to
compute. `wasserstein_entanglement`, which Tang and Khanna report, is exact on a
sample. `sliced_wasserstein` and `gaussian_wasserstein` are cheaper distances
that use all examples. They run on the device, and `jax.vmap` maps them over
seeds.

References:
  Tang and Khanna, Sharpness-aware machine unlearning, 2025.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize
from scipy.spatial import distance

from rum_jax import _checks
from rum_jax.entanglement import distances
from rum_jax.types import AnyArray, Array, Key, Split


@functools.partial(jax.jit, static_argnames='projections')
def sliced_wasserstein(key: Key, features: AnyArray, split: Split, *,
                       projections: int = 128) -> Array:
  """Sliced Wasserstein-2 distance over random directions.

  `SW² = mean over θ of W²(θ·F, θ·R)`. Each W² is exact, also for sets of
  different sizes. It is the integral over u of the squared difference of the
  two quantile functions, which are step functions with steps of 1/F and 1/R.

  Args:
    key: draws the directions, which are uniform on the sphere.
    features: `[N, D]`.
    split: forget set `[F]` and retain set `[R]`.
    projections: the number of directions.

  Returns:
    SW, a scalar in the unit of the features; at most `W / √D` on average.

  Raises:
    ValueError: if `projections` is not positive.

  References:
    Bonneel et al., Sliced and Radon Wasserstein barycenters of measures, 2015.
  """
  _checks.check_count('projections', projections, 1)
  forget, retain = distances.about_mean(features, split)
  direction = jax.random.normal(
      key, (features.shape[-1], projections), features.dtype)
  direction /= jnp.linalg.norm(direction, axis=0)
  rank_forget, rank_retain, share = _steps(len(forget), len(retain))
  line = lambda x, rank: jnp.sort(distances.product(x, direction), axis=0)[rank]
  gap = line(forget, rank_forget) - line(retain, rank_retain)
  share = jnp.asarray(share, features.dtype)
  return jnp.sqrt((share[:, None] * gap * gap).sum(axis=0).mean())


def _steps(forget: int, retain: int) -> tuple[np.ndarray, ...]:
  """The ranks of both sets on each step of u, and the length of the step."""
  cuts = np.union1d(np.arange(forget + 1) * retain,
                    np.arange(retain + 1) * forget)
  return (cuts[:-1] // retain, cuts[:-1] // forget,
          np.diff(cuts) / (forget * retain))


@jax.jit
def gaussian_wasserstein(features: AnyArray, split: Split) -> Array:
  """Wasserstein-2 distance of two Gaussians with the moments of the two sets.

  `W² = ‖μ_F − μ_R‖² + tr C_F + tr C_R − 2 ‖C_F^½ C_R^½‖_*`. It is a lower bound
  of the squared distance between the two sets. On Inception features it is the
  FID. The nuclear norm is computed from the triangular factors of the centred
  features. So no covariance matrix is formed, and squaring loses no digits.

  Args:
    features: `[N, D]`.
    split: forget set `[F]` and retain set `[R]`.

  Returns:
    W, a scalar in the unit of the features. For two equal sets in float32, it
    is about 1e-3 of their spread instead of 0.

  References:
    Dowson and Landau, The Fréchet distance between multivariate normal
    distributions, 1982; Gelbrich, 1990 (the bound).
  """
  means, factors, traces = [], [], []
  for x in distances.about_mean(features, split):
    means.append(x.mean(axis=0))
    centred = (x - means[-1]) / np.sqrt(len(x)).astype(x.dtype)
    factors.append(jnp.linalg.qr(centred, mode='r'))
    traces.append((centred * centred).sum())
  product = distances.product(factors[0], factors[1].T)
  nuclear = jnp.linalg.svd(product, compute_uv=False).sum()
  between = ((means[0] - means[1])**2).sum()
  return jnp.sqrt(jnp.maximum(between + sum(traces) - 2 * nuclear, 0))


def wasserstein_entanglement(features: AnyArray, split: Split, *,
                             sample: int = 1000, seed: int = 0) -> float:
  """Tang and Khanna's `1 − W₁`, with distances as shares of the largest one.

  Features are scaled to length 1. Equal numbers of examples are drawn from both
  sets, and the optimal transport between them is computed exactly, on the host.
  For equal numbers, the optimal transport is an assignment. The released code
  draws up to 1,000 examples from each set, so the numbers may differ there.

  Args:
    features: `[N, D]`.
    split: forget set `[F]` and retain set `[R]`.
    sample: the largest number of examples to draw from each set; the time grows
      with its cube.
    seed: the seed of the draw.

  Returns:
    A number in `[0, 1]`; 1 if the two samples coincide.

  Raises:
    ValueError: if `sample` is not positive.

  References:
    Tang and Khanna, Sharpness-aware machine unlearning, 2025.
  """
  _checks.check_count('sample', sample, 1)
  rng = np.random.default_rng(seed)
  size = min(sample, *map(len, split))
  drawn = [rng.choice(np.asarray(rows), size, replace=False) for rows in split]
  forget, retain = (_unit(np.asarray(features)[rows]) for rows in drawn)
  cost = distance.cdist(forget, retain)
  if not cost.any():
    return 1.0
  return float(1 - cost[optimize.linear_sum_assignment(cost)].mean()
               / cost.max())


def _unit(x: np.ndarray) -> np.ndarray:
  x = x.astype(np.float64)
  return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
