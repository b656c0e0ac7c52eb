"""Convolution by products of matrices, with the batch as the minor axis.

XLA's CPU convolution is slow inside a loop and under vmap over weights. A CPU
multiplies matrices instead, laid out as `[C, H, W, B]`: however few the
channels, every sum, copy and product then runs along whole vectors.
"""

from __future__ import annotations

from collections.abc import Callable
import math

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from rum_jax.models import winograd
from rum_jax.models.layout import interleaved, turned
from rum_jax.types import Array

_DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')

# Measured on a CPU with 512 KiB of second-level cache a core.
_FEW = 36  # Terms of a sum that are fewer than a product is worth.
_MANY = 36  # Pixels from which on Winograd's form pays.
_NARROW = 32  # Channels below which Winograd's form pays only forward.
_CACHED = 2**19  # Numbers in a block of patches.

# Rows above and below, columns left and right, that padding adds.
Margins = tuple[tuple[int, int], tuple[int, int]]


def lax_convolution(x: Array, kernel: Array, stride: int = 1,
                    padded: bool = True) -> Array:
  """Convolution by `lax.conv_general_dilated`.

  Args:
    x: `[B, H, W, C]`.
    kernel: `[height, width, C, D]`.
    stride: in both directions.
    padded: half a kernel of zeros on every side, as in PyTorch, so that with
      stride 1 the size stays; otherwise none.

  Returns:
    `[B, H', W', D]`.
  """
  return lax.conv_general_dilated(
      x, kernel, (stride, stride), _margins(kernel, padded),
      dimension_numbers=_DIMENSIONS)


def patch_convolution(x: Array, kernel: Array, stride: int = 1,
                      padded: bool = True) -> Array:
  """The same in the form that suits its shape on a CPU.

  One fused sum where it has few terms; products of matrices elsewhere: of
  points, of the whole image, of patches, or of Winograd's tiles.
  """
  pixels, taps = x.shape[1] * x.shape[2], kernel.shape[0] * kernel.shape[1]
  x, margins = turned(x), _margins(kernel, padded)
  if taps == 1:
    return turned(_multiply_points(x, kernel, stride))
  if pixels < taps:
    return turned(_multiply_whole(x, kernel, stride, margins))
  if taps * len(x) <= _FEW:
    return turned(_sum_taps(x, kernel, stride, margins))
  if kernel.shape[:2] == (3, 3) and stride == 1 and pixels >= _MANY:
    if len(x) < _NARROW:
      return turned(_multiply_tiles(x, kernel, stride, margins))
    return turned(winograd.multiply(x, kernel, margins))
  return turned(_multiply_patches(x, kernel, stride, margins))


def _margins(kernel: Array, padded: bool) -> Margins:
  return tuple(((k - 1) // 2, k // 2) if padded else (0, 0)
               for k in kernel.shape[:2])


def _transposed(weights: Array) -> Array:
  """`weights.T`, written out: a product that turns it itself is slower."""
  return lax.optimization_barrier(weights.T)


def _multiply_points(x: Array, kernel: Array, stride: int) -> Array:
  """1×1: nothing to copy."""
  x = x[:, ::stride, ::stride]
  out = _transposed(kernel[0, 0]) @ x.reshape(len(x), -1)
  return out.reshape(-1, *x.shape[1:])


def _multiply_whole(x: Array, kernel: Array, stride: int, margins: Margins
                    ) -> Array:
  """As a full matrix, cheaper where there are fewer pixels than taps."""
  height, width, channels, features = kernel.shape
  rows, columns, batch = x.shape[1:]
  down = _hits(rows, height, stride, margins[0])
  right = _hits(columns, width, stride, margins[1])
  # One constant for both axes: as three factors this took a sixth of a step.
  pairs = np.einsum('hpi,wqj->hwpqij', down, right)
  matrix = jnp.einsum(
      'tpq,tcf->cpfq', pairs.reshape(height * width, rows * columns, -1),
      kernel.reshape(-1, channels, features))
  weights = _transposed(matrix.reshape(channels * rows * columns, -1))
  out = weights @ x.reshape(-1, batch)
  return out.reshape(features, down.shape[2], right.shape[2], batch)


def _hits(length: int, taps: int, stride: int, margin: tuple[int, int]
          ) -> np.ndarray:
  """`[taps, in, out]`: 1 where a tap of an output lies on an input."""
  reach = length + sum(margin) - taps + 1
  tap, source, target = np.ogrid[:taps, :length, :reach:stride]
  return (source == target + tap - margin[0]).astype(np.int8)


def _padded(x: Array, margins: Margins) -> Array:
  """With so many zeros around, or less of it where there are fewer than 0."""
  padded = lax.pad(x, jnp.zeros((), x.dtype), (
      (0, 0, 0), *((*margin, 0) for margin in margins), (0, 0, 0)))
  # Or XLA would find the middle tap to be `x` and compute that anew in the sum.
  return lax.optimization_barrier(padded)


def _taps(x: Array, kernel: Array, stride: int) -> list[Array]:
  """`[C, H, W, B]` as each tap of a kernel sees it, `[C, H', W', B]`."""
  height, width = kernel.shape[:2]
  rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
  return [x[:, i:i + rows:stride, j:j + columns:stride]
          for i in range(height) for j in range(width)]


def _sum(x: Array, kernel: Array, stride: int, margins: Margins) -> Array:
  """One fused sum: cheaper than a product where it has few terms."""
  taps = _taps(_padded(x, margins), kernel, stride)
  flat = kernel.reshape(len(taps), -1, kernel.shape[-1], 1, 1, 1)
  return sum(tap[c] * flat[t, c]
             for t, tap in enumerate(taps) for c in range(len(x)))


def _blocks(x: Array, kernel: Array, stride: int, margins: Margins
            ) -> tuple[Array, int, Callable[[Array], Array]]:
  """Rows of outputs a few at a time, so that their patches stay in the cache.

  Returns:
    The first row of each block, how many rows it has, and the function from
    the former to its patches `[height · width · C, rows, W', B]`.
  """
  x = _padded(x, margins)
  count = (x.shape[1] - kernel.shape[0]) // stride + 1
  width = (x.shape[2] - kernel.shape[1]) // stride + 1
  row = math.prod(kernel.shape[:3]) * width * x.shape[3]
  rows = max(r for r in range(1, count + 1)
             if count % r == 0 and (r == 1 or r * row <= _CACHED))
  reach = (rows - 1) * stride + kernel.shape[0]

  def patches(first: Array) -> Array:
    seen = lax.dynamic_slice_in_dim(x, first * stride, reach, 1)
    return jnp.concatenate(_taps(seen, kernel, stride))

  return np.arange(0, count, rows), rows, patches


def _multiply(x: Array, kernel: Array, stride: int, margins: Margins) -> Array:
  first, _, patches = _blocks(x, kernel, stride, margins)
  weights = _transposed(kernel.reshape(-1, kernel.shape[-1]))

  def block(first: Array) -> Array:
    columns = patches(first)
    out = weights @ columns.reshape(len(columns), -1)
    return out.reshape(-1, *columns.shape[1:])

  if len(first) == 1:
    return block(first[0])
  out = jnp.moveaxis(lax.map(block, first), 0, 1)
  return out.reshape(len(out), -1, *out.shape[3:])


def _tiles(x: Array, kernel: Array, stride: int, margins: Margins) -> Array:
  del stride  # Is 1.
  return winograd.multiply(x, kernel, margins)


def _save(function: Callable[..., Array]) -> Callable:
  def forward(x: Array, kernel: Array, stride: int, margins: Margins):
    return function(x, kernel, stride, margins), (x, kernel)
  return forward


def _backward(stride: int, margins: Margins, saved, cotangent: Array):
  x, kernel = saved
  return (_input_gradient(cotangent, kernel, stride, margins, x.shape[1:3]),
          _kernel_gradient(x, kernel, stride, margins, cotangent))


def _kernel_gradient(x: Array, kernel: Array, stride: int, margins: Margins,
                     cotangent: Array) -> Array:
  first, rows, patches = _blocks(x, kernel, stride, margins)

  def block(first: Array) -> Array:
    columns = patches(first)
    dy = lax.dynamic_slice_in_dim(cotangent, first, rows, 1)
    return columns.reshape(len(columns), -1) @ dy.reshape(len(dy), -1).T

  total = block(first[0])
  if len(first) > 1:
    total, _ = lax.scan(
        lambda total, first: (total + block(first), None), total, first[1:])
  return total.reshape(kernel.shape)


def _input_gradient(cotangent: Array, kernel: Array, stride: int,
                    margins: Margins, shape: tuple[int, ...]) -> Array:
  """`[C, *shape, B]`: a convolution for each place modulo the stride."""
  counts = [-(-length // stride) for length in shape]

  def tapped(axis: int, place: int) -> tuple[int, tuple[int, int]]:
    """The first tap that such inputs meet, and the margins of outputs."""
    low, taps = margins[axis][0], kernel.shape[axis]
    first, ahead = (place + low) % stride, (place + low) // stride
    reach = len(range(first, taps, stride)) - 1
    end = counts[axis] + ahead - cotangent.shape[axis + 1]
    return first, (reach - ahead, end)

  def part(i: int, j: int) -> Array:
    (row, down), (column, right) = tapped(0, i), tapped(1, j)
    taps = kernel[row::stride, column::stride]
    if not taps.size:
      return jnp.zeros((kernel.shape[2], *counts, cotangent.shape[-1]),
                       kernel.dtype)
    return _multiply(cotangent, jnp.flip(taps, (0, 1)).swapaxes(2, 3), 1,
                     (down, right))

  dx = interleaved([[part(i, j) for j in range(stride)]
                    for i in range(stride)])
  return dx[:, :shape[0], :shape[1]]


_multiply_patches = jax.custom_vjp(_multiply, nondiff_argnums=(2, 3))
_multiply_patches.defvjp(_save(_multiply), _backward)
_multiply_tiles = jax.custom_vjp(_tiles, nondiff_argnums=(2, 3))
_multiply_tiles.defvjp(_save(_tiles), _backward)
_sum_taps = jax.custom_vjp(_sum, nondiff_argnums=(2, 3))
_sum_taps.defvjp(_save(_sum), _backward)
