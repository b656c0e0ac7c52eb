"""One Newton-like step that removes the influence of the forget set.

    θ ← θ + alpha · A⁻¹ v,   A = damping · I + (1 / N) Σ_i g_i g_iᵀ
    v = F / (F + R) · (mean over forget of ∇CE − mean over retain of ∇CE)

with F forget and R retain examples, and `g_i = ∇CE` of N retain examples, all
in evaluation mode. WoodFisher builds the matrix `A` by rank-one updates. Here
`A⁻¹ v` is computed exactly in one solve (`rum_jax.algorithms._fisher.solve`).

The default `damping` of 1 is that of the released code.

References:
  Izzo et al., Approximate data deletion from machine learning models, 2021.
  Singh and Alistarh, WoodFisher: efficient second-order approximation for
  neural network compression, 2020.
  Jia et al., Model sparsity can simplify machine unlearning, 2023.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from rum_jax import _checks, gradients
from rum_jax.algorithms import _fisher
from rum_jax.algorithms._fisher import Fisher
from rum_jax.types import (
    Examples, Info, Key, Model, PyTree, Split, Unlearner, Variables)

# What a search fixes, and the limits of what it draws.
SPACE = {'num_samples': 256}, {'alpha': (1e-2, 1e2, 'log'),
                               'damping': (1e-3, 1.0, 'log')}


def influence(
    model: Model,
    *,
    alpha: float = 1.0,
    damping: float = 1.0,
    num_samples: int = 1000,
    chunk: int = 64,
    batch_size: int = 256,
) -> Unlearner:
  """`θ + alpha · (damping · I + mean g gᵀ)⁻¹ v`.

  Args:
    model: the network.
    alpha: length of the step; the paper tunes it.
    damping: added to the diagonal of `A`, above 0.
    num_samples: N, or the whole retain set where that is smaller.
    chunk: number of per-example gradients in memory at a time; more is faster.
    batch_size: examples at a time where only a sum of gradients is needed.

  Returns:
    An unlearner; `info.probes['residual']` is `‖A x − v‖ / ‖v‖`, where `x` is
    the computed `A⁻¹ v`.

  Raises:
    TypeError: if `model` is of another type; when called, as
      `_checks.check_run`.
    ValueError: if a hyper-parameter is out of range.

  >>> from rum_jax import testing
  >>> model, _, run = testing.example()
  >>> _, info = jax.eval_shape(influence(model, num_samples=8), *run)
  >>> info.loss.shape, info.probes['residual'].shape  # One solve, no steps.
  ((0,), ())
  """

  def solve(key: Key, variables: Variables, examples: Examples, split: Split,
            v: PyTree) -> tuple[PyTree, PyTree]:
    rows = jax.random.permutation(key, split.retain)[:num_samples]
    return _fisher.solve(
        Fisher(model, variables, examples, rows, damping, chunk), v)

  for name, value in (('num_samples', num_samples), ('chunk', chunk)):
    _checks.check_count(name, value, 1)
  _checks.check_range('damping', damping, 0, open_low=True)
  return step_by(solve, model, alpha, batch_size)


Solve = Callable[[Key, Variables, Examples, Split, PyTree],
                 tuple[PyTree, PyTree]]


def step_by(solve: Solve, model: Model, alpha: float, batch_size: int
            ) -> Unlearner:
  """One step along `x`, where `solve` returns `(x, v − A x)` for `v`."""
  _checks.check_model(model)
  _checks.check_range('alpha', alpha, 0)
  _checks.check_count('batch_size', batch_size, 1)

  @_checks.checked
  def unlearn(key: Key, variables: Variables, examples: Examples, split: Split
              ) -> tuple[Variables, Info]:
    v = direction(model, variables, examples, split, batch_size)
    x, missing = solve(key, variables, examples, split, v)
    residual = optax.tree.norm(missing) / optax.tree.norm(v)
    params = optax.tree.add_scale(variables.params, alpha, x)
    return (Variables(params, variables.stats),
            Info(jnp.zeros((0,)), {'residual': residual}))

  return unlearn


def direction(model: Model, variables: Variables, examples: Examples,
              split: Split, batch_size: int = 256) -> PyTree:
  """`v`: the change of the mean loss's gradient when `forget` is removed."""
  forget, retain = split.forget.shape[0], split.retain.shape[0]
  weight = jnp.concatenate([
      jnp.full((forget,), 1 / (forget + retain)),
      jnp.full((retain,), -forget / (retain * (forget + retain)))])
  index = jnp.concatenate([split.forget, split.retain])
  return gradients.weighted(
      model, variables, examples, index, weight, batch_size)
