"""XLA's own convolution, with kernel gradients that suit a GPU under `vmap`.

`vmap` over networks makes groups of features of convolutions. Of kernel
gradients, which are convolutions of images with images, a GPU then takes them
for what they look like: forward passes with a kernel as large as an image. In
groups of batches they are recognised, and given to the library's own routine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools

import jax
from jax import lax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from rum_jax.models.patches import margins_of
from rum_jax.types import Array

_DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')


def lax_convolution(x: Array, kernel: Array, stride: int = 1,
                    padded: bool = True, groups: int = 1) -> Array:
  """Convolution by `lax.conv_general_dilated`.

  Args:
    x: `[B, H, W, G · C]`.
    kernel: `[height, width, C, G · D]`.
    stride: in both directions.
    padded: half a kernel of zeros on every side, as in PyTorch, so that with
      stride 1 the size stays; otherwise none.
    groups: G convolutions side by side.

  Returns:
    `[B, H', W', G · D]`.
  """
  return lax.conv_general_dilated(
      x, kernel, (stride, stride), margins_of(kernel, padded),
      dimension_numbers=_DIMENSIONS, feature_group_count=groups)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolution(x: Array, kernel: Array, stride: int = 1, padded: bool = True
                ) -> Array:
  """`lax_convolution` of one group, whose gradients `vmap` well."""
  return lax_convolution(x, kernel, stride, padded)


def _forward(x: Array, kernel: Array, stride: int, padded: bool
             ) -> tuple[Array, tuple[Array, Array]]:
  return convolution(x, kernel, stride, padded), (x, kernel)


def _backward(stride: int, padded: bool, saved: tuple[Array, Array], dy: Array
              ) -> tuple[Array, Array]:
  x, kernel = saved
  by_image = lambda x: lax_convolution(x, kernel, stride, padded)
  gradient = _kernel_gradient(kernel.shape, stride, padded, 1)
  return *jax.linear_transpose(by_image, x)(dy), gradient(x, dy)


convolution.defvjp(_forward, _backward)


def _kernel_gradient(shape: Sequence[int], stride: int, padded: bool,
                     groups: int) -> Callable[[Array, Array], Array]:
  """`(x, dy)` to the gradient of a kernel `[height, width, C, G · D]`.

  Under `vmap` it is itself, in more groups. It is linear in both arguments, so
  its own gradients are convolutions again.
  """

  def by_kernel(x: Array) -> Callable[[Array], Array]:
    return lambda kernel: lax_convolution(x, kernel, stride, padded, groups)

  def direct(x: Array, dy: Array) -> Array:
    kernel = jax.ShapeDtypeStruct(shape, x.dtype)
    return jax.linear_transpose(by_kernel(x), kernel)(dy)[0]

  mapped = custom_vmap(direct)

  @mapped.def_vmap
  def side_by_side(size: int, batched: Sequence[bool], x: Array, dy: Array
                   ) -> tuple[Array, bool]:
    if not all(batched):
      axes = tuple(0 if b else None for b in batched)
      return jax.vmap(direct, axes)(x, dy), True
    wide = *shape[:-1], size * shape[-1]
    both = _kernel_gradient(wide, stride, padded, size * groups)(
        _merged(x), _merged(dy))
    return jnp.moveaxis(both.reshape(*shape[:-1], size, -1), -2, 0), True

  @jax.custom_vjp
  def gradient(x: Array, dy: Array) -> Array:
    return mapped(x, dy)

  def backward(saved: tuple[Array, Array], kernel: Array
               ) -> tuple[Array, Array]:
    x, dy = saved
    by_image = lambda x: lax_convolution(x, kernel, stride, padded, groups)
    return *jax.linear_transpose(by_image, x)(dy), by_kernel(x)(kernel)

  gradient.defvjp(lambda x, dy: (gradient(x, dy), (x, dy)), backward)
  return gradient


def _merged(x: Array) -> Array:
  """`[G, ..., C]` to `[..., G · C]`."""
  return jnp.moveaxis(x, 0, -2).reshape(*x.shape[1:-1], -1)
