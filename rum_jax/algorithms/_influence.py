"""One Newton-like step away from the forget set, by its influence.

    θ ← θ + alpha · A⁻¹ v,   A = damping · I + (1 / N) Σ_i g_i g_iᵀ
    v = F / (F + R) · (mean over forget of ∇CE − mean over retain of ∇CE)

with F forget and R retain examples, and `g_i = ∇CE` of N of the latter, all in
evaluation mode. `A` is the matrix that WoodFisher builds by rank-one updates;
here it is inverted at once and exactly (`rum_jax.algorithms._fisher.solve`).

The released recursion sets out to do the same but never accumulates curvature:
its second vector stays a multiple of the first example's gradient, where it
should be `A_n⁻¹ g_n` of each. It also takes a prefix of the retain set, N + 2
examples instead of N, the first of which it uses up; and its start implies
`damping = 1`, which is therefore our default.

References:
  Izzo et al., Approximate data deletion from machine learning models, 2021.
  Singh and Alistarh, WoodFisher: efficient second-order approximation for
  neural network compression, 2020.
  Jia et al., Model sparsity can simplify machine unlearning, 2023.
"""

from __future__ import annotations

import jax
from jax import lax
import jax.numpy as jnp
import optax

from rum_jax import _checks, gradients, trees
from rum_jax.algorithms import _fisher
from rum_jax.algorithms._fisher import Fisher
from rum_jax.types import (
    Array, Examples, Info, Key, Model, PyTree, Split, Unlearner, Variables)


def influence(
    model: Model,
    *,
    alpha: float = 1.0,
    damping: float = 1.0,
    num_samples: int = 1000,
    chunk: int = 64,
    batch_size: int = 256,
    released: bool = False,
) -> Unlearner:
  """`θ + alpha · (damping · I + mean g gᵀ)⁻¹ v`.

  Args:
    model: the network.
    alpha: length of the step; searched for in the paper.
    damping: added to the diagonal of `A`, above 0; the released recursion
      cannot have another than 1.
    num_samples: N, or the whole retain set where that is smaller.
    chunk: per-example gradients in memory at a time; more is faster.
    batch_size: examples at a time where only a sum of gradients is needed.
    released: whether to follow the released recursion instead of inverting `A`.

  Returns:
    An unlearner; `info.probes['residual']` is `‖A x − v‖ / ‖v‖` of the `x` that
    stands for `A⁻¹ v`.

  Raises:
    TypeError: if `model` is of another type; when called, as
      `_checks.check_run`.
    ValueError: if a hyper-parameter is out of range.
  """
  _checks.check_model(model)
  _checks.check_range('alpha', alpha, 0)
  _checks.check_range('damping', damping, 0, open_low=True)
  for name, value in (('num_samples', num_samples), ('chunk', chunk),
                      ('batch_size', batch_size)):
    _checks.check_count(name, value, 1)

  @_checks.checked
  def unlearn(key: Key, variables: Variables, examples: Examples, split: Split
              ) -> tuple[Variables, Info]:
    v = direction(model, variables, examples, split, batch_size)
    count = num_samples + 2 if released else num_samples
    order = (split.retain if released
             else jax.random.permutation(key, split.retain))
    f = Fisher(model, variables, examples, order[:count], damping, chunk)
    if released:
      x = recursion(f, v, num_samples)
      missing = optax.tree.sub(v, _fisher.times(f, x))
    else:
      x, missing = _fisher.solve(f, v)
    residual = optax.tree.norm(missing) / optax.tree.norm(v)
    params = optax.tree.add_scale(variables.params, alpha, x)
    return (Variables(params, variables.stats),
            Info(jnp.zeros((0,)), {'residual': residual}))

  return unlearn


def direction(model: Model, variables: Variables, examples: Examples,
              split: Split, batch_size: int = 256) -> PyTree:
  """`v`: by how much forgetting changes the gradient of the mean loss."""
  forget, retain = split.forget.shape[0], split.retain.shape[0]
  weight = jnp.concatenate([
      jnp.full((forget,), 1 / (forget + retain)),
      jnp.full((retain,), -forget / (retain * (forget + retain)))])
  index = jnp.concatenate([split.forget, split.retain])
  return gradients.weighted(
      model, variables, examples, index, weight, batch_size)


def recursion(f: Fisher, v: PyTree, divisor: int) -> PyTree:
  """What the released code returns for `A⁻¹ v`."""

  def update(carry: tuple[PyTree, PyTree], row: Array):
    k, o = carry
    g = trees.take(_fisher.rows_of(f, row[None]), 0)
    along = optax.tree.vdot(o, g)
    scale = optax.tree.vdot(k, g) / (divisor + along)
    k = optax.tree.add_scale(k, -scale, o)
    return (k, optax.tree.add_scale(o, -along / (divisor + along), o)), None

  first = trees.take(_fisher.rows_of(f, f.index[:1]), 0)
  return lax.scan(update, (v, first), f.index[1:])[0][0]
