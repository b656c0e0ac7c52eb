"""Parts of objectives that several methods share."""

from __future__ import annotations

import jax
from jax import lax
import jax.numpy as jnp
import optax

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


def of_rows(objective: Objective, rows: slice) -> Objective:
  """The objective of some rows of a batch, as `plans.pair` joins two of them.

  Args:
    objective: the objective of a batch.
    rows: such as `slice(64)` for the first 64.

  Returns:
    An objective.
  """

  def part(params: PyTree, stats: PyTree, batch: Batch, key: Key
           ) -> tuple[Array, PyTree]:
    return objective(params, stats, jax.tree.map(
        lambda x: x[rows] if x.ndim else x, batch), key)

  return part


def projected(objective: Objective, kept: Objective) -> Objective:
  """Minimises `objective` along directions that do not increase `kept`.

  Let `g` be the gradient of `objective` and `h` that of `kept`. The gradient is
  `g − (g·h / |h|²) h` where the two conflict, `g·h < 0`, and otherwise `g`.
  Such a step does not increase `kept` to first order. It takes one forward and
  one backward pass of each. Gradient ascent on the forget set that spares the
  retain set:

      ascent = objectives.projected(
          objectives.of_rows(lambda *x: (-mean_loss(*x)[0], x[1]), forget),
          objectives.of_rows(mean_loss, retain))
      unlearn = training.descent(ascent, tx, plans.pair(
          plans.over_retain(64), plans.over_forget(64)), epochs=1)

  Args:
    objective: the loss to minimise.
    kept: what must not increase; it is computed first, and updates the state of
      the network first.

  Returns:
    An objective with the value of `objective`. Its gradient is right for one
    differentiation, as by optimisers; it has no second derivative.

  References:
    Chaudhry et al., Efficient lifelong learning with A-GEM, 2019; for
    unlearning, Wang et al., GRU: mitigating the trade-off between unlearning
    and retention for LLMs, 2025.
  """

  def both(params: PyTree, stats: PyTree, batch: Batch, key: Key
           ) -> tuple[Array, PyTree]:
    keys = (None, None) if key is None else jax.random.split(key)
    at = lax.stop_gradient(params)
    (_, stats), h = jax.value_and_grad(kept, has_aux=True)(
        at, stats, batch, keys[0])
    (value, stats), g = jax.value_and_grad(objective, has_aux=True)(
        at, stats, batch, keys[1])
    along, square = (jnp.asarray(optax.tree.vdot(x, h)) for x in (g, h))
    share = along / jnp.where(square > 0, square, 1)
    gradient = jax.tree.map(
        lambda a, b: a - jnp.minimum(share, 0) * b, g, h)
    # A linear function: 0 at these parameters, and of this gradient.
    change = jax.tree.map(jnp.subtract, params, at)
    return value + optax.tree.vdot(gradient, change), stats

  return both
