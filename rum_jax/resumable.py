"""Training runs that can stop after any epoch and continue later.

One compiled program continues a run by any number of epochs. So the program
compiles once, and the result is the same bit for bit wherever the run stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import optax

from rum_jax import training
from rum_jax.types import (
    Array, Examples, Draw, Key, Model, Objective, PyTree, Split, Variables)


class Fit(NamedTuple):
  """Training from scratch: the arguments of `training.run_epochs`.

  Attributes:
    objective: the loss to minimise.
    tx: the optimiser with its learning-rate schedule.
    draw: `(key, split) -> plan` of an epoch over the retain set.
    epochs: number of epochs of the whole run.
    steps: number of steps of the whole run.
    images: number of examples in an epoch.
  """

  objective: Objective
  tx: optax.GradientTransformation
  draw: Draw
  epochs: int
  steps: int
  images: int


class Run(NamedTuple):
  """A run between two epochs.

  Attributes:
    state: variables, optimiser state and epoch.
    loss: `[T]`, the loss of every step, in the precision of the parameters; 0
      for steps that have not run.
    seen: the record of the observer.
  """

  state: training.State
  loss: Array
  seen: PyTree = ()


class Observer(NamedTuple):
  """Updates a record of a run after each epoch.

  Attributes:
    initial: `variables -> record`, from the variables before the first epoch.
    update: `(record, state, examples) -> record`.
  """

  initial: Callable[[Variables], PyTree]
  update: Callable[[PyTree, training.State, Examples], PyTree]


NO_OBSERVER = Observer(
    lambda variables: (), lambda record, state, examples: record)


def initial_run(model: Model, fit: Fit, observer: Observer = NO_OBSERVER
                ) -> Callable[[Key, Examples, Split], Run]:
  """The function `(key, examples, split) -> run` before the first epoch."""

  def start(key: Key, examples: Examples, split: Split) -> Run:
    key_init, _ = jax.random.split(key)
    variables = training.fresh(key_init, model, examples, split.retain)
    state = training.start(variables, fit.tx)
    kind = jnp.result_type(*jax.tree.leaves(variables.params))
    return Run(state, jnp.zeros((fit.steps,), kind),
               observer.initial(state.variables))

  return start


def advance(fit: Fit, observer: Observer = NO_OBSERVER) -> Callable[..., Run]:
  """The function `(key, run, count, examples, split) -> run` of `count` epochs.

  The key is the one that `initial_run` got. `count` is traced, so that one
  program works for any number of epochs.
  """

  def run_more(key: Key, run: Run, count: Array, examples: Examples,
               split: Split) -> Run:
    _, key_fit = jax.random.split(key)

    def epoch(_, run: Run) -> Run:
      state, info = training.run_epochs(
          key_fit, run.state, examples, split, objective=fit.objective,
          tx=fit.tx, draw=fit.draw, epochs=1, total_steps=fit.steps)
      first = run.state.epoch * info.loss.shape[0]
      loss = lax.dynamic_update_slice(
          run.loss, info.loss.astype(run.loss.dtype), (first,))
      return Run(state, loss, observer.update(run.seen, state, examples))

    return lax.fori_loop(0, count, epoch, run)

  return run_more


def last_loss(run: Run, fit: Fit, done: int) -> float:
  """Mean loss of epoch `done` (counted from 1) in the first of stacked runs."""
  length = fit.steps // fit.epochs
  return float(run.loss[0, (done - 1) * length:done * length].mean())
