"""Descend on the retain set and ascend on the forget set at once.

`alpha · CE(retain batch) − (1 − alpha) · CE(forget batch)`; an epoch passes
once over the retain set, and the forget set is cycled beside it. Each of the
two batches goes through the network on its own, so batch-norm never mixes them.

The ascent has no bound: from some learning rate on the network is destroyed.
`cap` stops the gradient of a forget batch whose loss has reached it; ln K is
the loss of a uniform guess.

The forget batches are drawn anew each time round. SCRUB's own code also adds a
penalty on the distance from the start, which RUM's leaves out, as do we.

References:
  Kurmanji et al., Towards unbounded machine unlearning, 2023.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from rum_jax import _checks, objectives, plans, training
from rum_jax.types import (
    Array, Batch, Draw, Edit, Examples, Info, Key, Model, Objective, PyTree,
    Split, Unlearner, Variables)

# What a search fixes, and the limits of what it draws.
SPACE = {'epochs': 5}, {'learning_rate': (1e-4, 0.2, 'log'),
                        'alpha': (0.5, 0.999, 'near_one')}


def neggrad_plus(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    alpha: float = 0.95,
    cap: float | None = None,
    epochs: int = 5,
    batch_size: int = 256,
    steps: int | None = None,
    augment: Edit | None = None,
) -> Unlearner:
  """`alpha · CE(retain) − (1 − alpha) · min(CE(forget), cap)`.

  Args:
    model: the network.
    tx: the optimiser; the paper: SGD, learning rate 0.01.
    alpha: weight of the retain set, in `[0, 1]`; the paper's example for RUM:
      0.99 for low and 0.97 for medium and high memorization.
    cap: loss of a forget batch beyond which it is left alone, in nats; `None`
      as in the paper.
    epochs: passes over the retain set.
    batch_size: of either batch.
    steps: if given, the length of the run in steps instead of epochs.
    augment: `(key, batch) -> examples`.

  Returns:
    An unlearner.

  Raises:
    TypeError: if `model` or `tx` is of another type; when called, as
      `_checks.check_run`.
    ValueError: if a hyper-parameter is out of range.
  """
  draw = plans.pair(
      plans.over_retain(batch_size), plans.over_forget(batch_size))
  return pulled(model, tx, draw, alpha=alpha, cap=cap, epochs=epochs,
                batch_size=batch_size, steps=steps, augment=augment)


def pulled(
    model: Model,
    tx: optax.GradientTransformation,
    draw: Draw,
    *,
    alpha: float,
    cap: float | None,
    epochs: int,
    batch_size: int,
    steps: int | None,
    augment: Edit | None,
) -> Unlearner:
  """`neggrad_plus` along the plans of `draw`: retain rows, then forget rows."""
  _checks.check_model(model)
  _checks.check_range('alpha', alpha, 0, 1)
  if cap is not None:
    _checks.check_range('cap', cap, 0)
  training.check_fit(tx, epochs, steps)

  @_checks.checked
  def unlearn(key: Key, variables: Variables, examples: Examples, split: Split
              ) -> tuple[Variables, Info]:
    width = min(batch_size, split.retain.shape[-1])
    return training.fit(
        key, variables, examples, split,
        objective=tug(model, width, alpha, cap, augment), tx=tx, draw=draw,
        epochs=epochs, steps=steps)

  return unlearn


def tug(model: Model, width: int, alpha: float, cap: float | None,
        augment: Edit | None = None) -> Objective:
  """The objective, for batches whose first `width` rows are to be kept."""
  mean_loss = objectives.supervised(model, augment)

  def objective(params: PyTree, stats: PyTree, batch: Batch, key: Key
                ) -> tuple[Array, PyTree]:
    key_keep, key_forget = jax.random.split(key)
    left, right = (jax.tree.map(lambda x, rows=rows: x[rows] if x.ndim else x,
                                batch)
                   for rows in (slice(width), slice(width, None)))
    keep, stats = mean_loss(params, stats, left, key_keep)
    forget, stats = mean_loss(params, stats, right, key_forget)
    if cap is not None:
      forget = jnp.minimum(forget, cap)
    return alpha * keep - (1 - alpha) * forget, stats

  return objective
