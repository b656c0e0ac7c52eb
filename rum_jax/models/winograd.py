"""3×3 convolution with 36 products for every sixteen outputs instead of 144.

A tile of 6×6 inputs d gives a tile of 4×4 outputs Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A, the
product ⊙ being one of matrices for each of 36 points, summed over channels. The
sums before and after it are exact but for rounding, which is three to five
times that of a direct sum.

References:
  Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR
  2016: F(4×4, 3×3).
"""

from __future__ import annotations

from collections.abc import Sequence
import functools

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from rum_jax.models.layout import separately
from rum_jax.models.patches import Margins
from rum_jax.types import Array

_TILE, _TAPS = 4, 3  # Outputs and taps along an axis.
# Where polynomials are multiplied, and at infinity. With the usual ±2, or ±½,
# instead of the last two, rounding is twice as coarse.
_POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)


def _toom_cook() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Aᵀ, G and Bᵀ: `[outputs, points]`, `[points, taps]`, `[points, inputs]`."""

  def powers(count: int) -> np.ndarray:
    return np.vstack([np.vander(_POINTS, count, increasing=True),
                      np.eye(count)[-1]])

  others = [np.delete(_POINTS, i) for i in range(len(_POINTS))]
  slopes = [np.prod(point - rest) for point, rest in zip(_POINTS, others)]
  inputs = [[*np.poly(rest)[::-1], 0.0] for rest in others]
  return (powers(_TILE).T, powers(_TAPS) / np.vstack([*slopes, 1.0]),
          np.array([*inputs, np.poly(_POINTS)[::-1]]))


_OUTPUT, _KERNEL, _INPUT = _toom_cook()
# `[36, 9]`: both axes at once, points along a row first.
_KERNELS = np.einsum('bj,ai->baij', _KERNEL, _KERNEL).reshape(
    len(_KERNEL)**2, -1)


def _mixed(matrix: np.ndarray, parts: Sequence[Array]) -> list[Array]:
  """`matrix @ parts`, one fused sum a row."""
  return [functools.reduce(jnp.add, (
      float(weight) * part for weight, part in zip(row, parts) if weight))
          for row in matrix]


def _cut(x: Array, matrix: np.ndarray, count: int, axis: int) -> list[Array]:
  """Points along an axis of so many tiles, each of which is that long."""
  reach = _TILE * (count - 1) + 1
  return _mixed(matrix, [
      lax.slice_in_dim(x, i, i + reach, _TILE, axis)
      for i in range(matrix.shape[1])])


def _joined(parts: Sequence[Array], axis: int) -> Array:
  """Lays tiles side by side; what reaches over a tile is added to the next."""
  if len(parts) > _TILE:
    before, after = [[(0, 0)] * parts[0].ndim for _ in range(2)]
    before[axis], after[axis] = (1, 0), (0, 1)
    late = [jnp.pad(part, before) for part in parts[_TILE:]]
    early = [jnp.pad(part, after) for part in parts[:_TILE]]
    parts = [*map(jnp.add, early, late), *early[len(late):]]
  y = jnp.stack(parts, axis + 1)
  return y.reshape(*y.shape[:axis], -1, *y.shape[axis + 2:])


def _points(x: Array, matrix: np.ndarray, margins: Margins,
            counts: Sequence[int]) -> list[Array]:
  """All points of `x`, with so many zeros around.

  Returns:
    For each point along a row of a tile, those of the six along a column
    `[6, C, tiles · B]`.
  """

  def cut_rows(x: Array) -> Array:
    padded = jnp.pad(x, ((0, 0), *margins, (0, 0)))
    return jnp.stack(_cut(padded, matrix, counts[0], 1))

  def cut_columns(lines: Array) -> list[Array]:
    return _cut(lines, matrix, counts[1], 3)

  points = separately(cut_columns, separately(cut_rows, x))
  return [point.reshape(*point.shape[:2], -1) for point in points]


def _image(products: Sequence[Array], matrix: np.ndarray,
           counts: Sequence[int], window: Sequence[tuple[int, int]]) -> Array:
  """`[D, H, W, B]`, the inverse.

  Args:
    products: as `_points` gives them.
    matrix: `[pixels, points]` along an axis of a tile.
    counts: of tiles down and right.
    window: first row and the one after the last; the same of columns.
  """
  grid = [x.reshape(*x.shape[:2], *counts, -1) for x in products]

  def join_columns(grid: Sequence[Array]) -> Array:
    joined = _joined(_mixed(matrix, grid), 3)
    return lax.slice_in_dim(joined, *window[1], axis=3)

  def join_rows(lines: Array) -> Array:
    return lax.slice_in_dim(
        _joined(_mixed(matrix, lines), 1), *window[0], axis=1)

  return separately(join_rows, separately(join_columns, grid))


def _weights(kernel: Array) -> Array:
  """`[6, 6, C, D]`, points along a row first."""
  flat = jnp.asarray(_KERNELS, kernel.dtype) @ kernel.reshape(_TAPS**2, -1)
  return flat.reshape(len(_KERNEL), len(_KERNEL), *kernel.shape[2:])


def _sizes(x: Array, margins: Margins) -> list[int]:
  """Rows and columns of outputs for `x` `[C, H, W, B]`."""
  return [n + sum(margin) - _TAPS + 1
          for n, margin in zip(x.shape[1:3], margins)]


def _tiles(x: Array, margins: Margins) -> tuple[Margins, list[int]]:
  """Margins that make tiles whole, and how many there are down and right."""
  counts = [-(-size // _TILE) for size in _sizes(x, margins)]
  missing = [_TILE * count - size
             for count, size in zip(counts, _sizes(x, margins))]
  return tuple((low, high + more) for (low, high), more in zip(
      margins, missing)), counts


def _multiply(x: Array, kernel: Array, margins: Margins) -> Array:
  whole, counts = _tiles(x, margins)
  weights = _weights(lax.optimization_barrier(kernel.swapaxes(2, 3)))
  products = [w @ p for w, p in zip(
      weights, _points(x, _INPUT, whole, counts), strict=True)]
  return _image(products, _OUTPUT, counts, [(0, n) for n in _sizes(x, margins)])


def _forward(x: Array, kernel: Array, margins: Margins):
  return _multiply(x, kernel, margins), (x, kernel)


def _backward(margins: Margins, saved, cotangent: Array):
  """The transposes of the forward's steps, in reverse order."""
  x, kernel = saved
  whole, counts = _tiles(x, margins)
  points = _points(x, _INPUT, whole, counts)
  ends = [(0, _TILE * count - n)
          for count, n in zip(counts, cotangent.shape[1:3])]
  slopes = _points(cotangent, _OUTPUT.T, ends, counts)
  products = [p @ s.mT for p, s in zip(points, slopes, strict=True)]
  dkernel = (jnp.asarray(_KERNELS.T, x.dtype)
             @ jnp.stack(products).reshape(len(_KERNELS), -1))
  window = [(low, low + n) for (low, _), n in zip(margins, x.shape[1:3])]
  dx = _image([w @ s for w, s in zip(_weights(kernel), slopes, strict=True)],
              _INPUT.T, counts, window)
  return dx, dkernel.reshape(kernel.shape)


_convolve = jax.custom_vjp(_multiply, nondiff_argnums=(2,))
_convolve.defvjp(_forward, _backward)


def multiply(x: Array, kernel: Array, margins: Margins) -> Array:
  """Convolution with stride 1; half precision is computed in single.

  Args:
    x: `[C, H, W, B]`.
    kernel: `[3, 3, C, D]`.
    margins: of zeros, above and below, left and right.

  Returns:
    `[D, H', W', B]`.
  """
  exact = jnp.promote_types(x.dtype, jnp.float32)
  return _convolve(x.astype(exact), kernel.astype(exact), margins).astype(
      x.dtype)
