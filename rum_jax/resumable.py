"""Runs of training that can stop after any epoch, be looked at, and go on.

One program advances a run by as many epochs as it is told, so that it compiles
once and cutting a run anywhere changes no bit of it.
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
    objective: to minimise.
    tx: the optimiser, under its schedule.
    draw: lays the retain set out.
    epochs: of the whole run.
    steps: of the whole run.
    images: examples an epoch.
  """

  objective: Objective
  tx: optax.GradientTransformation
  draw: Draw
  epochs: int
  steps: int
  images: int


class Run(NamedTuple):
  """A run between two epochs: all that goes on, and `[T]` losses so far.

  Losses of steps to come are NaN; `seen` is what an observer keeps.
  """

  state: training.State
  loss: Array
  seen: PyTree = ()


class Observer(NamedTuple):
  """Looks at a run after each epoch and keeps what it wants to keep.

  Attributes:
    begin: maps the variables before the first epoch to what is kept then.
    observe: `(kept, state, examples) -> kept`.
  """

  begin: Callable[[Variables], PyTree]
  observe: Callable[[PyTree, training.State, Examples], PyTree]


BLIND = Observer(lambda variables: (), lambda kept, state, examples: kept)


def begin(model: Model, fit: Fit, observer: Observer = BLIND
          ) -> Callable[[Key, Examples, Split], Run]:
  """`(key, examples, split) -> run` before its first epoch."""

  def start(key: Key, examples: Examples, split: Split) -> Run:
    key_init, _ = jax.random.split(key)
    variables = training.fresh(key_init, model, examples, split.retain)
    state = training.start(variables, fit.tx)
    return Run(state, jnp.full((fit.steps,), jnp.nan),
               observer.begin(state.variables))

  return start


def advance(fit: Fit, observer: Observer = BLIND) -> Callable[..., Run]:
  """`(key, run, count, examples, split) -> run` that is `count` epochs on.

  The key is that of `begin`; `count` is traced, so that one program serves
  segments of any length.
  """

  def some(key: Key, run: Run, count: Array, examples: Examples, split: Split
           ) -> Run:
    _, key_fit = jax.random.split(key)

    def epoch(_, run: Run) -> Run:
      state, info = training.run_epochs(
          key_fit, run.state, examples, split, objective=fit.objective,
          tx=fit.tx, draw=fit.draw, epochs=1, total_steps=fit.steps)
      first = run.state.epoch * info.loss.shape[0]
      return Run(state, lax.dynamic_update_slice(run.loss, info.loss, (first,)),
                 observer.observe(run.seen, state, examples))

    return lax.fori_loop(0, count, epoch, run)

  return some


def last_loss(run: Run, fit: Fit, done: int) -> float:
  """Mean loss of the last of `done` epochs, of the first of stacked runs."""
  length = fit.steps // fit.epochs
  return float(run.loss[0, (done - 1) * length:done * length].mean())
