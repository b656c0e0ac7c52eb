"""Batch-norm by the moments of a batch, with an explicit gradient.

Arguments and results are `[B, ..., C]`; the layout inside depends on the
platform (`layout`). Where devices share a batch, the moments are those of the
whole batch (`rum_jax.parallel`).
"""

from __future__ import annotations

import jax
from jax import lax
import jax.numpy as jnp

from rum_jax import parallel
from rum_jax.models.kernels.layout import in_platform_layout
from rum_jax.types import Array


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
  count, first, second = parallel.total(
      in_platform_layout(_sums, x, _weight(x, mask)))
  safe = jnp.maximum(count, 1)
  mean = first / safe
  return mean, jnp.maximum(second / safe - mean**2, 0), count


def _sums(x: Array, weight: Array, channel: int) -> tuple[Array, ...]:
  count = weight.sum() * (x.size // x.shape[0] // x.shape[-1])
  return count, _total(x, weight, channel), _total(x * x, weight, channel)


def scaled(x: Array, mean: Array, var: Array, scale: Array, bias: Array
           ) -> Array:
  """Batch-norm of `[B, ..., C]` by given moments.

  Args:
    x: `[B, ..., C]`.
    mean: `[C]`.
    var: `[C]`, epsilon included.
    scale: `[C]`.
    bias: `[C]`.

  Returns:
    `[B, ..., C]`.
  """
  factor = scale * lax.rsqrt(var)
  return in_platform_layout(_line, x, factor, bias - mean * factor)


def _line(x: Array, slope: Array, level: Array, channel: int) -> Array:
  return x * _along(slope, x, channel) + _along(level, x, channel)


def normalised(x: Array, scale: Array, bias: Array, mask: Array | None,
               epsilon: float) -> tuple[Array, Array, Array, Array]:
  """Batch-norm by the batch's own moments.

  Args:
    x: `[B, ..., C]`.
    scale: `[C]`.
    bias: `[C]`.
    mask: `[B]`, 0 = padding; `None` counts every example.
    epsilon: added to the variance.

  Returns:
    `(y [B, ..., C], mean [C], variance [C], count [])`. The gradient is that of
    `y` alone.
  """
  return _normalised(x, scale, bias, _weight(x, mask), epsilon)


def _normalise(x: Array, scale: Array, bias: Array, weight: Array,
               epsilon: float) -> tuple[Array, Array, Array, Array]:
  mean, var, count = moments(x, weight)
  return scaled(x, mean, var + epsilon, scale, bias), mean, var, count


def _forward(x: Array, scale: Array, bias: Array, weight: Array,
             epsilon: float):
  # It is not `_normalised`, so that second derivatives include the moments.
  results = _normalise(x, scale, bias, weight, epsilon)
  return results, (x, scale, weight, *results[1:])


def _backward(epsilon: float, saved, cotangents):
  x, scale, weight, mean, var, count = saved
  dy, deviation = cotangents[0], lax.rsqrt(var + epsilon)
  dbias, product = in_platform_layout(
      _gradient_sums, (x, dy), jnp.ones_like(weight))
  dscale = (product - mean * dbias) * deviation
  all_scale, all_bias = parallel.total((dscale, dbias))
  factor, share = scale * deviation, -scale * deviation / jnp.maximum(count, 1)
  slope = share * deviation * all_scale * (var > 0)
  level = share * all_bias - slope * mean
  dx = in_platform_layout(
      _input_gradient, (x, dy), weight, factor, slope, level)
  return dx, dscale, dbias, None


def _gradient_sums(images: tuple[Array, Array], every: Array, channel: int
                   ) -> tuple[Array, Array]:
  x, dy = images
  return _total(dy, every, channel), _total(dy * x, every, channel)


def _input_gradient(images: tuple[Array, Array], weight: Array, factor: Array,
                    slope: Array, level: Array, channel: int) -> Array:
  """Directly, and through the moments."""
  x, dy = images
  through = _line(x, slope, level, channel)
  return (dy * _along(factor, x, channel)
          + through * _along(weight, x, -1 - channel))


_normalised = jax.custom_vjp(_normalise, nondiff_argnums=(4,))
_normalised.defvjp(_forward, _backward)
