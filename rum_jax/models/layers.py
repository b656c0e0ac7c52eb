"""Convolution and batch-norm as Linen modules, fast inside scan and vmap.

Both take and return `[B, H, W, C]`. Their implementation depends on the
platform, as `kernels.convolution` and `kernels.normalization` describe.
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

from rum_jax import _checks
from rum_jax.models import kernels
from rum_jax.models.kernels import patch_convolution
from rum_jax.types import Array, Key


def kaiming_normal(key: Key, shape: Sequence[int], dtype: Any = float
                   ) -> Array:
  """Normal with standard deviation √(2 / fan out), as in PyTorch's ResNet."""
  fan_out = math.prod(shape) // shape[-2]
  # One axis: drawing in four axes takes three times as long to compile.
  values = jax.random.normal(key, (math.prod(shape),), dtype)
  return (2 / fan_out)**0.5 * values.reshape(shape)


def torch_uniform(key: Key, shape: Sequence[int], dtype: Any = float) -> Array:
  """Uniform within ± 1 / √(fan in), which is PyTorch's default."""
  bound = (math.prod(shape) // shape[-1])**-0.5
  values = jax.random.uniform(key, (math.prod(shape),), dtype, -bound, bound)
  return values.reshape(shape)


def convolved(x: Array, kernel: Array, stride: int = 1, padded: bool = True
              ) -> Array:
  """Convolution of `[B, H, W, C]` with `[h, w, C, D]`: `[B, H', W', D]`."""
  how = {'stride': stride, 'padded': padded}
  return lax.platform_dependent(
      x, kernel, cpu=functools.partial(patch_convolution, **how),
      default=functools.partial(kernels.grouped_convolution, **how))


class Conv(nn.Module):
  """Convolution by the fastest method of the platform.

  The size of the kernel must be odd, so that the padding is symmetric.

  Attributes:
    features: the number of output channels.
    size: the size of the kernel, in both directions.
    stride: the stride in both directions.
    padded: whether the image is padded by half a kernel on every side, as in
      PyTorch; otherwise not at all.
    bias: whether to add one number to each channel; it is initialised to 0.
    initializer: the initializer of the kernel.
  """

  features: int
  size: int = 3
  stride: int = 1
  padded: bool = True
  bias: bool = False
  initializer: nn.initializers.Initializer = nn.initializers.he_normal()

  @nn.compact
  def __call__(self, x: Array) -> Array:
    _checks.check_count('size', self.size, 1)
    _checks.check_count('stride', self.stride, 1)
    if self.size % 2 == 0:
      raise ValueError(f'Expected size={self.size} to be odd.')
    if not self.padded and min(x.shape[1:3]) < self.size:
      raise ValueError(f'Expected at least {self.size}×{self.size} pixels, '
                       f'found {x.shape[1]}×{x.shape[2]}.')
    kernel = self.param('kernel', self.initializer, (
        self.size, self.size, x.shape[-1], self.features))
    y = convolved(x, kernel, self.stride, self.padded)
    if self.bias:
      y += self.param('bias', nn.initializers.zeros, (self.features,))
    return y


class BatchNorm(nn.Module):
  """Batch-norm whose moments ignore padding.

  The update of running moments is `m ← momentum·m + (1 − momentum)·batch`. The
  variance is the unbiased one, as in PyTorch. A batch that is only padding
  changes nothing.

  Attributes:
    momentum: the momentum of the running moments.
    epsilon: the number that is added to the variance.
    fixed_scale: whether the scale is fixed; it is then kept with the moments,
      with the value 1, and is not a parameter.
  """

  momentum: float = 0.9
  epsilon: float = 1e-5
  fixed_scale: bool = False

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Array:
    channels, kind = x.shape[-1:], x.dtype
    x = x.astype(jnp.promote_types(kind, jnp.float32))  # For the sums.
    scale = (self.variable('batch_stats', 'scale', jnp.ones, channels).value
             if self.fixed_scale else
             self.param('scale', nn.initializers.ones, channels))
    bias = self.param('bias', nn.initializers.zeros, channels)
    mean = self.variable('batch_stats', 'mean', jnp.zeros, channels)
    var = self.variable('batch_stats', 'var', jnp.ones, channels)
    if not train:
      return kernels.scaled(
          x, mean.value, var.value + self.epsilon, scale, bias).astype(kind)
    y, batch_mean, batch_var, count = kernels.normalised(
        x, scale, bias, mask, self.epsilon)
    if not self.is_initializing():
      rate = (1 - self.momentum) * (count > 0)
      unbiased = batch_var * count / jnp.maximum(count - 1, 1)
      mean.value += rate * (lax.stop_gradient(batch_mean) - mean.value)
      var.value += rate * (lax.stop_gradient(unbiased) - var.value)
    return y.astype(kind)


class ConvNorm(nn.Module):
  """Convolution, then batch-norm; the attributes are those of `Conv`."""

  features: int
  size: int = 3
  stride: int = 1
  bias: bool = False

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Array:
    x = Conv(self.features, self.size, self.stride, bias=self.bias,
             initializer=kaiming_normal, name='conv')(x)
    return BatchNorm(name='norm')(x, train=train, mask=mask)
