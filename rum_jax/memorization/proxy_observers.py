"""Observers of a training run that collect proxies of memorization."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from rum_jax import resumable, training, trees
from rum_jax.memorization import learning_events, proxies
from rum_jax.types import Array, Examples, Model, Variables


def learning(model: Model, num_examples: int, early: int, *,
             classes: bool = True) -> resumable.Observer:
  """Records the history of the first N examples, and early variables.

  Args:
    model: the network.
    num_examples: N; the first N examples are observed.
    early: the epoch after which the variables are recorded.
    classes: whether predictions are logits of classes.

  Returns:
    An observer; `seen` of its runs is `(history, variables)`.
  """

  def initial(variables: Variables) -> tuple[Any, Variables]:
    return (learning_events.empty_history(num_examples, classes=classes),
            variables)

  def update(record: Any, state: training.State, examples: Examples) -> Any:
    history, variables = record
    first = trees.take(examples, slice(num_examples))
    probe = learning_events.probe(model, first, classes=classes)
    return (learning_events.add_epoch(history, probe(state.variables)),
            jax.tree.map(lambda a, b: jnp.where(state.epoch == early, b, a),
                         variables, state.variables))

  return resumable.Observer(initial, update)


def curvature(model: Model, num_examples: int) -> resumable.Observer:
  """Records the `[N]` sum over epochs of the loss's curvature at each image."""

  def update(total: Array, state: training.State, examples: Examples) -> Array:
    return total + proxies.curvature(
        model, state.variables, trees.take(examples, slice(num_examples)))

  return resumable.Observer(lambda _: jnp.zeros((num_examples,)), update)
