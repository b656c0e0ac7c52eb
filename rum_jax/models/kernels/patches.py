"""Convolution by products of matrices of patches.

Arrays have the layout `[C, H, W, B]`, as in `convolution`. If there are few
patches, those of all outputs are made at once. Otherwise they are made for one
row of outputs after the other, so that they stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math

import jax
from jax import lax
import jax.numpy as jnp

from rum_jax.models.kernels import patch_rows
from rum_jax.models.kernels.layout import interleaved, separately
from rum_jax.types import Array

_CACHED = 2**20  # Numbers in all patches, at most, that are made at once.

# Rows above and below, and columns left and right, of padding.
Margins = tuple[tuple[int, int], tuple[int, int]]

# `(x [C, H, W, B], kernel [height, width, C, D], stride, margins)` to
# `[D, H', W', B]`.
Convolution = Callable[[Array, Array, int, Margins], Array]


def margins_of(kernel: Array, padded: bool) -> Margins:
  """Half a kernel on every side, which keeps the size with stride 1."""
  rows, columns = (((k - 1) // 2, k // 2) if padded else (0, 0)
                   for k in kernel.shape[:2])
  return rows, columns


def transposed(weights: Array) -> Array:
  """`weights.mT` as an array, because transposing in a product is slower."""
  return lax.optimization_barrier(weights.mT)


def padded(x: Array, margins: Margins) -> Array:
  """`x` with margins of zeros; negative margins remove rows or columns."""
  wide = lax.pad(x, jnp.zeros((), x.dtype), (
      (0, 0, 0), *((*margin, 0) for margin in margins), (0, 0, 0)))
  # Otherwise XLA would replace the middle tap by `x` and compute `x` again.
  return lax.optimization_barrier(wide)


def taps_of(x: Array, kernel: Array, stride: int) -> list[Array]:
  """The part `[C, H', W', B]` of `x` that each tap of a kernel reads."""
  height, width = kernel.shape[:2]
  rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
  return [x[:, i:i + rows:stride, j:j + columns:stride]
          for i in range(height) for j in range(width)]


def _is_small(kernel: Array, shape: Sequence[int]) -> bool:
  """Whether the patches of outputs `[D, H', W', B]` are made at once."""
  return math.prod(kernel.shape[:3]) * math.prod(shape[1:]) <= _CACHED


def _output_shape(x: Array, kernel: Array, stride: int) -> tuple[int, ...]:
  """`(D, H', W', B)` for a padded `x`."""
  rows, columns = ((n - k) // stride + 1
                   for n, k in zip(x.shape[1:3], kernel.shape))
  return kernel.shape[3], rows, columns, x.shape[3]


def _all_patches(x: Array, kernel: Array, stride: int) -> Array:
  """`[height · width · C, H' · W' · B]`."""
  terms = math.prod(kernel.shape[:3])
  return jnp.concatenate(taps_of(x, kernel, stride)).reshape(terms, -1)


def _multiply(x: Array, kernel: Array, stride: int, margins: Margins) -> Array:
  x, features = padded(x, margins), kernel.shape[3]
  shape = _output_shape(x, kernel, stride)
  weights = transposed(kernel.reshape(-1, features))
  if _is_small(kernel, shape):
    return (weights @ _all_patches(x, kernel, stride)).reshape(shape)

  def multiply_row(carry: None, row: Array, patches: Array):
    rolled = jnp.roll(weights.reshape(features, len(kernel), -1),
                      row * stride, 1)
    return carry, rolled.reshape(weights.shape) @ patches

  _, out = patch_rows.scan(
      multiply_row, None, x, kernel.shape[:2], stride, shape[1:3])
  return jnp.moveaxis(out, 0, 1).reshape(shape)


def _kernel_gradient(x: Array, kernel: Array, stride: int, margins: Margins,
                    cotangent: Array) -> Array:
  """Gradient of the kernel, for the `cotangent` `[D, H', W', B]`."""
  x, (features, rows) = padded(x, margins), cotangent.shape[:2]
  if _is_small(kernel, cotangent.shape):
    patches = _all_patches(x, kernel, stride)
    return (patches @ cotangent.reshape(features, -1).T).reshape(kernel.shape)

  def add_row(total: Array, row: Array, patches: Array):
    dy = lax.dynamic_index_in_dim(
        cotangent.reshape(features, rows, -1), row, 1, keepdims=False)
    product = jnp.matmul(patches, dy.T, preferred_element_type=total.dtype)
    rolled = jnp.roll(product.reshape(kernel.shape), -row * stride, 0)
    return total + rolled, None

  kind = jnp.promote_types(x.dtype, jnp.float32)  # For the sums.
  total, _ = patch_rows.scan(
      add_row, jnp.zeros(kernel.shape, kind), x, kernel.shape[:2], stride,
      cotangent.shape[1:3])
  return total.astype(x.dtype)


def _input_gradient(convolve: Convolution, cotangent: Array, kernel: Array,
                    stride: int, margins: Margins, shape: tuple[int, ...]
                    ) -> Array:
  """Gradient `[C, *shape, B]` of the input.

  It takes one convolution for each position modulo the stride.
  """
  counts = [-(-length // stride) for length in shape]

  def tapped(axis: int, place: int) -> tuple[int, tuple[int, int]]:
    """The first tap that reads such inputs, and the margins of outputs."""
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

  def join(parts: Sequence[Sequence[Array]]) -> Array:
    return interleaved([interleaved(row, 2) for row in parts], 1)

  parts = [[part(i, j) for j in range(stride)] for i in range(stride)]
  dx = separately(join, parts) if stride > 1 else parts[0][0]
  return dx[:, :shape[0], :shape[1]]


def differentiable(forward: Convolution, backward: Convolution | None = None
                   ) -> Convolution:
  """A convolution with fast gradients.

  Args:
    forward: the convolution.
    backward: a convolution of stride 1 for the gradient of the input; by
      default the result itself.
  """

  def save(x: Array, kernel: Array, stride: int, margins: Margins):
    # It is not `forward`, so that second derivatives use this rule, too.
    return function(x, kernel, stride, margins), (x, kernel)

  def gradients(stride: int, margins: Margins, saved, cotangent: Array):
    x, kernel = saved
    dx = _input_gradient(backward or function, cotangent, kernel, stride,
                         margins, x.shape[1:3])
    return dx, _kernel_gradient(x, kernel, stride, margins, cotangent)

  function = jax.custom_vjp(forward, nondiff_argnums=(2, 3))
  function.defvjp(save, gradients)
  return function


multiply = differentiable(_multiply)
