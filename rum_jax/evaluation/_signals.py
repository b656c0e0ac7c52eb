"""Signals: the inputs of evaluation, memorization and audits."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from rum_jax import training
from rum_jax.types import Examples, Model, Signals, Variables


def signals(model: Model, variables: Variables, examples: Examples, *,
            features: bool = False, batch_size: int = 1024) -> Signals:
  """Loss and score of every example, in evaluation mode, a batch at a time.

  Predictions are not kept, so the memory does not depend on their size. For
  many models, map it with `over_seeds`.

  Args:
    model: the network; its task gives loss and score.
    variables: the variables of one model.
    examples: leaves `[N, ...]`.
    features: whether to return the features, too.
    batch_size: examples at a time.

  Returns:
    `Signals` of one model, `loss [N]` and `score [N]`.

  Raises:
    ValueError: if there are no examples, or `batch_size` is not positive.
  """
  def of_batch(batch: Examples) -> Signals:
    outputs, _ = model.apply(variables, batch, train=False)
    return Signals(model.task.loss(outputs, batch),
                   model.task.score(outputs, batch),
                   outputs.features if features else None)

  examples = jax.tree.map(jnp.asarray, examples)
  return training.in_batches(of_batch, examples, batch_size)


@dataclasses.dataclass(frozen=True)
class Predict:
  """The function `(variables, examples) -> signals` of one model.

  It is `signals` with a model; two equal ones share a compiled program.

  Attributes:
    model: the network; its task gives loss and score.
    features: whether the signals hold features.
  """

  model: Model
  features: bool = False

  def __call__(self, variables: Variables, examples: Examples) -> Signals:
    return signals(self.model, variables, examples, features=self.features)
