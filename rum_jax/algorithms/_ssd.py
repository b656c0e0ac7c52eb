"""Dampen the weights that matter much more to the forget set than to all data.

With importance `I_D = mean over D of (∂CE/∂θ)²`, example by example (the
diagonal of the empirical Fisher information) and in evaluation mode:

    θ ← min(dampening · I_all / I_forget, 1) · θ  where I_forget > alpha · I_all

and `θ` stays elsewhere. Nothing is trained.

The released code squares the gradient of each *batch's* mean, of 128 forget
examples or so, which is not the Fisher information: where examples' gradients
cancel it is smaller, down to one B-th.

References:
  Foster, Schoepf and Brintrup, Fast machine unlearning without retraining
  through selective synaptic dampening, 2024.
"""

from __future__ import annotations

import jax
from jax import lax
import jax.numpy as jnp

from rum_jax import _checks, gradients
from rum_jax.types import (
    Array, Examples, Info, Key, Model, PyTree, Split, Unlearner, Variables)


def ssd(
    model: Model,
    *,
    alpha: float = 10.0,
    dampening: float = 1.0,
    batch_size: int = 128,
    released: bool = False,
) -> Unlearner:
  """Dampens `θ` by `dampening · I_all / I_forget` where that is small enough.

  Args:
    model: the network.
    alpha: how much more a weight must matter to the forget set than to all
      data before it is dampened, above 0.
    dampening: factor of what it is dampened by, at least 0 (the paper's
      lambda).
    batch_size: examples at a time, each with a gradient of its own in memory;
      with `released`, examples whose mean gradient is squared.
    released: whether to square the gradients of batches.

  Returns:
    An unlearner; `info.probes['dampened']` holds, for every leaf of the
    parameters, the share of its weights that were dampened.

  Raises:
    TypeError: if `model` is of another type; when called, as
      `_checks.check_run`.
    ValueError: if a hyper-parameter is out of range.
  """
  _checks.check_model(model)
  _checks.check_range('alpha', alpha, 0, open_low=True)
  _checks.check_range('dampening', dampening, 0)
  _checks.check_count('batch_size', batch_size, 1)

  @_checks.checked
  def unlearn(key: Key, variables: Variables, examples: Examples, split: Split
              ) -> tuple[Variables, Info]:
    del key
    every = jnp.concatenate([split.retain, split.forget])
    of_all, of_forget = (
        importance(model, variables, examples, index, batch_size, released)
        for index in (every, split.forget))
    # Not `f > alpha * a`, which would leave a weight of NaN importance alone.
    chosen = jax.tree.map(lambda f, a: ~(f <= alpha * a), of_forget, of_all)
    params = jax.tree.map(
        lambda x, pick, f, a: jnp.where(
            pick, x * jnp.minimum(dampening * a / jnp.where(pick, f, 1), 1), x),
        variables.params, chosen, of_forget, of_all)
    shares = jax.tree.map(jnp.mean, chosen)
    return (Variables(params, variables.stats),
            Info(jnp.zeros((0,)), {'dampened': shares}))

  return unlearn


def importance(model: Model, variables: Variables, examples: Examples,
               index: Array, batch_size: int, released: bool = False) -> PyTree:
  """Mean squared gradient of each weight over the rows `index` `[n]`.

  Returns:
    A pytree shaped like the parameters: the mean over examples or, with
    `released`, over batches cut from `index` in order.
  """
  rows, inside = gradients.in_batches(index, batch_size)

  def squares(rows: Array, inside: Array) -> PyTree:
    inside = inside.astype(float)
    if released:
      mean = gradients.weighted(model, variables, examples, rows,
                                inside / inside.sum(), batch_size)
      return jax.tree.map(jnp.square, mean)
    grads = gradients.per_example(model, variables, examples, rows)
    return jax.tree.map(lambda g: _total_square(inside, g), grads)

  def add(total: PyTree, batch: tuple[Array, Array]):
    return jax.tree.map(jnp.add, total, squares(*batch)), None

  zeros = jax.tree.map(jnp.zeros_like, variables.params)
  total, _ = lax.scan(add, zeros, (rows, inside))
  count = rows.shape[0] if released else index.shape[0]
  return jax.tree.map(lambda x: x / count, total)


def _total_square(weight: Array, grads: Array) -> Array:
  """`Σ weight_i · grads_i²` of `[B, ...]`.

  XLA's CPU code is fast for a plain sum over the first axis, and up to 18 times
  slower where it fuses what is summed into it; hence the barrier there. For the
  large leaves of convolutions a product is faster still.
  """
  if grads.ndim > 3:
    return jnp.tensordot(weight, grads**2, 1)
  squares = weight.reshape(-1, *(1,) * (grads.ndim - 1)) * grads**2
  return lax.platform_dependent(
      squares, cpu=lambda x: lax.optimization_barrier(x).sum(0),
      default=lambda x: x.sum(0))
