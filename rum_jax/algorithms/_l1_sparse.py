r"""Fine-tune on the retain set with an L1 penalty that decreases to zero.

`CE(retain) + alpha · (1 − progress) · ‖theta‖₁`: unlearning is easier in sparse
networks. The penalty decreases at every step.

References:
  Jia et al., Model sparsity can simplify machine unlearning, 2023.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from rum_jax import _checks, objectives, plans, training
from rum_jax.types import (
    Array, Edit, Batch, Key, Model, Objective, PyTree, Unlearner, Variables)

# What a search fixes, and the limits of what it draws.
SPACE = {'epochs': 10}, {'learning_rate': (1e-3, 0.5, 'log'),
                         'alpha': (1e-6, 3e-2, 'log')}


def l1_sparse(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    alpha: float = 5e-4,
    epochs: int = 10,
    batch_size: int = 256,
    steps: int | None = None,
    augment: Edit | None = None,
    threshold: float = 1e-3,
) -> Unlearner:
  """`CE(retain) + alpha · (1 − progress) · ‖theta‖₁`.

  Args:
    model: the network.
    tx: the optimiser; the paper: SGD, learning rate 0.01.
    alpha: weight of the penalty at the first step, at least 0.
    epochs: passes over the retain set.
    batch_size: examples a step.
    steps: if given, the length of the run in steps instead of epochs.
    augment: `(key, batch) -> examples`.
    threshold: parameters smaller than this count as zero in `sparsity`.

  Returns:
    An unlearner; `info.probes['sparsity']` `[E]` is the share of parameters
    below `threshold` after each epoch.

  Raises:
    TypeError: if `model` or `tx` is of another type; when called, as
      `_checks.check_run`.
    ValueError: if a hyper-parameter is out of range.

  >>> from rum_jax import testing
  >>> model, tx, run = testing.example()
  >>> _, info = l1_sparse(model, tx, alpha=0.01, epochs=3)(*run)
  >>> info.probes['sparsity'].shape  # One value an epoch.
  (3,)
  """
  _checks.check_range('alpha', alpha, 0)
  _checks.check_range('threshold', threshold, 0)
  return training.descent(
      penalised(objectives.supervised(model, augment), alpha), tx,
      plans.over_retain(batch_size), epochs=epochs, steps=steps,
      probe=lambda variables: {'sparsity': sparsity(variables, threshold)})


def penalised(
    objective: Objective,
    alpha: float,
    done: Callable[[Batch], Array] = lambda batch: batch.progress,
) -> Objective:
  """Adds an L1 penalty that is proportional to the share of the run to come."""

  def with_penalty(params: PyTree, stats: PyTree, batch: Batch, key: Key
                   ) -> tuple[Array, PyTree]:
    loss, stats = objective(params, stats, batch, key)
    return loss + alpha * (1 - done(batch)) * optax.tree.norm(params, 1), stats

  return with_penalty


def sparsity(variables: Variables, threshold: float) -> Array:
  """Share of the parameters whose absolute value is below `threshold`."""
  leaves = jax.tree.leaves(variables.params)
  small = sum((jnp.abs(x) < threshold).sum() for x in leaves)
  return jnp.asarray(small / optax.tree.size(variables.params))
