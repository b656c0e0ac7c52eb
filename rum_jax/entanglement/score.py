"""Entanglement: how much forget and retain set overlap in the embedding.

`ES = (mean ‖φ − μ_R‖² over R + mean ‖φ − μ_F‖² over F)
      / (½ (‖μ_R − μ‖² + ‖μ_F − μ‖²))`

with φ the features of the *original* model and μ their mean over both sets
together. ES is high where the spread of the sets is large compared with the
distance between their means.

With r and f examples in the retain and the forget set, the denominator equals
`½ (r² + f²) / (r + f)² ‖μ_R − μ_F‖²`. In the released code μ is the midpoint of
the two means, and the denominator is `¼ ‖μ_R − μ_F‖²`. This *midpoint* variant
is larger than ES by a factor of up to 2.

References:
  Zhao et al., What makes unlearning hard and what to do about it, 2024.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from rum_jax.entanglement import distances
from rum_jax.types import AnyArray, Array, Split


class _Moments(NamedTuple):
  """Sizes of two sets, `‖μ_R − μ_F‖²`, and the sum of the spreads."""

  forget: Array
  retain: Array
  between: Array
  spread: Array


@functools.partial(jax.jit, static_argnames='midpoint')
def entanglement_score(features: AnyArray, split: Split, *,
                       midpoint: bool = False) -> Array:
  """ES of one split, in two passes; `entanglement_scores` is for many splits.

  As any compiled function, it may still read a NumPy array after it returned:
  do not change `features` in place before the value was read.

  Args:
    features: `[N, D]` embedding under the original model.
    split: forget set `[F]` and retain set `[R]`.
    midpoint: whether μ is the midpoint of the two means, as in the released
      code; such values are not comparable with ES, nor between forget sets of
      different sizes.

  Returns:
    A positive scalar; infinite where the two means coincide.
  """
  forget, retain = distances.about_mean(features, split)
  mean_forget, mean_retain = forget.mean(axis=0), retain.mean(axis=0)
  spread = (distances.square(forget - mean_forget[None]).mean()
            + distances.square(retain - mean_retain[None]).mean())
  between = distances.square(mean_retain - mean_forget)
  size = lambda x: jnp.asarray(len(x), features.dtype)
  moments = _Moments(size(forget), size(retain), between, spread)
  return _midpoint(moments) if midpoint else _pooled(moments)


def double_precision_scores(features: AnyArray, split: Split, *,
                            midpoint: bool = False) -> np.ndarray:
  """ES of one split under S models, in NumPy and double precision.

  The order of its sums does not depend on devices or threads, unlike that of a
  compiled program. So the same features give the same bits on every number of
  devices.

  Args:
    features: `[S, N, D]` embedding under S original models.
    split: forget set `[F]` and retain set `[R]`.
    midpoint: whether μ is the midpoint of the two means, as for
      `entanglement_score`.

  Returns:
    `[S]`; infinite where the two means coincide.
  """

  def one(x: np.ndarray) -> float:
    forget, retain = (np.asarray(x[np.asarray(rows)], np.float64)
                      for rows in (split.forget, split.retain))
    means = forget.mean(axis=0), retain.mean(axis=0)
    spread = sum(((part - mean)**2).sum(axis=1).mean()
                 for part, mean in zip((forget, retain), means))
    between = ((means[1] - means[0])**2).sum()
    f, r = len(forget), len(retain)
    share = 1 / 4 if midpoint else (r**2 + f**2) / (2 * (r + f)**2)
    with np.errstate(divide='ignore'):
      return float(np.divide(spread, share * between))

  return np.array([one(np.asarray(x)) for x in features])


def entanglement_scores(features: AnyArray, forget: AnyArray,
                        retain: AnyArray | None = None,
                        weight: AnyArray | None = None) -> Array:
  """ES of many candidate forget sets, in one pass over the features.

  The sums over a candidate's retain set are the sums over all rows of `retain`
  minus those over the candidate. So one product of a `[G, N]` matrix of zeros
  and ones with the features gives all of them, without copies of G retain sets.
  The mean is subtracted from the features first, so that an offset causes no
  loss of precision. The relative error in float32 is about 1e-6 (1 + 1 / ES).

  Args:
    features: `[..., N, D]`, finite; leading axes such as seeds are kept, and
      computed one after the other.
    forget: `[G, F]` rows of G candidates, which may overlap.
    retain: `[R]` rows that may be retained, by default all N; the retain set of
      a candidate is these rows without its own.
    weight: `[G, F]`, 1, or 0 where a row is padding of a smaller candidate.

  Returns:
    `[..., G]`; infinite where the two means are equal, NaN where the retain set
    is empty.

  Raises:
    ValueError: if shapes do not fit, a row is not a whole number in `[0, N)`,
      or a candidate holds a row twice. Values are not checked under jit.
  """
  _check(features, forget, retain, weight)
  return _scores(_pooled, features, forget, retain, weight)


def midpoint_scores(features: AnyArray, forget: AnyArray,
                    retain: AnyArray | None = None,
                    weight: AnyArray | None = None) -> Array:
  """As `entanglement_scores`, with μ the midpoint of the two means."""
  _check(features, forget, retain, weight)
  return _scores(_midpoint, features, forget, retain, weight)


def _pooled(m: _Moments) -> Array:
  share = (m.retain**2 + m.forget**2) / (2 * (m.retain + m.forget)**2)
  return m.spread / (share * m.between)


def _midpoint(m: _Moments) -> Array:
  return m.spread / (m.between / 4)


@functools.partial(jax.jit, static_argnums=0)
def _scores(ratio: Callable[[_Moments], Array], features: Array, forget: Array,
            retain: Array | None, weight: Array | None) -> Array:
  return ratio(_moments(features, forget, retain, weight))


def _moments(features: Array, forget: Array, retain: Array | None,
             weight: Array | None) -> _Moments:
  """Sizes `[G]` and sums `[..., G]` of all candidates."""
  *leading, n, _ = features.shape
  groups, dtype = forget.shape[0], features.dtype
  held = jnp.zeros((groups, n), dtype).at[
      jnp.arange(groups)[:, None], forget].add(
          1 if weight is None else jnp.asarray(weight, dtype))
  if retain is None:
    kept, rows = jnp.ones((1, n), dtype), held
  else:
    kept = jnp.zeros((1, n), dtype).at[0, retain].set(1)
    rows = jnp.concatenate([held, held * kept])
  rows = jnp.concatenate([rows, kept])
  counts = rows.sum(axis=1)
  sizes = counts[:groups], counts[-1] - counts[-1 - groups:-1]

  def one(x: Array) -> tuple[Array, Array]:
    x = x - x[0]  # Otherwise a large offset makes the mean itself inaccurate.
    x = x - distances.product(kept, x) / counts[-1]
    square = distances.square(x)
    typical = square.mean()
    both = jnp.concatenate([x, square[:, None] - typical], axis=1)
    sums = distances.product(rows, both)
    rest = sums[-1] - sums[-1 - groups:-1]
    means = [total / size[:, None]
             for total, size in zip((sums[:groups], rest), sizes)]
    spreads = [m[:, -1] + typical - distances.square(m[:, :-1]) for m in means]
    return (distances.square(means[0][:, :-1] - means[1][:, :-1]),
            jnp.asarray(sum(spreads)))

  between, spread = lax.map(one, features.reshape(-1, *features.shape[-2:]))
  shape = (*leading, groups)
  return _Moments(*sizes, between.reshape(shape), spread.reshape(shape))


def _check(features: AnyArray, forget: AnyArray, retain: AnyArray | None,
           weight: AnyArray | None) -> None:
  """Raises the errors that `entanglement_scores` documents."""
  shape, n = jnp.shape(forget), jnp.shape(features)[-2]
  if len(shape) != 2 or not shape[1]:
    raise ValueError(f'Expected forget of shape [G, F], found {shape}.')
  if weight is not None and jnp.shape(weight) != shape:
    raise ValueError(f'Expected weight {jnp.shape(weight)} to have the shape '
                     f'of forget {shape}.')
  for name, rows in (('forget', forget), ('retain', retain)):
    if rows is None or isinstance(rows, jax.core.Tracer):
      continue
    rows = np.asarray(rows)
    if not np.issubdtype(rows.dtype, np.integer):
      raise ValueError(f'Expected rows as whole numbers, found {rows.dtype} '
                       f'in {name}.')
    if rows.size and not 0 <= rows.min() <= rows.max() < n:
      raise ValueError(f'Expected rows in [0, {n}), found {rows.min()}..'
                       f'{rows.max()} in {name}.')
  if any(isinstance(x, jax.core.Tracer) for x in (forget, weight)):
    return
  padding = -1 - np.arange(shape[1])
  inside = np.asarray(forget) if weight is None else np.where(
      np.asarray(weight) > 0, forget, padding)
  order = np.sort(inside, axis=1)
  group, column = np.nonzero(order[:, 1:] == order[:, :-1])
  if group.size:
    raise ValueError(f'Expected no row twice in a forget set, found row '
                     f'{order[group[0], column[0]]} in number {group[0]}.')


@jax.jit
def centroid_distance(features: AnyArray) -> Array:
  """The distance of each example to the mean: `[..., N, D]` to `[..., N]`."""
  centre = features.mean(axis=-2, keepdims=True)
  return jnp.linalg.norm(features - centre, axis=-1)


def principal_plane(features: AnyArray) -> Array:
  """Projection on the first two principal components, for plots.

  Args:
    features: `[N, D]`.

  Returns:
    `[N, 2]`; the sign of each axis is chosen such that its largest loading is
    positive, so that plots of different runs have the same orientation.
  """
  centred = features - features.mean(axis=0)
  _, vectors = jnp.linalg.eigh(centred.T @ centred)
  axes = vectors[:, :-3:-1]
  largest = jnp.take_along_axis(
      axes, jnp.abs(axes).argmax(axis=0)[None], axis=0)
  return jax.lax.stop_gradient(centred @ (axes * jnp.sign(largest)))
