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

from rum_jax.types import Array

_DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')


def turned(x: Array) -> Array:
  """`[B, ..., C]` to `[C, ..., B]` and back."""
  return x.swapaxes(0, -1)


def lax_convolution(x: Array, kernel: Array, stride: int = 1) -> Array:
  """Convolution with SAME padding by `lax.conv_general_dilated`."""
  pad = [_margins(k) for k in kernel.shape[:2]]
  return lax.conv_general_dilated(
      x, kernel, (stride, stride), pad, dimension_numbers=_DIMENSIONS)


def patch_convolution(x: Array, kernel: Array, stride: int = 1) -> Array:
  """The same by one product of matrices, without `lax.conv_general_dilated`."""
  pixels, taps = x.shape[1] * x.shape[2], kernel.shape[0] * kernel.shape[1]
  multiply = _multiply_whole if pixels < taps else _multiply_patches
  return turned(multiply(turned(x), kernel, stride))


def patches(x: Array, height: int, width: int, stride: int = 1,
            channel: int = -1) -> Array:
  """`[B, H, W, C]` to `[B, H', W', height·width·C]` shifted copies.

  With `channel=0`: `[C, H, W, B]` to `[height·width·C, H', W', B]`.
  """
  rows, columns = x.shape[1:3]
  padded = jnp.pad(x, ((0, 0), _margins(height), _margins(width), (0, 0)))
  return jnp.concatenate([
      padded[:, i:i + rows:stride, j:j + columns:stride]
      for i in range(height) for j in range(width)], axis=channel)


def _margins(size: int) -> tuple[int, int]:
  return (size - 1) // 2, size // 2


def _multiply_whole(x: Array, kernel: Array, stride: int) -> Array:
  """As a full matrix, cheaper where there are fewer pixels than taps."""
  height, width, channels, features = kernel.shape
  rows, columns, batch = x.shape[1:]
  down = _hits(rows, height, stride)
  right = _hits(columns, width, stride)
  # One constant for both axes: as three factors this took a sixth of a step.
  pairs = np.einsum('hpi,wqj->hwpqij', down, right)
  matrix = jnp.einsum(
      'tpq,tcf->cpfq', pairs.reshape(height * width, rows * columns, -1),
      kernel.reshape(-1, channels, features))
  out = matrix.reshape(channels * rows * columns, -1).T @ x.reshape(-1, batch)
  return out.reshape(features, down.shape[2], right.shape[2], batch)


def _hits(length: int, taps: int, stride: int) -> np.ndarray:
  """`[taps, in, out]`: 1 where a tap of an output lies on an input."""
  tap, source, target = np.ogrid[:taps, :length, :length:stride]
  return (source == target + tap - (taps - 1) // 2).astype(np.int8)


def _multiply(x: Array, kernel: Array, stride: int) -> Array:
  columns = patches(x, *kernel.shape[:2], stride, channel=0)
  flat = kernel.reshape(-1, kernel.shape[-1])
  out = flat.T @ columns.reshape(flat.shape[0], -1)
  return out.reshape(-1, *columns.shape[1:])


def _multiply_forward(x: Array, kernel: Array, stride: int):
  return _multiply(x, kernel, stride), (x, kernel)


def _multiply_backward(stride: int, saved, cotangent: Array):
  x, kernel = saved
  height, width, channels, features = kernel.shape
  columns = patches(x, height, width, stride, channel=0)
  dkernel = (columns.reshape(height * width * channels, -1)
             @ cotangent.reshape(features, -1).T)
  if stride == 1 and features <= channels:
    flipped = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    dx = _multiply(cotangent, flipped, 1)
  else:
    dx = _scatter(cotangent, kernel, stride, x.shape[1:3])
  return dx, dkernel.reshape(kernel.shape)


def _scatter(cotangent: Array, kernel: Array, stride: int,
             shape: tuple[int, ...]) -> Array:
  """Adds what every tap sends back to the input, `[C, *shape, B]`."""
  height, width, channels, features = kernel.shape
  parts = (kernel.reshape(-1, features) @ cotangent.reshape(features, -1)
           ).reshape(height, width, channels, *cotangent.shape[1:])
  spread = [(0, 0, 0)] * 3
  for taps, length, count in zip(
      (height, width), shape, cotangent.shape[1:3]):
    low = taps - 1 - _margins(taps)[0]
    whole = length + taps - 1
    used = (count - 1) * stride + 1
    spread.append((low, whole - low - used, stride - 1))
  parts = lax.pad(parts, jnp.zeros((), parts.dtype), (*spread, (0, 0, 0)))
  rows, columns = shape
  return sum(
      parts[i, j, :, height - 1 - i:height - 1 - i + rows,
            width - 1 - j:width - 1 - j + columns]
      for i in range(height) for j in range(width))


_multiply_patches = jax.custom_vjp(_multiply, nondiff_argnums=(2,))
_multiply_patches.defvjp(_multiply_forward, _multiply_backward)
