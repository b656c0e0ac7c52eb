"""Gradient descent on the retain set and ascent on the forget set at once.

`alpha · CE(retain batch) − (1 − alpha) · CE(forget batch)`. An epoch visits the
retain set once and repeats the forget set as often as needed. The network runs
on each of the two batches separately, so batch-norm never mixes them.

The objective has no lower bound, so with a large learning rate the network
becomes useless. A forget batch whose loss has reached `cap` has no gradient; a
natural cap is ln K, the loss of a uniform guess.

Each repetition of the forget set is in a new random order. The code of SCRUB
adds a penalty on the distance from the original parameters. The code of RUM and
this function do not.

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
    cap: loss in nats from which on a forget batch has no gradient; `None`, as
      in the paper, for no cap.
    epochs: passes over the retain set.
    batch_size: examples in each of the two batches of a step.
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
  >>> _, info = neggrad_plus(model, tx, epochs=1, batch_size=4)(*run)
  >>> len(info.loss)  # 8 examples to retain; the 4 to forget are used twice.
  2
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
  """`neggrad_plus` with batches from `draw`: retain rows, then forget rows."""
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
  """The objective, for batches whose first `width` rows are to be retained."""
  mean_loss = objectives.supervised(model, augment)
  retained, forgotten = (objectives.of_rows(mean_loss, rows) for rows in (
      slice(width), slice(width, None)))

  def objective(params: PyTree, stats: PyTree, batch: Batch, key: Key
                ) -> tuple[Array, PyTree]:
    key_keep, key_forget = jax.random.split(key)
    keep, stats = retained(params, stats, batch, key_keep)
    forget, stats = forgotten(params, stats, batch, key_forget)
    if cap is not None:
      forget = jnp.minimum(forget, cap)
    return alpha * keep - (1 - alpha) * forget, stats

  return objective
