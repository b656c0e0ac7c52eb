"""Ascend on the forget set and look at nothing else.

`−CE(forget)`. The ascent has no bound: from some number of steps on the network
is destroyed. `cap` stops the gradient of a batch whose loss has reached it; ln
K is the loss of a uniform guess. An epoch passes once over the forget set, so
its cost, and its damage, grow with that set: `steps` bounds them.

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
    cap: loss of a batch beyond which it is left alone, in nats; `None` as in
      the paper.
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
