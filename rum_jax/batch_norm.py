"""Batch-norm during unlearning: update, freeze or recalibrate its moments.

*Update* is the default, as in the released code: an unlearner runs the network
in training mode, which uses the moments of the batch and updates the running
moments. The other two are transformations that work with any unlearner:

    salun(frozen(model), tx)                      # freeze
    recalibrated(salun(model, tx), model)         # recalibrate

An unlearner that starts from scratch must not be frozen: the running moments of
a new network are not estimates of anything.
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

_SALT = 0xBA7C  # Makes the key of recalibration differ from the unlearner's.


def frozen(model: Model) -> Model:
  """The network that always runs in evaluation mode.

  Batch-norm uses its running moments and does not update them. Its scale and
  bias are parameters and are still trained. Dropout and everything else that is
  active in training mode alone is off, too.

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
  """Runs `unlearner`, then estimates the moments again on the retain set.

  Args:
    unlearner: its parameters and its info are returned unchanged.
    model: the network (not a `frozen` one).
    batch_size: examples in a forward pass, as in training.

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
  """Mean of the moments of the batches of the retain set.

  A network updates its running moments by `m ← m + rate · (batch − m)`. From
  `m = 0` this gives `rate · batch`. The results from `m = 1` and from `m = 0`
  differ by `1 − rate`, which tells the rate of any network. Statistics whose
  rate is 0 are not moments and are returned unchanged.

  Args:
    key: decides the order of the examples, and dropout.
    model: the network.
    variables: the parameters, and the shapes of the moments.
    examples: all examples.
    split: its retain set is visited once.
    batch_size: examples in a batch; batches are weighted by their sizes.

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

  def rates(zeros: PyTree, ones: PyTree) -> PyTree:
    return jax.tree.map(lambda one, zero: 1 - (one - zero),
                        updated(ones, first), updated(zeros, first))

  # Values that are no moments, such as a whitening, decide what the batch is.
  fixed = jax.tree.map(lambda r: r == 0, rates(zeros, ones))
  rate = jax.tree.map(
      lambda still, r: jnp.where(still, 0, r), fixed,
      rates(*(jax.tree.map(jnp.where, fixed, variables.stats, x)
              for x in (zeros, ones))))

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
