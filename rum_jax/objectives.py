"""Parts of objectives that several methods share."""

from __future__ import annotations

import jax

from rum_jax import _checks, losses
from rum_jax.types import (
    Array, Batch, Edit, Key, Model, Objective, Outputs, PyTree, Variables)

# Numbers that derive keys from the key of a step. `augment` uses that key as it
# is.
_NETWORK, _RELABEL = 1, 2


def forward(model: Model, params: PyTree, stats: PyTree, batch: Batch,
            key: Key | None) -> tuple[Outputs, PyTree]:
  """Runs the network on a batch in training mode.

  Args:
    model: the network.
    params: parameters of the network.
    stats: state of the network.
    batch: the examples; batch-norm ignores those that are padding.
    key: the key of the step. The network gets a key that is derived from it, so
      that its random numbers are independent of those of `augment`.

  Returns:
    `(outputs, stats)`.
  """
  return model.apply(Variables(params, stats), batch.examples, train=True,
                     key=derived(key, _NETWORK), mask=batch.weight)


def derived(key: Key | None, purpose: int) -> Key | None:
  """A key for another purpose, or `None` if `key` is `None`."""
  return None if key is None else jax.random.fold_in(key, purpose)


def edited(batch: Batch, key: Key, augment: Edit | None = None,
           relabel: Edit | None = None) -> Batch:
  """The batch after `augment` and then `relabel`, where they are given."""
  if augment:
    batch = batch._replace(examples=augment(key, batch))
  if relabel:
    key = jax.random.fold_in(key, _RELABEL)
    batch = batch._replace(examples=relabel(key, batch))
  return batch


def supervised(
    model: Model,
    augment: Edit | None = None,
    relabel: Edit | None = None,
) -> Objective:
  """Mean loss of the task over a batch.

  Args:
    model: the network.
    augment: `(key, batch) -> examples`, applied before the network.
    relabel: likewise, applied after `augment` and with another key.

  Returns:
    An objective.

  Raises:
    TypeError: if `model` is no `Model`.
  """
  _checks.check_model(model)

  def objective(params: PyTree, stats: PyTree, batch: Batch, key: Key
                ) -> tuple[Array, PyTree]:
    batch = edited(batch, key, augment, relabel)
    outputs, stats = forward(model, params, stats, batch, key)
    loss = model.task.loss(outputs, batch.examples)
    return losses.weighted_mean(loss, batch.weight), stats

  return objective
