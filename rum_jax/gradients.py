"""Gradients of the loss at variables that stand still.

What SalUn's mask, influence and selective dampening look at. The network runs
in evaluation mode, so that an example's gradient depends on that example alone.
"""

from __future__ import annotations

import jax
from jax import lax
import jax.numpy as jnp

from rum_jax import plans, trees
from rum_jax.types import AnyArray, Array, Examples, Model, PyTree, Variables


def in_batches(index: AnyArray, batch_size: int) -> tuple[Array, Array]:
  """Lays `index` `[n]` out in its order and pads the end.

  Returns:
    `(rows [T, B], inside [T, B])`, the latter false where a row only pads.
  """
  n = index.shape[0]
  width = min(batch_size, max(n, 1))
  where = jnp.arange(plans.num_steps(n, width) * width).reshape(-1, width)
  return jnp.asarray(index)[jnp.minimum(where, max(n, 1) - 1)], where < n


def example_losses(model: Model, variables: Variables, examples: Examples,
                   rows: Array) -> Array:
  """The task's loss `[B]` of the given rows, in evaluation mode.

  NaN, and so is its gradient, for rows that are not there.
  """
  batch = trees.take(jax.tree.map(jnp.asarray, examples), rows)
  outputs, _ = model.apply(variables, batch, train=False)
  return (model.task.loss(outputs, batch)
          * plans.one_or_nan(rows, trees.length(examples)))


def weighted(model: Model, variables: Variables, examples: Examples,
             index: AnyArray, weight: AnyArray, batch_size: int = 256
             ) -> PyTree:
  """Gradient of `Σ weight_i · loss_i`, a batch at a time.

  Args:
    model: the network.
    variables: where the gradient is taken.
    examples: all examples.
    index: `[n]` rows of all examples.
    weight: `[n]`; `1 / n` for the gradient of the mean.
    batch_size: examples at a time.

  Returns:
    A pytree shaped like the parameters.
  """
  rows, inside = in_batches(index, batch_size)
  spread = jnp.where(inside, in_batches(weight, batch_size)[0], 0)

  def loss(params: PyTree, rows: Array, weight: Array) -> Array:
    at = Variables(params, variables.stats)
    return (weight * example_losses(model, at, examples, rows)).sum()

  def add(total: PyTree, batch: tuple[Array, Array]):
    grads = jax.grad(loss)(variables.params, *batch)
    return jax.tree.map(jnp.add, total, grads), None

  zeros = jax.tree.map(jnp.zeros_like, variables.params)
  return lax.scan(add, zeros, (rows, spread))[0]


def per_example(model: Model, variables: Variables, examples: Examples,
                rows: AnyArray) -> PyTree:
  """Gradient of every example's loss: a pytree of leaves `[B, ...]`."""

  def loss(params: PyTree, row: Array) -> Array:
    at = Variables(params, variables.stats)
    return example_losses(model, at, examples, row[None])[0]

  return jax.vmap(jax.grad(loss), in_axes=(None, 0))(variables.params, rows)


def inner(left: PyTree, right: PyTree) -> Array:
  """`[B, B']` inner products of two stacks of gradients, in full precision."""
  flat = lambda x: x.reshape(x.shape[0], -1)
  products = jax.tree.map(
      lambda a, b: jnp.matmul(flat(a), flat(b).T,
                              precision=lax.Precision.HIGHEST), left, right)
  return jnp.asarray(sum(jax.tree.leaves(products)))
