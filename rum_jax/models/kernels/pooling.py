"""Pooling without `lax.reduce_window`, which has a slow gradient."""

from __future__ import annotations

import functools

import jax
from jax import lax
import jax.numpy as jnp

from rum_jax.models.kernels.layout import in_platform_layout
from rum_jax.types import Array


def max_pool(x: Array) -> Array:
  """2×2 max-pool with stride 2 of `[B, H, W, C]`: `[B, ⌊H/2⌋, ⌊W/2⌋, C]`.

  As in PyTorch, the last row or column of an odd size is left out.

  Raises:
    ValueError: if H or W is below 2.
  """
  height, width = (n // 2 * 2 for n in x.shape[1:3])
  if not height or not width:
    raise ValueError(
        f'Expected a height and width of at least 2, found {x.shape[1:3]}.')

  def pool(x: Array, channel: int) -> Array:
    del channel
    return _pooled(x[:, :height, :width])

  return in_platform_layout(pool, x)


def _pairs(x: Array) -> Array:
  """`[..., H, W, ...]` as `[..., H / 2, 2, W / 2, 2, ...]`."""
  first, height, width, last = x.shape
  return x.reshape(first, height // 2, 2, width // 2, 2, last)


@jax.custom_vjp
def _pooled(x: Array) -> Array:
  return _pairs(x).max((2, 4))


def _pool_backward(x: Array, dy: Array) -> tuple[Array]:
  """The gradient of the max-pool; equal maxima share it equally."""

  def share(mine: Array, other: Array) -> Array:
    return jnp.where(mine > other, 1, jnp.where(mine == other, 0.5, 0))

  pairs = _pairs(x)
  others = jnp.flip(pairs, 2)
  columns = jnp.maximum(pairs, others)
  dx = dy[:, :, None, :, None] * share(pairs, others) * share(
      columns, jnp.flip(columns, 4))
  return dx.reshape(x.shape),


_pooled.defvjp(lambda x: (_pooled(x), x), _pool_backward)


def overlapping_max_pool(x: Array) -> Array:
  """3×3 max-pool with stride 2 of `[B, H, W, C]`, one pixel of padding."""

  def pool(x: Array, channel: int) -> Array:
    del channel
    for axis in (1, 2):
      margins = [(0, 0)] * 4
      margins[axis] = 1, 1
      x = jnp.pad(x, margins, constant_values=-jnp.inf)
      end = x.shape[axis]
      x = functools.reduce(jnp.maximum, (
          lax.slice_in_dim(x, i, end - 2 + i, 2, axis) for i in range(3)))
    return x

  return in_platform_layout(pool, x)


def mean_pool(x: Array, size: int = 1) -> Array:
  """Means of `size`×`size` regions of `[B, H, W, C]`.

  Args:
    x: `[B, H, W, C]`.
    size: number of regions in each direction; 1 is the mean of the whole image.
      Where H or W is not a multiple of it, the regions overlap.

  Returns:
    `[B, C · size · size]`, channels first as in PyTorch, so that weights from
    PyTorch can be used.
  """

  def regions(length: int) -> list[slice]:
    return [slice(i * length // size, -(-(i + 1) * length // size))
            for i in range(size)]

  def pool(x: Array, channel: int) -> Array:
    means = jnp.stack([
        x[:, rows, columns].mean((1, 2))
        for rows in regions(x.shape[1]) for columns in regions(x.shape[2])])
    return means.transpose((1, 2, 0) if channel else (2, 1, 0))

  return in_platform_layout(pool, x).reshape(len(x), -1)
