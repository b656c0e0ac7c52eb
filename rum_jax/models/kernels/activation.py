"""GELU whose derivative is computed once, together with its value."""

from __future__ import annotations

import math

import jax
from jax import lax
import jax.numpy as jnp

from rum_jax.models.kernels.layout import in_platform_layout
from rum_jax.types import Array


@jax.custom_vjp
def gelu(x: Array) -> Array:
  """`x · Φ(x)` with the normal distribution function Φ, not its tanh form.

  Without this function, XLA computes the error function again for every sum
  that uses the gradient: on a CPU, several times in each batch-norm.

  Args:
    x: `[B, ..., C]`.

  Returns:
    `[B, ..., C]`.

  References:
    Hendrycks and Gimpel, Gaussian error linear units, 2016.
  """
  return in_platform_layout(lambda x, channel: x * _phi(x), x)


def _phi(x: Array) -> Array:
  return 0.5 * (1 + lax.erf(x * math.sqrt(0.5)))


def _with_derivative(x: Array, channel: int) -> tuple[Array, Array]:
  del channel
  phi = _phi(x)
  density = jnp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
  return lax.optimization_barrier((x * phi, phi + x * density))


def _forward(x: Array) -> tuple[Array, Array]:
  return in_platform_layout(_with_derivative, x)


def _backward(derivative: Array, dy: Array) -> tuple[Array]:
  product = in_platform_layout(
      lambda both, channel: lax.optimization_barrier(both[0] * both[1]),
      (derivative, dy))
  return product,


gelu.defvjp(_forward, _backward)
