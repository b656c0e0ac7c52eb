"""XLA's own convolution, with kernel gradients that are fast on a GPU.

Under `vmap` over networks, JAX turns a convolution into one with feature
groups. The gradient of the kernel is a convolution of images with images. With
feature groups, XLA treats it as a forward pass whose kernel is as large as an
image. With batch groups, XLA recognises it as a gradient, and a GPU uses the
routine of its library for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools

import jax
from jax import lax
from jax.custom_batching import custom_vmap
import jax.numpy as jnp

from rum_jax.models.kernels.patches import margins_of
from rum_jax.types import Array

_DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')


def lax_convolution(x: Array, kernel: Array, stride: int = 1,
                    padded: bool = True, groups: int = 1) -> Array:
  """Convolution by `lax.conv_general_dilated`.

  Args:
    x: `[B, H, W, G · C]`.
    kernel: `[height, width, C, G · D]`.
    stride: the stride in both directions.
    padded: whether to pad with half a kernel of zeros on every side, as in
      PyTorch, so that stride 1 keeps the size.
    groups: G, the number of feature groups.

  Returns:
    `[B, H', W', G · D]`.
  """
  return lax.conv_general_dilated(
      x, kernel, (stride, stride), margins_of(kernel, padded),
      dimension_numbers=_DIMENSIONS, feature_group_count=groups)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def grouped_convolution(x: Array, kernel: Array, stride: int = 1,
                        padded: bool = True) -> Array:
  """`lax_convolution` of one group; its gradients are fast under `vmap`."""
  return lax_convolution(x, kernel, stride, padded)


def _forward(x: Array, kernel: Array, stride: int, padded: bool
             ) -> tuple[Array, tuple[Array, Array]]:
  return grouped_convolution(x, kernel, stride, padded), (x, kernel)


def _backward(stride: int, padded: bool, saved: tuple[Array, Array], dy: Array
              ) -> tuple[Array, Array]:
  x, kernel = saved
  gradient = _kernel_gradient(stride, padded, groups=1)
  return (_image_gradient(x, kernel, dy, stride, padded, 1),
          gradient(x, dy, kernel))


grouped_convolution.defvjp(_forward, _backward)


def _image_gradient(x: Array, kernel: Array, dy: Array, stride: int,
                    padded: bool, groups: int) -> Array:
  """The gradient of images `[B, H, W, G · C]`; it uses only their type."""
  by_image = lambda x: lax_convolution(x, kernel, stride, padded, groups)
  return jax.linear_transpose(by_image, x)(dy)[0]


def _kernel_gradient(stride: int, padded: bool, groups: int
                     ) -> Callable[[Array, Array, Array], Array]:
  """The gradient of a kernel `[height, width, C, G · D]`.

  Args:
    stride: the stride of the convolution.
    padded: whether the image is padded.
    groups: G.

  Returns:
    A function of images `[B, H, W, G · C]`, gradients of outputs `[B, H', W',
    G · D]` and the kernel, of which only the shape and dtype are used. Under
    `vmap` it becomes the same function with more groups. It is linear in images
    and in gradients, so its own gradients are convolutions, too.
  """

  def by_kernel(x: Array) -> Callable[[Array], Array]:
    return lambda kernel: lax_convolution(x, kernel, stride, padded, groups)

  def direct(x: Array, dy: Array, kernel: Array) -> Array:
    return jax.linear_transpose(by_kernel(x), kernel)(dy)[0]

  mapped = custom_vmap(direct)

  @mapped.def_vmap
  def side_by_side(size: int, batched: Sequence[bool], *args: Array
                   ) -> tuple[Array, bool]:
    if not all(batched[:2]):
      axes = tuple(0 if x else None for x in batched)
      return jax.vmap(direct, axes)(*args), True
    kernel = args[2][0] if batched[2] else args[2]
    wide = _merged(jnp.broadcast_to(kernel, (size, *kernel.shape)))
    both = _kernel_gradient(stride, padded, size * groups)(
        _merged(args[0]), _merged(args[1]), wide)
    apart = both.reshape(*kernel.shape[:-1], size, -1)
    return jnp.moveaxis(apart, -2, 0), True

  @jax.custom_vjp
  def gradient(x: Array, dy: Array, kernel: Array) -> Array:
    return mapped(x, dy, kernel)

  def forward(*args: Array) -> tuple[Array, tuple[Array, ...]]:
    return gradient(*args), args

  def backward(saved: tuple[Array, ...], change: Array) -> tuple[Array, ...]:
    x, dy, kernel = saved
    return (_image_gradient(x, change, dy, stride, padded, groups),
            by_kernel(x)(change), jnp.zeros_like(kernel))

  gradient.defvjp(forward, backward)
  return gradient


def _merged(x: Array) -> Array:
  """`[G, ..., C]` to `[..., G · C]`."""
  return jnp.moveaxis(x, 0, -2).reshape(*x.shape[1:-1], -1)
