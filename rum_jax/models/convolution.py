"""Convolution as one product of matrices, with the batch as the minor axis.

XLA's CPU convolution is slow inside a loop and under vmap over weights. A CPU
multiplies matrices instead, laid out as `[C, H, W, B]`: however few the
channels, every sum, copy and product then runs along whole vectors.
"""

from __future__ import annotations

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from rum_jax.models.layout import turned
from rum_jax.types import Array

_DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')

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
  """The same by one product of matrices, without `lax.conv_general_dilated`."""
  pixels, taps = x.shape[1] * x.shape[2], kernel.shape[0] * kernel.shape[1]
  x, margins = turned(x), _margins(kernel, padded)
  if taps == 1:
    return turned(_multiply_points(x, kernel, stride))
  multiply = _multiply_whole if pixels < taps else _multiply_patches
  return turned(multiply(x, kernel, stride, margins))


def _margins(kernel: Array, padded: bool) -> Margins:
  return tuple(((k - 1) // 2, k // 2) if padded else (0, 0)
               for k in kernel.shape[:2])


def _multiply_points(x: Array, kernel: Array, stride: int) -> Array:
  """1×1: nothing to copy."""
  x = x[:, ::stride, ::stride]
  return (kernel[0, 0].T @ x.reshape(len(x), -1)).reshape(-1, *x.shape[1:])


def _patches(x: Array, kernel: Array, stride: int, margins: Margins) -> Array:
  """`[C, H, W, B]` to `[height, width, C, H', W', B]` shifted copies, flat."""
  height, width = kernel.shape[:2]
  x = jnp.pad(x, ((0, 0), *margins, (0, 0)))
  rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
  return jnp.concatenate([
      x[:, i:i + rows:stride, j:j + columns:stride]
      for i in range(height) for j in range(width)])


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
  out = matrix.reshape(channels * rows * columns, -1).T @ x.reshape(-1, batch)
  return out.reshape(features, down.shape[2], right.shape[2], batch)


def _hits(length: int, taps: int, stride: int, margin: tuple[int, int]
          ) -> np.ndarray:
  """`[taps, in, out]`: 1 where a tap of an output lies on an input."""
  reach = length + sum(margin) - taps + 1
  tap, source, target = np.ogrid[:taps, :length, :reach:stride]
  return (source == target + tap - margin[0]).astype(np.int8)


def _multiply(x: Array, kernel: Array, stride: int, margins: Margins) -> Array:
  columns = _patches(x, kernel, stride, margins)
  flat = kernel.reshape(-1, kernel.shape[-1])
  out = flat.T @ columns.reshape(flat.shape[0], -1)
  return out.reshape(-1, *columns.shape[1:])


def _multiply_forward(x: Array, kernel: Array, stride: int, margins: Margins):
  return _multiply(x, kernel, stride, margins), (x, kernel)


def _multiply_backward(stride: int, margins: Margins, saved, cotangent: Array):
  x, kernel = saved
  height, width, channels, features = kernel.shape
  columns = _patches(x, kernel, stride, margins)
  dkernel = (columns.reshape(height * width * channels, -1)
             @ cotangent.reshape(features, -1).T)
  if stride == 1 and features <= channels:
    flipped = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    rest = tuple((k - 1 - low, k - 1 - high) for k, (low, high) in zip(
        kernel.shape, margins))
    dx = _multiply(cotangent, flipped, 1, rest)
  else:
    dx = _scatter(cotangent, kernel, stride, margins, x.shape[1:3])
  return dx, dkernel.reshape(kernel.shape)


def _scatter(cotangent: Array, kernel: Array, stride: int, margins: Margins,
             shape: tuple[int, ...]) -> Array:
  """Adds what every tap sends back to the input, `[C, *shape, B]`."""
  height, width, channels, features = kernel.shape
  parts = (kernel.reshape(-1, features) @ cotangent.reshape(features, -1)
           ).reshape(height, width, channels, *cotangent.shape[1:])
  spread = [(0, 0, 0)] * 3
  for taps, length, count, margin in zip(
      (height, width), shape, cotangent.shape[1:3], margins):
    low = taps - 1 - margin[0]
    whole = length + taps - 1
    used = (count - 1) * stride + 1
    spread.append((low, whole - low - used, stride - 1))
  parts = lax.pad(parts, jnp.zeros((), parts.dtype), (*spread, (0, 0, 0)))
  rows, columns = shape
  return sum(
      parts[i, j, :, height - 1 - i:height - 1 - i + rows,
            width - 1 - j:width - 1 - j + columns]
      for i in range(height) for j in range(width))


_multiply_patches = jax.custom_vjp(_multiply, nondiff_argnums=(2, 3))
_multiply_patches.defvjp(_multiply_forward, _multiply_backward)
