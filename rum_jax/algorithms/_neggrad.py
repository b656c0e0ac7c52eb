"""Gradient ascent on the forget set alone.

`−CE(forget)`. The objective has no lower bound, so after many steps the network
is useless. A batch whose loss has reached `cap` has no gradient; a natural cap
is ln K, the loss of a uniform guess. An epoch visits the forget set once, so
its cost and its damage grow with the size of that set. `steps` limits them.

The released code is the same, without a cap.

References:
  Golatkar, Achille and Soatto, Eternal sunshine of the spotless net, 2020.
  Thudi et al., Unrolling SGD: understanding factors influencing machine
  unlearning, 2022.
"""

from __future__ import annotations

import jax.numpy as jnp
import optax

from rum_jax import _checks, objectives, plans, training
from rum_jax.types import (
    Array, Edit, Batch, Key, Model, Objective, PyTree, Unlearner)

# What a search fixes, and the limits of what it draws.
SPACE = {'epochs': 5}, {'learning_rate': (1e-5, 0.1, 'log')}


def neggrad(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    cap: float | None = None,
    epochs: int = 5,
    batch_size: int = 256,
    steps: int | None = None,
    augment: Edit | None = None,
) -> Unlearner:
  """`−min(CE(forget), cap)` from the original variables.

  Args:
    model: the network.
    tx: the optimiser; the paper: SGD, learning rate 1e-4.
    cap: loss in nats from which on a batch has no gradient; `None`, as in the
      paper, for no cap.
    epochs: passes over the forget set.
    batch_size: examples a step.
    steps: if given, the length of the run in steps instead of epochs.
    augment: `(key, batch) -> examples`.

  Returns:
    An unlearner.

  Raises:
    TypeError: if `model` or `tx` is of another type; when called, as
      `_checks.check_run`.
    ValueError: if a hyper-parameter is out of range.

  >>> from rum_jax import testing
  >>> model, tx, run = testing.example()
  >>> _, info = neggrad(model, tx, epochs=3)(*run)
  >>> bool(info.loss[0] > info.loss[-1])  # Minus the loss on the forget set.
  True
  """
  if cap is not None:
    _checks.check_range('cap', cap, 0)
  return training.descent(
      reversed_sign(objectives.supervised(model, augment), cap), tx,
      plans.over_forget(batch_size), epochs=epochs, steps=steps)


def reversed_sign(objective: Objective, cap: float | None) -> Objective:
  """`−min(objective, cap)`."""

  def ascent(params: PyTree, stats: PyTree, batch: Batch, key: Key
             ) -> tuple[Array, PyTree]:
    loss, stats = objective(params, stats, batch, key)
    return -(loss if cap is None else jnp.minimum(loss, cap)), stats

  return ascent
