"""Convolution, pooling and batch-norm that are fast inside scan and vmap.

A CPU works with the batch as the minor axis, `[C, H, W, B]`; other platforms
with `[B, H, W, C]` and XLA's own convolution. Both forms compute the same sums.
All functions take and return `[B, H, W, C]`; between two layers XLA drops the
transposes.
"""

from __future__ import annotations

from collections.abc import Callable
import functools

from flax import linen as nn
import jax
from jax import lax
import jax.numpy as jnp

from rum_jax.models.convolution import lax_convolution
from rum_jax.models.convolution import patch_convolution
from rum_jax.models.convolution import turned
from rum_jax.types import Array, PyTree


def _in_platform_layout(function: Callable[..., PyTree], x: Array, *args: Array
                        ) -> PyTree:
  """`function(x, *args, channel)`, on a CPU with `x` turned.

  Args:
    function: returns arrays of which those with as many axes as `x` are laid
      out like `x`.
    x: `[B, ..., C]`.
    *args: have fewer axes than `x`.
  """

  def on_cpu(x: Array, *args: Array) -> PyTree:
    results = function(turned(x), *args, channel=0)
    return jax.tree.map(
        lambda y: turned(y) if y.ndim == x.ndim else y, results)

  return lax.platform_dependent(
      x, *args, cpu=on_cpu, default=functools.partial(function, channel=-1))


def max_pool(x: Array) -> Array:
  """2×2 max-pool with stride 2 of `[B, H, W, C]`, H and W even."""
  if x.shape[1] % 2 or x.shape[2] % 2:
    raise ValueError(
        f'Expected an even height and width, found {x.shape[1:3]}.')

  def pool(x: Array, channel: int) -> Array:
    del channel
    x = jnp.maximum(x[:, ::2], x[:, 1::2])
    return jnp.maximum(x[:, :, ::2], x[:, :, 1::2])

  return _in_platform_layout(pool, x)


def _along(values: Array, x: Array, axis: int) -> Array:
  """`values` `[n]` along the first (0) or last (-1) axis of `x`."""
  return values.reshape(-1, *(1,) * (x.ndim - 1)) if axis == 0 else values


def _total(x: Array, weight: Array, channel: int) -> Array:
  """Sum `[C]` over pixels and weighted examples.

  As one reduction it would be slow on a CPU; the product keeps the two apart.
  """
  pixels = x.sum(range(1, x.ndim - 1))
  factors = (weight, pixels) if channel else (pixels, weight)
  return jnp.matmul(*factors, precision=lax.Precision.HIGHEST)


def _moments(x: Array, weight: Array, channel: int
             ) -> tuple[Array, Array, Array]:
  count = weight.sum() * (x.size // x.shape[0] // x.shape[-1])
  safe = jnp.maximum(count, 1)
  mean = _total(x, weight, channel) / safe
  square = _total(x * x, weight, channel) / safe
  return mean, jnp.maximum(square - mean**2, 0), count


def _weight(x: Array, mask: Array | None) -> Array:
  if mask is None:
    return jnp.ones(x.shape[:1], x.dtype)
  return mask.astype(x.dtype)


def moments(x: Array, mask: Array | None) -> tuple[Array, Array, Array]:
  """Mean, variance and number of values per channel, in one pass.

  Args:
    x: `[B, ..., C]`.
    mask: `[B]`, 0 = padding; `None` counts every example.

  Returns:
    `(mean [C], variance [C], count [])`.
  """
  return _in_platform_layout(_moments, x, _weight(x, mask))


def _scale(x: Array, mean: Array, var: Array, scale: Array, bias: Array,
           channel: int) -> Array:
  """Batch-norm by the given moments; `var` has epsilon in it."""
  factor = scale * lax.rsqrt(var)
  return (x * _along(factor, x, channel)
          + _along(bias - mean * factor, x, channel))


def _normalise(x: Array, scale: Array, bias: Array, weight: Array,
               epsilon: float, channel: int) -> tuple[Array, ...]:
  """Batch-norm by the batch's own moments, which are returned beside it.

  The gradient is that of the first result alone.
  """
  mean, var, count = _moments(x, weight, channel)
  y = _scale(x, mean, var + epsilon, scale, bias, channel)
  return y, mean, var, count


def _normalise_forward(x: Array, scale: Array, bias: Array, weight: Array,
                       epsilon: float, channel: int):
  results = _normalise(x, scale, bias, weight, epsilon, channel)
  return results, (x, scale, weight, *results[1:])


def _normalise_backward(epsilon: float, channel: int, saved, cotangents):
  x, scale, weight, mean, var, count = saved
  dy, every = cotangents[0], jnp.ones_like(weight)
  deviation = lax.rsqrt(var + epsilon)
  dbias = _total(dy, every, channel)
  dscale = (_total(dy * x, every, channel) - mean * dbias) * deviation
  factor, share = scale * deviation, -scale * deviation / jnp.maximum(count, 1)
  slope = share * deviation * dscale * (var > 0)
  level = share * dbias - slope * mean
  through_moments = (x * _along(slope, x, channel) + _along(level, x, channel)
                     ) * _along(weight, x, -1 - channel)
  return dy * _along(factor, x, channel) + through_moments, dscale, dbias, None


_normalised = jax.custom_vjp(_normalise, nondiff_argnums=(4, 5))
_normalised.defvjp(_normalise_forward, _normalise_backward)


class Conv(nn.Module):
  """Convolution without bias, SAME padding, in the platform's fastest form.

  The kernel's size must be odd: only then is its flipped form its transpose.
  """

  features: int
  size: int = 3
  stride: int = 1

  @nn.compact
  def __call__(self, x: Array) -> Array:
    if self.size % 2 == 0:
      raise ValueError(f'Expected size={self.size} to be odd.')
    kernel = self.param(
        'kernel', nn.initializers.he_normal(),
        (self.size, self.size, x.shape[-1], self.features))
    return lax.platform_dependent(
        x, kernel,
        cpu=lambda a, b: patch_convolution(a, b, self.stride),
        default=lambda a, b: lax_convolution(a, b, self.stride))


class BatchNorm(nn.Module):
  """Batch-norm whose moments leave padding out.

  Running moments follow `m ← momentum·m + (1 − momentum)·batch`, the variance
  unbiased as PyTorch has it. A batch of nothing but padding changes nothing.
  """

  momentum: float = 0.9
  epsilon: float = 1e-5

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Array:
    channels = x.shape[-1:]
    scale = self.param('scale', nn.initializers.ones, channels)
    bias = self.param('bias', nn.initializers.zeros, channels)
    mean = self.variable('batch_stats', 'mean', jnp.zeros, channels)
    var = self.variable('batch_stats', 'var', jnp.ones, channels)
    if not train:
      return _in_platform_layout(
          _scale, x, mean.value, var.value + self.epsilon, scale, bias)
    y, batch_mean, batch_var, count = _in_platform_layout(
        lambda *args, channel: _normalised(*args, self.epsilon, channel),
        x, scale, bias, _weight(x, mask))
    if not self.is_initializing():
      rate = (1 - self.momentum) * (count > 0)
      unbiased = batch_var * count / jnp.maximum(count - 1, 1)
      mean.value += rate * (lax.stop_gradient(batch_mean) - mean.value)
      var.value += rate * (lax.stop_gradient(unbiased) - var.value)
    return y
