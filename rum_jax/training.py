"""The training loop, which every unlearner uses, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import optax

from rum_jax import _checks, plans, trees
from rum_jax.types import (
    AnyArray, Array, Batch, Examples, Draw, Info, Key, Model, Objective,
    Outputs, Plan, PyTree, Split, Unlearner, Variables)


class State(NamedTuple):
  """The state of a run between two epochs: all that the next epoch needs."""

  variables: Variables
  opt_state: PyTree
  epoch: Array


def make_step(objective: Objective, tx: optax.GradientTransformation
              ) -> Callable[..., tuple[tuple[Variables, PyTree], Array]]:
  """One gradient step, which `jax.jit` can compile.

  Args:
    objective: `(params, stats, batch, key) -> (loss, stats)`.
    tx: the optimiser.

  Returns:
    `(variables, opt_state, batch, key) -> ((variables, opt_state), loss)`.
  """

  def step(variables: Variables, opt_state: PyTree, batch: Batch, key: Key):
    (loss, stats), grads = jax.value_and_grad(objective, has_aux=True)(
        variables.params, variables.stats, batch, key)
    updates, opt_state = tx.update(grads, opt_state, variables.params)
    params = optax.apply_updates(variables.params, updates)
    return (Variables(params, stats), opt_state), loss

  return step


def gather(examples: Examples, plan: Plan, progress: Array, epoch: Array
           ) -> Batch:
  """Looks up the examples of one step: `[B]` indices to a `Batch`.

  A row outside of the examples gets the weight NaN, so that the loss of the run
  is NaN, too.
  """
  one_or_nan = plans.one_or_nan(plan.index, trees.length(examples))
  return Batch(
      examples=trees.take(examples, plan.index), index=plan.index,
      forget=plan.forget, weight=plan.weight * one_or_nan,
      progress=progress, epoch=epoch)


def fresh(key: Key, model: Model, examples: Examples, rows: AnyArray
          ) -> Variables:
  """The variables of a network that is about to train on `rows` `[n]`."""
  examples = jax.tree.map(jnp.asarray, examples)
  return model.init_from_data(model.init(key), examples, rows)


def start(variables: Variables, tx: optax.GradientTransformation) -> State:
  """The state before the first epoch."""
  return State(variables, tx.init(variables.params), jnp.zeros((), jnp.int32))


def run_epochs(
    key: Key,
    state: State,
    examples: Examples,
    split: Split,
    *,
    objective: Objective,
    tx: optax.GradientTransformation,
    draw: Draw,
    epochs: int,
    total_steps: int,
    probe: Callable[[Variables], PyTree] | None = None,
) -> tuple[State, Info]:
  """Runs `epochs` more epochs from `state`.

  A run may be cut into segments after any epoch. The keys depend on the numbers
  of the epoch and of the step alone, so the segments give bit for bit the
  result of the whole run.

  Args:
    key: the key of the whole run, the same for all its segments.
    state: the state to continue from.
    examples: all examples.
    split: the split that `draw` makes plans for.
    objective: the loss to minimise.
    tx: the optimiser.
    draw: `(key, split) -> plan` of an epoch.
    epochs: number of epochs to run now.
    total_steps: number of steps of the whole run; later steps change nothing.
    probe: called with the variables after each epoch; its results are stacked.

  Returns:
    `(state, info)` with `info.loss` `[epochs · T]`.
  """
  examples = jax.tree.map(jnp.asarray, examples)
  step = make_step(objective, tx)
  length = jax.eval_shape(draw, key, split).index.shape[0]
  key_draw, key_step = jax.random.split(key)

  def one_step(carry, row: tuple[Plan, Array]):
    variables, opt_state, epoch = carry
    plan, t = row

    def move(_):
      batch = gather(examples, plan, t / total_steps, epoch)
      return step(variables, opt_state, batch, jax.random.fold_in(key_step, t))

    if total_steps % length:
      def skip(_):
        dtype = jax.eval_shape(move, None)[1].dtype
        return (variables, opt_state), jnp.full((), jnp.nan, dtype)
      moved, loss = lax.cond(t < total_steps, move, skip, None)
    else:
      moved, loss = move(None)
    return (*moved, epoch), loss

  def one_epoch(state: State, _):
    plan = draw(jax.random.fold_in(key_draw, state.epoch), split)
    t = state.epoch * length + jnp.arange(length)
    carry = (state.variables, state.opt_state, state.epoch)
    (variables, opt_state, _), loss = lax.scan(one_step, carry, (plan, t))
    probed = probe(variables) if probe else {}
    return State(variables, opt_state, state.epoch + 1), (loss, probed)

  state, (loss, probes) = lax.scan(one_epoch, state, length=epochs)
  return state, Info(loss.reshape(-1), probes)


def fit(
    key: Key,
    variables: Variables,
    examples: Examples,
    split: Split,
    *,
    objective: Objective,
    tx: optax.GradientTransformation,
    draw: Draw,
    epochs: int,
    steps: int | None = None,
    probe: Callable[[Variables], PyTree] | None = None,
) -> tuple[Variables, Info]:
  """A whole run of `run_epochs` from `variables`.

  Args:
    key: consumed.
    variables: the variables to start from.
    examples: all examples.
    split: the split that `draw` makes plans for.
    objective: the loss to minimise.
    tx: the optimiser; its state is initialised here.
    draw: `(key, split) -> plan` of an epoch.
    epochs: length of the run; 0 changes nothing.
    steps: if given, the length of the run in steps instead of epochs.
    probe: called with the variables after each epoch; its results are stacked.

  Returns:
    `(variables, info)`.

  Raises:
    ValueError: if there are no examples for `steps`.
  """
  length = jax.eval_shape(draw, key, split).index.shape[0]
  total = epochs * length if steps is None else steps
  if total and not length:
    raise ValueError(f'Expected examples for steps={steps}, found none.')
  if not total:
    return variables, Info(jnp.zeros((0,), jnp.float32), {})
  state, info = run_epochs(
      key, start(variables, tx), examples, split, objective=objective, tx=tx,
      draw=draw, epochs=plans.num_steps(total, length), total_steps=total,
      probe=probe)
  return state.variables, info._replace(loss=info.loss[:total])


def descent(
    objective: Objective,
    tx: optax.GradientTransformation,
    draw: Draw,
    *,
    epochs: int,
    steps: int | None = None,
    probe: Callable[[Variables], PyTree] | None = None,
) -> Unlearner:
  """The unlearner that runs `fit` from the given variables.

  Args:
    objective: the loss to minimise.
    tx: the optimiser.
    draw: `(key, split) -> plan` of an epoch.
    epochs: length of the run.
    steps: if given, the length of the run in steps instead of epochs.
    probe: called with the variables after each epoch.

  Returns:
    An unlearner.

  Raises:
    TypeError: if `tx` is no optimiser; when called, as `_checks.check_run`.
    ValueError: if `epochs` or `steps` is not a whole number of at least 0.
  """
  check_fit(tx, epochs, steps)

  @_checks.checked
  def unlearn(key: Key, variables: Variables, examples: Examples, split: Split
              ) -> tuple[Variables, Info]:
    return fit(key, variables, examples, split, objective=objective, tx=tx,
               draw=draw, epochs=epochs, steps=steps, probe=probe)

  return unlearn


def check_fit(tx: optax.GradientTransformation, epochs: int,
              steps: int | None) -> None:
  """Raises unless `tx` is an optimiser and the budgets are whole numbers."""
  _checks.check_optimizer(tx)
  _checks.check_count('epochs', epochs)
  if steps is not None:
    _checks.check_count('steps', steps)


def in_batches(fn: Callable[[Examples], PyTree], examples: Examples,
               batch_size: int = 1024) -> PyTree:
  """Applies `fn` to all examples, a batch at a time.

  Args:
    fn: maps `[B, ...]` examples to a pytree of leaves `[B, ...]`, each row of
      which depends on its own example alone.
    examples: leaves `[N, ...]`.
    batch_size: examples at a time.

  Returns:
    The results, leaves `[N, ...]`.

  Raises:
    ValueError: if there are no examples, or `batch_size` is not positive.
  """
  _checks.check_count('batch_size', batch_size, 1)
  examples = jax.tree.map(jnp.asarray, examples)
  n = trees.length(examples)
  _checks.check_count('number of examples', n, 1)
  steps = plans.num_steps(n, batch_size)
  width = plans.num_steps(n, steps)
  index = jnp.minimum(jnp.arange(steps * width), n - 1).reshape(steps, width)
  results = lax.map(lambda rows: fn(trees.take(examples, rows)), index)
  return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:n], results)


def predict(model: Model, variables: Variables, examples: Examples,
            batch_size: int = 1024) -> Outputs:
  """Outputs in evaluation mode for all examples, a batch at a time.

  Args:
    model: the network.
    variables: the variables of one model.
    examples: leaves `[N, ...]`.
    batch_size: examples at a time.

  Returns:
    `Outputs(prediction [N, ...], features [N, D])`.

  Raises:
    ValueError: if there are no examples, or `batch_size` is not positive.
  """
  return in_batches(
      lambda batch: model.apply(variables, batch, train=False)[0], examples,
      batch_size)
