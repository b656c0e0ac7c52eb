"""Losses of one example, and the weighted mean that ignores padding."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from rum_jax.types import AnyArray, Array


def cross_entropy(logits: AnyArray, labels: AnyArray) -> Array:
  """`-log softmax(logits)[label]` of every example, exact near 0.

  It is computed as `softplus(logsumexp_{k≠y} z_k − z_y)`. The logit of the
  label is left out of the sum: in float32 the sum would be rounded to that
  logit, and every loss below 1e-7 would be rounded to 0.

  Args:
    logits: `[B, K]`.
    labels: `[B]` int32.

  Returns:
    `[B]` nats; NaN where the label is outside `[0, K)` or a logit is NaN or
    positive infinity.
  """
  # A sum over classes: the gradient of an index look-up would be a scatter.
  hit = labels[:, None] == jnp.arange(logits.shape[-1])[None]
  known = hit.any(axis=-1) & (logits < jnp.inf).all(axis=-1)
  true = jnp.where(hit, logits, 0).sum(axis=-1)
  # Finite, so that the loss is 0 and not NaN where K is 1.
  least = jnp.finfo(logits.dtype).min
  others = jax.nn.logsumexp(jnp.where(hit, least, logits), axis=-1)
  return jax.nn.softplus(others - jnp.where(known, true, jnp.nan))


def logit_confidence(loss: ArrayLike) -> Array:
  """The logit of the confidence `p = exp(−loss)`: `φ = log p − log(1 − p)`.

  Args:
    loss: `[...]` nats, exact near 0 as `cross_entropy` is.

  Returns:
    `[...]`, the logits; infinite where the loss is 0.
  """
  loss = jnp.asarray(loss)
  return -(loss + jnp.log(-jnp.expm1(-loss)))


def distillation(student: ArrayLike, teacher: ArrayLike, temperature: float
                 ) -> Array:
  r"""`temperature² · KL(teacher ‖ student)` of softened distributions.

  Args:
    student: `[B, K]` logits.
    teacher: `[B, K]` logits; they get no gradient.
    temperature: the divisor of both logits before the softmax.

  Returns:
    `[B]` nats. The factor `temperature²` keeps the size of the gradient about
    the same at all temperatures.

  References:
    Hinton, Vinyals and Dean, Distilling the knowledge in a neural network,
    2015.
  """
  log_p = jax.nn.log_softmax(jax.lax.stop_gradient(teacher) / temperature)
  log_q = jax.nn.log_softmax(student / temperature)
  return temperature**2 * (jnp.exp(log_p) * (log_p - log_q)).sum(axis=-1)


def weighted_mean(values: AnyArray, weight: AnyArray) -> Array:
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
