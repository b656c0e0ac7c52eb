"""Convolution with the batch as the minor axis, by several methods.

XLA's CPU convolution is slow, and its gradients and `vmap` are slower still.
Here a CPU multiplies matrices. With the layout `[C, H, W, B]`, every sum, copy
and product runs along full vectors, even if there are few channels.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax.models.kernels import patches, winograd
from rum_jax.models.kernels.layout import separately, turned
from rum_jax.models.kernels.patches import Margins
from rum_jax.types import Array

_FEW = 36  # Up to so many terms, a sum is faster than a matrix product.


def patch_convolution(x: Array, kernel: Array, stride: int = 1,
                      padded: bool = True) -> Array:
  """Convolution by the method that is fastest for its shape on a CPU.

  Where there are few terms, it is one fused sum. Otherwise it is a matrix
  product: of points (1×1), of the whole image, of the tiles of Winograd's
  method (3×3, and 5×5 with stride 2), or of patches. Arguments and results are
  those of `xla.lax_convolution`.
  """
  pixels, taps = x.shape[1] * x.shape[2], kernel.shape[0] * kernel.shape[1]
  margins = patches.margins_of(kernel, padded)
  if taps == 1:
    return turned(_multiply_points(turned(x), kernel, stride))
  if pixels < taps:
    return turned(_multiply_whole(turned(x), kernel, stride, margins))
  if taps * kernel.shape[2] <= _FEW:
    return turned(_sum_taps(turned(x), kernel, stride, margins))
  if kernel.shape[:2] == (3, 3) and stride == 1:
    return turned(winograd.multiply(turned(x), kernel, margins))
  if kernel.shape[:2] == (5, 5) and stride == 2:
    return turned(_multiply_by_depth(turned(x), kernel, margins))
  return turned(patches.multiply(turned(x), kernel, stride, margins))


def _multiply_points(x: Array, kernel: Array, stride: int) -> Array:
  """1×1 convolution; pixels are copied only if the stride leaves some out."""
  if stride > 1:
    x = separately(lambda x: x[:, ::stride, ::stride], x)
  out = patches.transposed(kernel[0, 0]) @ x.reshape(len(x), -1)
  return out.reshape(len(out), *x.shape[1:])


def _multiply_whole(x: Array, kernel: Array, stride: int, margins: Margins
                    ) -> Array:
  """Product with a full matrix; faster if there are fewer pixels than taps."""
  height, width, channels, features = kernel.shape
  rows, columns, batch = x.shape[1:]
  down = _hits(rows, height, stride, margins[0])
  right = _hits(columns, width, stride, margins[1])
  # One constant for both axes. As three factors, it took a sixth of a step.
  pairs = np.einsum('hpi,wqj->hwpqij', down, right)
  matrix = jnp.einsum(
      'tpq,tcf->cpfq', pairs.reshape(height * width, rows * columns, -1),
      kernel.reshape(-1, channels, features))
  weights = patches.transposed(matrix.reshape(channels * rows * columns, -1))
  out = weights @ x.reshape(-1, batch)
  return out.reshape(features, down.shape[2], right.shape[2], batch)


# Computing space-to-depth again is cheaper than storing its result.
@functools.partial(jax.checkpoint, static_argnums=2)
def _multiply_by_depth(x: Array, kernel: Array, margins: Margins) -> Array:
  """5×5 with stride 2 as a 3×3 convolution after space-to-depth."""
  image = separately(lambda x: jnp.moveaxis(
      _space_to_depth(jnp.moveaxis(x, 0, 2)), 2, 0), x)
  halves = tuple((low // 2, high // 2) for low, high in margins)
  return winograd.multiply(image, _space_to_depth(kernel), halves)


def _space_to_depth(x: Array) -> Array:
  """`[H, W, C, N]` to `[⌈H / 2⌉, ⌈W / 2⌉, 4 · C, N]`."""
  even = jnp.pad(x, ((0, x.shape[0] % 2), (0, x.shape[1] % 2), (0, 0), (0, 0)))
  pixels = even.reshape(len(even) // 2, 2, even.shape[1] // 2, 2, *x.shape[2:])
  y = pixels.transpose(0, 2, 1, 3, 4, 5)
  return y.reshape(*y.shape[:2], 4 * x.shape[2], x.shape[3])


def _hits(length: int, taps: int, stride: int, margin: tuple[int, int]
          ) -> np.ndarray:
  """`[taps, in, out]`: 1 where a tap of an output reads an input."""
  reach = length + sum(margin) - taps + 1
  tap, source, target = np.ogrid[:taps, :length, :reach:stride]
  return (source == target + tap - margin[0]).astype(np.int8)


def _sum(x: Array, kernel: Array, stride: int, margins: Margins) -> Array:
  """One fused sum; faster than a matrix product if it has few terms."""
  taps = patches.taps_of(patches.padded(x, margins), kernel, stride)
  flat = kernel.reshape(len(taps), -1, kernel.shape[-1], 1, 1, 1)
  return jnp.asarray(sum(
      tap[c] * flat[t, c]
      for t, tap in enumerate(taps) for c in range(len(x))))


_sum_taps = patches.differentiable(_sum, patches.multiply)
