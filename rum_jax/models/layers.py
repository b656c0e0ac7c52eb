"""Convolution and batch-norm that are fast inside scan and vmap.

Both take and return `[B, H, W, C]`; how they work inside is the platform's
choice, see `layout`.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
import math
from typing import Any

from flax import linen as nn
import jax
from jax import lax
import jax.numpy as jnp

from rum_jax.models.convolution import lax_convolution
from rum_jax.models.convolution import patch_convolution
from rum_jax.models.layout import in_platform_layout
from rum_jax.types import Array, Key


def kaiming_normal(key: Key, shape: Sequence[int], dtype: Any = float
                   ) -> Array:
  """As PyTorch's ResNet and VGG start: deviation √(2 / fan out)."""
  fan_out = math.prod(shape) // shape[-2]
  # Drawn flat: in four axes it takes three times as long to compile.
  values = jax.random.normal(key, (math.prod(shape),), dtype)
  return (2 / fan_out)**0.5 * values.reshape(shape)


def torch_uniform(key: Key, shape: Sequence[int], dtype: Any = float) -> Array:
  """As PyTorch starts what nobody initialises: within 1 / √(fan in)."""
  bound = (math.prod(shape) // shape[-1])**-0.5
  values = jax.random.uniform(key, (math.prod(shape),), dtype, -bound, bound)
  return values.reshape(shape)


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
  return in_platform_layout(_moments, x, _weight(x, mask))


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
  """Convolution in the platform's fastest form.

  The kernel's size must be odd: only then can padding be the same all around.

  Attributes:
    features: channels that come out.
    size: of the kernel, in both directions.
    stride: in both directions.
    padded: by half a kernel on every side, as in PyTorch; otherwise not at all.
    bias: whether to add one number a channel, 0 at the start.
    initializer: of the kernel.
  """

  features: int
  size: int = 3
  stride: int = 1
  padded: bool = True
  bias: bool = False
  initializer: nn.initializers.Initializer = nn.initializers.he_normal()

  @nn.compact
  def __call__(self, x: Array) -> Array:
    if self.size % 2 == 0:
      raise ValueError(f'Expected size={self.size} to be odd.')
    if not self.padded and min(x.shape[1:3]) < self.size:
      raise ValueError(f'Expected at least {self.size}×{self.size} pixels, '
                       f'found {x.shape[1]}×{x.shape[2]}.')
    kernel = self.param('kernel', self.initializer, (
        self.size, self.size, x.shape[-1], self.features))
    how = {'stride': self.stride, 'padded': self.padded}
    y = lax.platform_dependent(
        x, kernel, cpu=functools.partial(patch_convolution, **how),
        default=functools.partial(lax_convolution, **how))
    if self.bias:
      y += self.param('bias', nn.initializers.zeros, (self.features,))
    return y


class BatchNorm(nn.Module):
  """Batch-norm whose moments leave padding out.

  Running moments follow `m ← momentum·m + (1 − momentum)·batch`, the variance
  unbiased as PyTorch has it. A batch of nothing but padding changes nothing.
  """

  momentum: float = 0.9
  epsilon: float = 1e-5

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Array:
    channels, kind = x.shape[-1:], x.dtype
    x = x.astype(jnp.promote_types(kind, jnp.float32))  # Sums need digits.
    scale = self.param('scale', nn.initializers.ones, channels)
    bias = self.param('bias', nn.initializers.zeros, channels)
    mean = self.variable('batch_stats', 'mean', jnp.zeros, channels)
    var = self.variable('batch_stats', 'var', jnp.ones, channels)
    if not train:
      return in_platform_layout(
          _scale, x, mean.value, var.value + self.epsilon, scale, bias
      ).astype(kind)
    y, batch_mean, batch_var, count = in_platform_layout(
        lambda *args, channel: _normalised(*args, self.epsilon, channel),
        x, scale, bias, _weight(x, mask))
    if not self.is_initializing():
      rate = (1 - self.momentum) * (count > 0)
      unbiased = batch_var * count / jnp.maximum(count - 1, 1)
      mean.value += rate * (lax.stop_gradient(batch_mean) - mean.value)
      var.value += rate * (lax.stop_gradient(unbiased) - var.value)
    return y.astype(kind)


class ConvNorm(nn.Module):
  """Convolution, then batch-norm; attributes as those of `Conv`."""

  features: int
  size: int = 3
  stride: int = 1
  bias: bool = False

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Array:
    x = Conv(self.features, self.size, self.stride, bias=self.bias,
             initializer=kaiming_normal, name='conv')(x)
    return BatchNorm(name='norm')(x, train=train, mask=mask)
