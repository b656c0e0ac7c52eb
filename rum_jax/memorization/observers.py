"""What watches a run of training so that proxies of memorization come of it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from rum_jax import resumable, training, trees
from rum_jax.memorization import learning_events, proxies
from rum_jax.types import Array, Examples, Model, Variables


def learning(model: Model, num_examples: int, early: int, *,
             classes: bool = True) -> resumable.Observer:
  """Keeps a history of the first N examples, and the variables early on.

  Args:
    model: the network.
    num_examples: N, how many of the first examples to watch.
    early: the epoch after which the variables are kept.
    classes: whether predictions are logits of classes.

  Returns:
    Its runs end with `seen = (history, variables)`.
  """

  def begin(variables: Variables) -> tuple[Any, Variables]:
    return learning_events.begin(num_examples, classes=classes), variables

  def observe(kept: Any, state: training.State, examples: Examples) -> Any:
    history, variables = kept
    first = trees.take(examples, slice(num_examples))
    look = learning_events.probe(model, first, classes=classes)
    return (learning_events.observe(history, look(state.variables)),
            jax.tree.map(lambda a, b: jnp.where(state.epoch == early, b, a),
                         variables, state.variables))

  return resumable.Observer(begin, observe)


def curvature(model: Model, num_examples: int) -> resumable.Observer:
  """Keeps the `[N]` sum over epochs of the loss's curvature at each image."""

  def observe(kept: Array, state: training.State, examples: Examples) -> Array:
    return kept + proxies.curvature(
        model, state.variables, trees.take(examples, slice(num_examples)))

  return resumable.Observer(lambda _: jnp.zeros((num_examples,)), observe)
