"""Objectives that more than one method wants: supervised learning."""

from __future__ import annotations

from collections.abc import Callable

from rum_jax import _checks, losses
from rum_jax.types import (
    Array, Augment, Batch, Key, Model, Objective, PyTree, Variables)


def supervised(
    model: Model,
    augment: Augment | None = None,
    relabel: Callable[[Batch], Array] | None = None,
) -> Objective:
  """Mean cross-entropy of a batch against its labels.

  Args:
    model: the network.
    augment: `(key, images) -> images`, applied before the network.
    relabel: `batch -> labels [B]` to use instead of the batch's own.

  Returns:
    An objective.

  Raises:
    TypeError: if `model` is no `Model`.
  """
  _checks.check_model(model)

  def objective(params: PyTree, stats: PyTree, batch: Batch, key: Key
                ) -> tuple[Array, PyTree]:
    images = augment(key, batch.image) if augment else batch.image
    outputs, stats = model.apply(
        Variables(params, stats), images, train=True, mask=batch.weight)
    label = relabel(batch) if relabel else batch.label
    loss = losses.cross_entropy(outputs.logits, label)
    return losses.weighted_mean(loss, batch.weight), stats

  return objective
