"""Gradients of the loss at fixed variables.

SalUn's mask, `influence` and `ssd` are computed from them. The network runs in
evaluation mode, so that the gradient of an example depends on it alone.
"""

from __future__ import annotations

import jax
from jax import lax
import jax.numpy as jnp

from rum_jax import plans, trees
from rum_jax.types import AnyArray, Array, Examples, Model, PyTree, Variables


def in_batches(index: AnyArray, batch_size: int) -> tuple[Array, Array]:
  """Cuts `index` `[n]` into batches in its order and pads the last one.

  Returns:
    `(rows [T, B], inside [T, B])`; `inside` is false where a row is padding.
  """
  n = index.shape[0]
  width = min(batch_size, max(n, 1))
  positions = jnp.arange(plans.num_steps(n, width) * width).reshape(-1, width)
  rows = jnp.asarray(index)[jnp.minimum(positions, max(n, 1) - 1)]
  return rows, positions < n


def example_losses(model: Model, variables: Variables, examples: Examples,
                   rows: Array) -> Array:
  """The task's loss `[B]` of the given rows, in evaluation mode.

  For rows outside of the examples the loss and its gradient are NaN.
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
    variables: the variables at which the gradient is computed.
    examples: all examples.
    index: `[n]` rows of all examples.
    weight: `[n]`; with `1 / n` the result is the gradient of the mean.
    batch_size: examples at a time.

  Returns:
    A pytree shaped like the parameters.
  """
  rows, inside = in_batches(index, batch_size)
  weights = jnp.where(inside, in_batches(weight, batch_size)[0], 0)

  def loss(params: PyTree, rows: Array, weight: Array) -> Array:
    at = Variables(params, variables.stats)
    return (weight * example_losses(model, at, examples, rows)).sum()

  def add(total: PyTree, batch: tuple[Array, Array]):
    grads = jax.grad(loss)(variables.params, *batch)
    return jax.tree.map(jnp.add, total, grads), None

  zeros = jax.tree.map(jnp.zeros_like, variables.params)
  return lax.scan(add, zeros, (rows, weights))[0]


def per_example(model: Model, variables: Variables, examples: Examples,
                rows: AnyArray) -> PyTree:
  """Gradient of every example's loss: a pytree of leaves `[B, ...]`."""

  def loss(params: PyTree, row: Array) -> Array:
    at = Variables(params, variables.stats)
    return example_losses(model, at, examples, row[None])[0]

  return jax.vmap(jax.grad(loss), in_axes=(None, 0))(variables.params, rows)


def inner(left: PyTree, right: PyTree) -> Array:
  """`[B, B']` inner products of the gradients `left` and `right`.

  The products are computed in float32 on all platforms (`Precision.HIGHEST`).
  """
  flat = lambda x: x.reshape(x.shape[0], -1)
  products = jax.tree.map(
      lambda a, b: jnp.matmul(flat(a), flat(b).T,
                              precision=lax.Precision.HIGHEST), left, right)
  return jnp.asarray(sum(jax.tree.leaves(products)))
