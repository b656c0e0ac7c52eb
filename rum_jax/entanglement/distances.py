"""Squared distances between features, accurate in single precision."""

from __future__ import annotations

from collections.abc import Callable

from jax import lax
import jax.numpy as jnp

from rum_jax.types import AnyArray, Array, Split


def product(x: Array, y: Array) -> Array:
  """`x @ y` in full precision, even on devices that round the inputs."""
  return jnp.matmul(x, y, precision=lax.Precision.HIGHEST)


def square(x: Array) -> Array:
  """Squared lengths: `[..., D]` to `[...]`."""
  return (x * x).sum(axis=-1)


def unit(features: AnyArray) -> Array:
  """Scales vectors `[..., D]` to length 1; zeros stay zeros."""
  norm = jnp.linalg.norm(features, axis=-1, keepdims=True)
  return jnp.asarray(features) / jnp.maximum(norm, 1e-12)


def about_mean(features: AnyArray, split: Split) -> tuple[Array, Array]:
  """Forget features `[F, D]` and retain features `[R, D]`, minus their mean.

  The features of one example are subtracted first. Otherwise a large common
  offset would make the mean itself inaccurate.
  """
  forget, retain = (features[rows] - features[split.retain[:1]]
                    for rows in split)
  centre = jnp.concatenate([forget, retain]).mean(axis=0, keepdims=True)
  return forget - centre, retain - centre


def squared(x: Array, y: Array) -> Array:
  """Squared distances `[n, m]` of rows `[n, D]` and `[m, D]`.

  It is accurate only if the common mean was subtracted from the features.
  """
  cross = product(x, y.T)
  return jnp.maximum(square(x)[:, None] + square(y) - 2 * cross, 0)


def sum_over_pairs(fn: Callable[[Array], Array], x: Array, y: Array,
                   block: int, *, same: bool = False) -> Array:
  """The sum over the rows of y of a function of the squared distance to x.

  Args:
    fn: a function of each squared distance.
    x: `[n, D]`, minus the common mean.
    y: `[m, D]`, minus the common mean.
    block: the number of rows of x at a time; the memory is that of `block · m`
      numbers.
    same: whether x is y; then no row is paired with itself.

  Returns:
    `[n]`, one sum for each row of x.
  """

  def one(args: tuple[Array, Array]) -> Array:
    row, place = args
    values = fn(squared(row[None], y)[0])
    own = same & (jnp.arange(len(y)) == place)
    return jnp.where(own, 0, values).sum()

  return lax.map(one, (x, jnp.arange(len(x))), batch_size=block)
