"""Losses of one example, and the weighted mean that ignores padding."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from rum_jax.types import Array


def cross_entropy(logits: Array, labels: Array) -> Array:
  """`-log softmax(logits)[label]` of every example.

  Args:
    logits: `[B, K]`.
    labels: `[B]` int32.

  Returns:
    `[B]` nats; NaN where there is no such class.
  """
  # A sum over classes, as the gradient of a look-up would be a scatter.
  hit = labels[:, None] == jnp.arange(logits.shape[-1])
  true = jnp.where(hit, logits, 0).sum(axis=-1)
  true = jnp.where(hit.any(axis=-1), true, jnp.nan)
  return jax.nn.logsumexp(logits, axis=-1) - true


def distillation(student: Array, teacher: Array, temperature: float) -> Array:
  r"""`temperature² · KL(teacher ‖ student)`, both softened.

  Args:
    student: `[B, K]` logits.
    teacher: `[B, K]` logits, taken as constants.
    temperature: both are divided by it before the softmax.

  Returns:
    `[B]` nats; the factor `temperature²` keeps the gradient's size independent
    of it.

  References:
    Hinton, Vinyals and Dean, Distilling the knowledge in a neural network,
    2015.
  """
  log_p = jax.nn.log_softmax(jax.lax.stop_gradient(teacher) / temperature)
  log_q = jax.nn.log_softmax(student / temperature)
  return temperature**2 * (jnp.exp(log_p) * (log_p - log_q)).sum(axis=-1)


def weighted_mean(values: Array, weight: Array) -> Array:
  """`Σ w·v / Σ w`, 0 where all weights are 0, and NaN where one is NaN.

  Args:
    values: `[B]`.
    weight: `[B]`, 0 = padding.

  Returns:
    A scalar.
  """
  total = weight.sum()
  safe = jnp.where(total == 0, 1, total)
  return jnp.where(weight == 0, 0, values * weight).sum() / safe
