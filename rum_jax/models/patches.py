"""Convolution by products of matrices of patches.

Arrays are laid out as `[C, H, W, B]`, see `convolution`; the patches of a few
rows of outputs at a time stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
import math

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from rum_jax.models.layout import interleaved
from rum_jax.types import Array

_CACHED = 2**19  # Numbers in a block of patches; measured with 512 KiB a core.

# Rows above and below, columns left and right, that padding adds.
Margins = tuple[tuple[int, int], tuple[int, int]]

# `(x [C, H, W, B], kernel [height, width, C, D], stride, margins)` to
# `[D, H', W', B]`.
Convolution = Callable[[Array, Array, int, Margins], Array]


def transposed(weights: Array) -> Array:
  """`weights.T`, written out: a product that turns it itself is slower."""
  return lax.optimization_barrier(weights.T)


def padded(x: Array, margins: Margins) -> Array:
  """With so many zeros around, or less of it where there are fewer than 0."""
  padded = lax.pad(x, jnp.zeros((), x.dtype), (
      (0, 0, 0), *((*margin, 0) for margin in margins), (0, 0, 0)))
  # Or XLA would find the middle tap to be `x` and compute that anew in the sum.
  return lax.optimization_barrier(padded)


def taps_of(x: Array, kernel: Array, stride: int) -> list[Array]:
  """`[C, H, W, B]` as each tap of a kernel sees it, `[C, H', W', B]`."""
  height, width = kernel.shape[:2]
  rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
  return [x[:, i:i + rows:stride, j:j + columns:stride]
          for i in range(height) for j in range(width)]


def _blocks(x: Array, kernel: Array, stride: int, margins: Margins
            ) -> tuple[Array, int, Callable[[Array], Array]]:
  """Rows of outputs a few at a time, so that their patches stay in the cache.

  Returns:
    The first row of each block, how many rows it has, and the function from
    the former to its patches `[height · width · C, rows, W', B]`.
  """
  x = padded(x, margins)
  count = (x.shape[1] - kernel.shape[0]) // stride + 1
  width = (x.shape[2] - kernel.shape[1]) // stride + 1
  row = math.prod(kernel.shape[:3]) * width * x.shape[3]
  rows = max(r for r in range(1, count + 1)
             if count % r == 0 and (r == 1 or r * row <= _CACHED))
  reach = (rows - 1) * stride + kernel.shape[0]

  def patches(first: Array) -> Array:
    seen = lax.dynamic_slice_in_dim(x, first * stride, reach, 1)
    return jnp.concatenate(taps_of(seen, kernel, stride))

  return np.arange(0, count, rows), rows, patches


def _multiply(x: Array, kernel: Array, stride: int, margins: Margins) -> Array:
  first, _, patches = _blocks(x, kernel, stride, margins)
  weights = transposed(kernel.reshape(-1, kernel.shape[-1]))

  def block(first: Array) -> Array:
    columns = patches(first)
    out = weights @ columns.reshape(len(columns), -1)
    return out.reshape(-1, *columns.shape[1:])

  if len(first) == 1:
    return block(first[0])
  out = jnp.moveaxis(lax.map(block, first), 0, 1)
  return out.reshape(len(out), -1, *out.shape[3:])


def kernel_gradient(x: Array, kernel: Array, stride: int, margins: Margins,
                    cotangent: Array) -> Array:
  """Of a convolution of `x` whose output has the gradient `cotangent`."""
  first, _, patches = _blocks(x, kernel, stride, margins)
  if len(first) == 1:
    columns = patches(0).reshape(-1, cotangent[0].size)
    total = columns @ cotangent.reshape(len(cotangent), -1).T
  else:
    total = _gradient_by_rows(padded(x, margins), kernel, stride, cotangent)
  return total.reshape(kernel.shape)


def _gradient_by_rows(x: Array, kernel: Array, stride: int, cotangent: Array
                      ) -> Array:
  """`[height, width · C, D]`, by one row of outputs after the other.

  The patches of a row lie in a buffer. To go on to the next row, only the rows
  of inputs that it does not share with the last one are written, over those
  that it no longer needs. That and the shapes, two-dimensional wherever a
  product follows, are for XLA's sake: it would copy every patch twice, and
  compute slices that it fuses with a change of shape one number at a time.
  """
  height, width, channels, features = kernel.shape
  rows, batch = cotangent.shape[1], x.shape[-1]
  length = cotangent.shape[2] * batch
  columns = [x[:, :, j::stride] for j in range(stride)]

  def write(buffer: Array, row: Array) -> Array:
    for j in range(width):
      lines = columns[j % stride].reshape(channels, x.shape[1], -1)
      line = lax.dynamic_slice(lines, (0, row, j // stride * batch),
                               (channels, 1, length)).reshape(channels, length)
      place = (row % height * width + j) * channels
      buffer = lax.dynamic_update_slice(buffer, line, (place, 0))
    return buffer

  def add(carry: tuple[Array, Array], row: Array):
    total, buffer = carry
    for i in range(max(height - stride, 0), height):
      buffer = write(buffer, row * stride + i)
    dy = lax.dynamic_index_in_dim(
        cotangent.reshape(features, rows, length), row, 1, keepdims=False)
    product = (buffer @ dy.T).reshape(height, -1, features)
    return (total + jnp.roll(product, -row * stride, 0), buffer), None

  total = jnp.zeros((height, width * channels, features), x.dtype)
  buffer = jnp.zeros((total.size // features, length), x.dtype)
  for i in range(height - stride):
    buffer = write(buffer, i)
  return lax.scan(add, (total, buffer), jnp.arange(rows))[0][0]


def _input_gradient(convolve: Convolution, cotangent: Array, kernel: Array,
                    stride: int, margins: Margins, shape: tuple[int, ...]
                    ) -> Array:
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
    mirrored = jnp.flip(taps, (0, 1)).swapaxes(2, 3)
    return convolve(cotangent, mirrored, 1, (down, right))

  dx = interleaved([[part(i, j) for j in range(stride)]
                    for i in range(stride)])
  return dx[:, :shape[0], :shape[1]]


def differentiable(forward: Convolution, backward: Convolution | None = None
                   ) -> Convolution:
  """A convolution with fast gradients.

  Args:
    forward: the convolution.
    backward: of stride 1, for the gradient of its input; by default itself.
  """

  def save(x: Array, kernel: Array, stride: int, margins: Margins):
    # Not `forward`: where this is differentiated, the rule is to be used again.
    return function(x, kernel, stride, margins), (x, kernel)

  def gradients(stride: int, margins: Margins, saved, cotangent: Array):
    x, kernel = saved
    dx = _input_gradient(backward or function, cotangent, kernel, stride,
                         margins, x.shape[1:3])
    return dx, kernel_gradient(x, kernel, stride, margins, cotangent)

  function = jax.custom_vjp(forward, nondiff_argnums=(2, 3))
  function.defvjp(save, gradients)
  return function


multiply = differentiable(_multiply)
