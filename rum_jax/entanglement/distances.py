"""Squared distances between features, kept accurate in single precision."""

from __future__ import annotations

from collections.abc import Callable

from jax import lax
import jax.numpy as jnp

from rum_jax.types import AnyArray, Array, Split


def product(x: Array, y: Array) -> Array:
  """`x @ y` in full precision, also where a device would round its inputs."""
  return jnp.matmul(x, y, precision=lax.Precision.HIGHEST)


def square(x: Array) -> Array:
  """`[..., D]` to `[...]`: the squared length."""
  return (x * x).sum(axis=-1)


def unit(features: AnyArray) -> Array:
  """`[..., D]` to length 1; a vector of zeros stays one."""
  norm = jnp.linalg.norm(features, axis=-1, keepdims=True)
  return jnp.asarray(features) / jnp.maximum(norm, 1e-12)


def about_mean(features: AnyArray, split: Split) -> tuple[Array, Array]:
  """Forget `[F, D]` and retain set `[R, D]` about the mean of both.

  First about one example: the mean of numbers with a large common offset would
  itself be too coarse.
  """
  forget, retain = (features[rows] - features[split.retain[:1]]
                    for rows in split)
  centre = jnp.concatenate([forget, retain]).mean(axis=0, keepdims=True)
  return forget - centre, retain - centre


def squared(x: Array, y: Array) -> Array:
  """`[n, D]`, `[m, D]` to `[n, m]`; for features about their common mean."""
  cross = product(x, y.T)
  return jnp.maximum(square(x)[:, None] + square(y) - 2 * cross, 0)


def sum_over_pairs(fn: Callable[[Array], Array], x: Array, y: Array,
                   block: int, *, same: bool = False) -> Array:
  """For each of x the sum over y of a function of their squared distance.

  Args:
    fn: elementwise.
    x: `[n, D]` about the common mean.
    y: `[m, D]` likewise.
    block: rows of x at a time; memory is `block · m` numbers.
    same: whether x is y, and an example not to be paired with itself.

  Returns:
    `[n]`.
  """

  def one(args: tuple[Array, Array]) -> Array:
    row, place = args
    values = fn(squared(row[None], y)[0])
    own = same & (jnp.arange(len(y)) == place)
    return jnp.where(own, 0, values).sum()

  return lax.map(one, (x, jnp.arange(len(x))), batch_size=block)
