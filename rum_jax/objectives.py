"""Objectives that more than one method wants: supervised learning."""

from __future__ import annotations

import jax

from rum_jax import _checks, losses
from rum_jax.types import (
    Array, Batch, Edit, Key, Model, Objective, Outputs, PyTree, Variables)

_NETWORK, _RELABEL = 1, 2  # Derive keys from a step's, which is augment's own.


def forward(model: Model, params: PyTree, stats: PyTree, batch: Batch,
            key: Key | None) -> tuple[Outputs, PyTree]:
  """Runs the network on a batch in training mode.

  Args:
    model: the network.
    params: of the network.
    stats: of the network.
    batch: whose padding the network leaves out.
    key: of the step; what is random in the network draws from a key that is
      derived from it, so that a draw of `augment` and one of the network are
      independent.

  Returns:
    `(outputs, stats)`.
  """
  return model.apply(Variables(params, stats), batch.examples, train=True,
                     key=derived(key, _NETWORK), mask=batch.weight)


def derived(key: Key | None, purpose: int) -> Key | None:
  """A key for another purpose; `None` of `None`, where nothing is random."""
  return None if key is None else jax.random.fold_in(key, purpose)


def edited(batch: Batch, key: Key, augment: Edit | None = None,
           relabel: Edit | None = None) -> Batch:
  """The batch after up to two edits, the second of which sees the first's."""
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
    relabel: likewise, applied after `augment`; its key is another.

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
