"""Dampen weights that are much more important to the forget set than to all.

With importance `I_D = mean over D of (∂CE/∂θ)²`, example by example (the
diagonal of the empirical Fisher information) and in evaluation mode:

    θ ← min(dampening · I_all / I_forget, 1) · θ  where I_forget > alpha · I_all

All other weights are unchanged. Nothing is trained.

References:
  Foster, Schoepf and Brintrup, Fast machine unlearning without retraining
  through selective synaptic dampening, 2024.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
from jax import lax
import jax.numpy as jnp

from rum_jax import _checks, gradients
from rum_jax.types import (
    AnyArray, Array, Examples, Info, Key, Model, PyTree, Split, Unlearner,
    Variables)

# What a search fixes, and the limits of what it draws.
SPACE = {}, {'alpha': (1.0, 1e2, 'log'), 'dampening': (0.1, 1.0, 'log')}


def ssd(
    model: Model,
    *,
    alpha: float = 10.0,
    dampening: float = 1.0,
    batch_size: int = 128,
) -> Unlearner:
  """Multiplies `θ` by `min(dampening · I_all / I_forget, 1)` where it applies.

  It applies to weights with `I_forget > alpha · I_all`.

  Args:
    model: the network.
    alpha: above 0. A weight is dampened if its importance to the forget set is
      more than `alpha` times its importance to all data.
    dampening: at least 0 (the paper's lambda).
    batch_size: number of per-example gradients in memory at a time.

  Returns:
    An unlearner; `info.probes['dampened']` holds, for every leaf of the
    parameters, the share of its weights that were dampened.

  Raises:
    TypeError: if `model` is of another type; when called, as
      `_checks.check_run`.
    ValueError: if a hyper-parameter is out of range.

  >>> from rum_jax import testing
  >>> model, _, run = testing.example()
  >>> shares = jax.jit(ssd(model, alpha=1e6))(*run)[1].probes['dampened']
  >>> float(shares['Dense_1']['kernel'])  # alpha is too high for any weight.
  0.0
  """
  return dampening_by(importance, model, alpha, dampening, batch_size)


Importance = Callable[[Model, Variables, Examples, AnyArray, int], PyTree]


def dampening_by(importance: Importance, model: Model, alpha: float,
                 dampening: float, batch_size: int) -> Unlearner:
  """`ssd` with any function `importance` in place of the default."""
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
        importance(model, variables, examples, index, batch_size)
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
               index: AnyArray, batch_size: int) -> PyTree:
  """Mean over the rows `index` `[n]` of each weight's squared gradient.

  Returns:
    A pytree shaped like the parameters.
  """

  def squares(rows: Array, inside: Array) -> PyTree:
    grads = gradients.per_example(model, variables, examples, rows)
    return jax.tree.map(
        lambda g: _total_square(inside.astype(float), g), grads)

  total = summed(squares, variables, index, batch_size)
  return jax.tree.map(lambda x: x / index.shape[0], total)


def summed(squares: Callable[[Array, Array], PyTree], variables: Variables,
           index: AnyArray, batch_size: int) -> PyTree:
  """Sum of `squares(rows [B], inside [B])` over the batches of `index`."""

  def add(total: PyTree, batch: tuple[Array, Array]):
    return jax.tree.map(jnp.add, total, squares(*batch)), None

  zeros = jax.tree.map(jnp.zeros_like, variables.params)
  return lax.scan(add, zeros, gradients.in_batches(index, batch_size))[0]


def _total_square(weight: Array, grads: Array) -> Array:
  """`Σ weight_i · grads_i²` of `[B, ...]`.

  On CPUs, XLA's sum over the first axis is up to 18 times slower if it is fused
  with the computation of the summands. The optimization barrier prevents that.
  For the large leaves of convolutions a matrix product is faster still.
  """
  if grads.ndim > 3:
    return jnp.tensordot(weight, grads**2, 1)
  squares = weight.reshape(-1, *(1,) * (grads.ndim - 1)) * grads**2
  return lax.platform_dependent(
      squares, cpu=lambda x: lax.optimization_barrier(x).sum(0),
      default=lambda x: x.sum(0))
