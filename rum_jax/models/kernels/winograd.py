"""Winograd's 3×3 convolution: 36 products for 16 outputs instead of 144.

A tile of 6×6 inputs d gives a tile of 4×4 outputs Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A. The
product ⊙ is a matrix product for each of 36 points, which sums over channels.
The method is exact except for rounding errors, which are three to five times
those of a direct sum.

References:
  Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR
  2016: F(4×4, 3×3).
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
import math

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from rum_jax.models.kernels.layout import in_blocks, interleaved, separately
from rum_jax.models.kernels.patches import Margins, transposed
from rum_jax.types import Array

_TILE, _TAPS = 4, 3  # Outputs and taps along an axis.
# The points at which polynomials are evaluated, besides infinity. With the
# usual ±2 or ±½ instead of the last two, rounding errors are at least 1.5 times
# as large.
_POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)


def _toom_cook() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Aᵀ, G and Bᵀ: `[outputs, points]`, `[points, taps]`, `[points, inputs]`."""

  def powers(count: int) -> np.ndarray:
    return np.vstack([np.vander(_POINTS, count, increasing=True),
                      np.eye(count)[-1]])

  others = [np.delete(_POINTS, i) for i in range(len(_POINTS))]
  scales = [np.prod(point - rest) for point, rest in zip(_POINTS, others)]
  inputs = [[*np.poly(rest)[::-1], 0.0] for rest in others]
  return (powers(_TILE).T, powers(_TAPS) / np.vstack([*scales, 1.0]),
          np.array([*inputs, np.poly(_POINTS)[::-1]]))


_OUTPUT, _KERNEL, _INPUT = _toom_cook()
# `[36, 9]`: G on both axes at once, points along a row first.
_BOTH_AXES = np.einsum('bj,ai->baij', _KERNEL, _KERNEL).reshape(
    len(_KERNEL)**2, -1)


def _mixed(matrix: np.ndarray, parts: Sequence[Array] | Array
           ) -> list[Array]:
  """`matrix @ parts`, with one fused sum for each row."""
  return [functools.reduce(jnp.add, (
      float(weight) * part for weight, part in zip(row, parts) if weight))
          for row in matrix]


def _cut(x: Array, matrix: np.ndarray, count: int, axis: int) -> list[Array]:
  """An array for each row of `matrix`, with `count` tiles along `axis`."""
  reach = _TILE * (count - 1) + 1
  return _mixed(matrix, [
      lax.slice_in_dim(x, i, i + reach, _TILE, axis)
      for i in range(matrix.shape[1])])


def _joined(parts: Sequence[Array], axis: int) -> Array:
  """Joins tiles along an axis; rows beyond a tile are added to the next."""
  if len(parts) > _TILE:
    before, after = [[(0, 0)] * parts[0].ndim for _ in range(2)]
    before[axis], after[axis] = (1, 0), (0, 1)
    late = [jnp.pad(part, before) for part in parts[_TILE:]]
    early = [jnp.pad(part, after) for part in parts[:_TILE]]
    parts = [*map(jnp.add, early, late), *early[len(late):]]
  return interleaved(parts, axis)


def _points(x: Array, matrix: np.ndarray, starts: Sequence[int],
            counts: Sequence[int]) -> list[Array]:
  """The values of all tiles of `x` at all points.

  Args:
    x: `[C, H, W, B]`.
    matrix: `[points, pixels]` along an axis of a tile.
    starts: the number of zeros above and at the left. Below and at the right,
      there are as many as fill the tiles.
    counts: the numbers of tiles, down and right.

  Returns:
    For each point along a row of a tile, the values `[6, C, tiles · B]` at the
    six points along a column.
  """
  lengths = [_TILE * (count - 1) + matrix.shape[1] for count in counts]
  margins = [(low, length - low - n)
             for low, length, n in zip(starts, lengths, x.shape[1:3])]

  def cut_rows(x: Array) -> Array:
    padded = jnp.pad(x, ((0, 0), *margins, (0, 0)))
    return jnp.stack(_cut(padded, matrix, counts[0], 1))

  def cut_columns(lines: Array) -> list[Array]:
    return _cut(lines, matrix, counts[1], 3)

  points = separately(cut_columns, separately(cut_rows, x))
  return [point.reshape(*point.shape[:2], math.prod(point.shape[2:]))
          for point in points]


def _image(products: Sequence[Array], matrix: np.ndarray,
           tiles: Sequence[int], window: Sequence[tuple[int, int]]) -> Array:
  """The image `[D, H, W, B]` from its values at the points.

  Args:
    products: the products that `_points` returned.
    matrix: `[pixels, points]` along an axis of a tile.
    tiles: the numbers of tiles down and right, and B.
    window: the first row and the row after the last one, then the same for
      columns.
  """
  grid = [x.reshape(*x.shape[:2], *tiles) for x in products]

  def join_columns(grid: Sequence[Array]) -> Array:
    joined = _joined(_mixed(matrix, grid), 3)
    return lax.slice_in_dim(joined, *window[1], axis=3)

  def join_rows(lines: Array) -> Array:
    return lax.slice_in_dim(
        _joined(_mixed(matrix, lines), 1), *window[0], axis=1)

  return separately(join_rows, separately(join_columns, grid))


def _weights(kernel: Array) -> Array:
  """The values `[6, 6, …]` of a kernel `[3, 3, …]` at all points."""
  matrix = jnp.asarray(_BOTH_AXES, kernel.dtype)
  flat = matrix @ kernel.reshape(_TAPS**2, -1)
  return flat.reshape(len(_KERNEL), len(_KERNEL), *kernel.shape[2:])


def _counts(sizes: Sequence[int]) -> list[int]:
  """The numbers of tiles for these numbers of rows and columns of outputs."""
  return [-(-size // _TILE) for size in sizes]


def _exact(x: Array) -> Array:
  """The array in single precision at least, for accurate transforms."""
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _forward(x: Array, kernel: Array, margins: Margins):
  # It calls `multiply`, so that second derivatives use this rule, too.
  return multiply(x, kernel, margins), (x, kernel)


def _backward(margins: Margins, saved, cotangent: Array):
  """The transposed steps of the forward pass, in reverse order."""
  kinds = [a.dtype for a in saved]
  x, kernel, cotangent = map(_exact, (*saved, cotangent))
  starts, counts = [low for low, _ in margins], _counts(cotangent.shape[1:3])

  def some(images: tuple[Array, Array], weights: Array):
    x, cotangent = images
    points = _points(x, _INPUT, starts, counts)
    slopes = _points(cotangent, _OUTPUT.T, (0, 0), counts)
    products = [p @ s.mT for p, s in zip(points, slopes, strict=True)]
    dx = _image([w @ s for w, s in zip(weights, slopes, strict=True)],
                _INPUT.T, [*counts, x.shape[3]],
                [(low, low + n) for low, n in zip(starts, x.shape[1:3])])
    return dx, jnp.stack(products)

  dx, products = in_blocks(some, (x, cotangent), _weights(kernel))
  dkernel = (jnp.asarray(_BOTH_AXES.T, x.dtype)
             @ products.reshape(len(_BOTH_AXES), -1))
  return dx.astype(kinds[0]), dkernel.reshape(kernel.shape).astype(kinds[1])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def multiply(x: Array, kernel: Array, margins: Margins) -> Array:
  """Convolution with stride 1, computed in single precision at least.

  Args:
    x: `[C, H, W, B]`.
    kernel: `[3, 3, C, D]`.
    margins: the margins of zeros, above and below, left and right.

  Returns:
    `[D, H', W', B]`.
  """
  kind, x, kernel = x.dtype, _exact(x), _exact(kernel)
  sizes = [n + sum(margin) - _TAPS + 1
           for n, margin in zip(x.shape[1:3], margins)]

  def some(x: Array, weights: Array) -> tuple[Array, tuple[()]]:
    points = _points(x, _INPUT, [low for low, _ in margins], _counts(sizes))
    products = [w @ p for w, p in zip(weights, points, strict=True)]
    return _image(products, _OUTPUT, [*_counts(sizes), x.shape[3]],
                  [(0, size) for size in sizes]), ()

  return in_blocks(some, x, _weights(transposed(kernel)))[0].astype(kind)


multiply.defvjp(_forward, _backward)
