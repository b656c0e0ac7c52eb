"""What batch-norm does while a network unlearns: update, freeze, recalibrate.

*Update* is the default and the released code's: every unlearner runs the
network in training mode, with the moments of the batch, and its running moments
follow. The other two are transformations, for any unlearner:

    salun(frozen(model), tx)                      # freeze
    recalibrated(salun(model, tx), model)         # recalibrate

An unlearner that starts from scratch must not be frozen: a fresh network has no
moments yet.
"""

from __future__ import annotations

from typing import Any

import jax
from jax import lax
import jax.numpy as jnp

from rum_jax import _checks, objectives, plans, training, trees
from rum_jax.types import (
    Array, Examples, Info, Key, Model, Outputs, Plan, PyTree, Split, Unlearner,
    Variables)

_SALT = 0xBA7C  # Sets the key of recalibration apart from an unlearner's own.


def frozen(model: Model) -> Model:
  """The network whose training mode is its evaluation mode.

  Batch-norm uses its running moments and leaves them alone; its scale and bias
  are parameters and still learn. Whatever else differs between the two modes,
  dropout for instance, is off too.

  Args:
    model: the network.

  Returns:
    A network with the same variables.
  """

  def apply(variables: Variables, examples: Examples, *, train: bool,
            key: Key | None = None, mask: Array | None = None
            ) -> tuple[Outputs, PyTree]:
    del train, key
    outputs, _ = model.apply(variables, examples, train=False, mask=mask)
    return outputs, variables.stats

  return model._replace(apply=apply)


def recalibrated(unlearner: Unlearner, model: Model, batch_size: int = 256
                 ) -> Unlearner:
  """Runs `unlearner`, then re-estimates the moments on the retain set.

  Args:
    unlearner: whose key, variables and info are left as they are.
    model: the network (not a `frozen` one).
    batch_size: examples a forward pass, as in training.

  Returns:
    An unlearner. Where its split is a sequence of splits, the last one's retain
    set is used.

  Raises:
    TypeError: if `unlearner` cannot be called.
    ValueError: if `batch_size` is not a whole number of at least 1.
  """
  _checks.check_callable('unlearner', unlearner)
  _checks.check_count('batch_size', batch_size, 1)

  def unlearn(key: Key, variables: Variables, examples: Examples, split: Any
              ) -> tuple[Variables, Info]:
    variables, info = unlearner(key, variables, examples, split)
    stage = split if isinstance(split, Split) else split[-1]
    stats = moments(jax.random.fold_in(key, _SALT), model, variables, examples,
                    stage, batch_size)
    return Variables(variables.params, stats), info

  return unlearn


def moments(key: Key, model: Model, variables: Variables, examples: Examples,
            split: Split, batch_size: int = 256) -> PyTree:
  """Mean over the retain set's batches of each batch's moments.

  A network updates its running moments by `m ← m + rate · (batch − m)`. From
  zeros that gives `rate · batch`, and the difference between starting at ones
  and at zeros is `1 − rate`; so no network needs to tell what its rate is.
  Statistics whose rate is 0 are no moments, and stay as they are.

  Args:
    key: of the batches.
    model: the network.
    variables: parameters, and the shapes of the moments.
    examples: all examples.
    split: whose retain set is passed over once.
    batch_size: examples a batch; each batch counts by its size.

  Returns:
    A pytree shaped like `variables.stats`.
  """
  if not jax.tree.leaves(variables.stats):
    return variables.stats
  _checks.check_run(variables, examples, split)
  examples = jax.tree.map(jnp.asarray, examples)
  plan = plans.over_retain(batch_size)(key, split)

  def updated(start: PyTree, row: Plan) -> PyTree:
    batch = training.gather(examples, row, jnp.zeros(()), jnp.zeros((), int))
    step = jax.random.fold_in(key, row.index[0])  # For dropout and the like.
    return objectives.forward(model, variables.params, start, batch, step)[1]

  first = trees.take(plan, 0)
  zeros = jax.tree.map(jnp.zeros_like, variables.stats)
  ones = jax.tree.map(jnp.ones_like, variables.stats)
  rate = jax.tree.map(lambda one, zero: 1 - (one - zero),
                      updated(ones, first), updated(zeros, first))

  def where_moving(moving: PyTree, other: PyTree) -> PyTree:
    return jax.tree.map(
        lambda r, x, y: jnp.where(r == 0, y, x), rate, moving, other)

  start = where_moving(zeros, variables.stats)

  def add(total: PyTree, row: Plan):
    new = updated(start, row)
    share = row.weight.sum() / plan.weight.sum()
    return jax.tree.map(lambda t, x: t + share * x, total, new), None

  total, _ = lax.scan(add, zeros, plan)
  mean = jax.tree.map(lambda x, r: x / jnp.where(r > 0, r, 1), total, rate)
  return where_moving(mean, variables.stats)
