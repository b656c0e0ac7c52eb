"""Classification: an example is known where its label has the largest logit."""

from __future__ import annotations

import jax.numpy as jnp

from rum_jax import losses
from rum_jax.types import Array, Images, Outputs, Task


def classification() -> Task:
  """The task of networks that return logits `[B, K]` for `Images`.

  Returns:
    A task. Its loss is `losses.cross_entropy`. Its score is 1 where the largest
    logit is the label's and all logits are finite, and otherwise 0. Its
    divergence is `losses.distillation`, `temperature² · KL(teacher ‖ student)`.

  >>> outputs = Outputs(jnp.array([[4.0, 0.0], [0.0, 0.0]]), features=None)
  >>> labels = Images(image=None, label=jnp.array([0, 1]))
  >>> classification().score(outputs, labels).tolist()
  [1.0, 0.0]
  """
  return Task(_loss, _score, _divergence)


def _loss(outputs: Outputs, examples: Images) -> Array:
  return losses.cross_entropy(outputs.prediction, examples.label)


def _score(outputs: Outputs, examples: Images) -> Array:
  logits = outputs.prediction
  # argmax of NaN is 0, which would count as correct for examples of class 0.
  finite = jnp.isfinite(logits).all(axis=-1)
  correct = finite & (logits.argmax(axis=-1) == examples.label)
  return correct.astype(logits.dtype)


def _divergence(student: Outputs, teacher: Outputs, temperature: float
                ) -> Array:
  return losses.distillation(
      student.prediction, teacher.prediction, temperature)
