"""Convolution by XLA's own, which a CPU runs fast in one form alone.

That form has whole vectors of channels side by side, stride 1, and one kernel
for all images; what autodiff, or `vmap` over kernels, would make of it is many
times slower, so both are written out. Around it everything is laid out as
`[C, H, W, B]`, see `convolution`. To turn that to `[H, W, B, C]` and back is a
product with the identity: a transpose would be fused into sums around it, and
be slower than they are. `[H, W, B, C]` is convolved as one image of H by W · B
pixels, whose columns B apart are neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools

import jax
from jax import lax
import jax.numpy as jnp

from rum_jax.models import patches
from rum_jax.models.patches import Margins
from rum_jax.types import Array


def _channels_last(x: Array) -> Array:
  """`[C, ...]` to `[..., C]`."""
  count = len(x)
  turned = lax.dot_general(x.reshape(count, -1), jnp.eye(count, dtype=x.dtype),
                           (((0,), (0,)), ((), ())))
  return turned.reshape(*x.shape[1:], count)


def _channels_first(x: Array) -> Array:
  """`[..., C]` to `[C, ...]`."""
  count = x.shape[-1]
  turned = lax.dot_general(jnp.eye(count, dtype=x.dtype), x.reshape(-1, count),
                           (((1,), (1,)), ((), ())))
  return turned.reshape(count, *x.shape[:-1])


@functools.cache
def _convolution(margins: Margins) -> Callable[[Array, Array], Array]:
  """The convolution with so many zeros around the images."""

  @jax.custom_batching.custom_vmap
  def convolve(x: Array, kernel: Array) -> Array:
    channels, height, width, batch = x.shape
    image = _channels_last(x).reshape(1, height, width * batch, channels)
    y = lax.conv_general_dilated(
        image, kernel, (1, 1),
        (margins[0], tuple(batch * n for n in margins[1])),
        rhs_dilation=(1, batch), dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
    return _channels_first(y).reshape(kernel.shape[-1], y.shape[1], -1, batch)

  @convolve.def_vmap
  def convolve_many(count: int, batched: Sequence[bool], x: Array,
                    kernel: Array) -> tuple[Array, bool]:
    if all(batched):  # One by one: at once they would be groups of channels.
      return lax.map(lambda pair: convolve(*pair), (x, kernel)), True
    if batched[1]:
      return lax.map(lambda one: convolve(x, one), kernel), True
    together = jnp.moveaxis(x, 0, -1)
    y = convolve(together.reshape(*together.shape[:3], -1), kernel)
    return jnp.moveaxis(y.reshape(*y.shape[:3], -1, count), -1, 0), True

  return convolve


def _multiply(x: Array, kernel: Array, stride: int, margins: Margins) -> Array:
  del stride  # Is 1.
  return _convolution(margins)(x, kernel)


multiply = patches.differentiable(_multiply)
