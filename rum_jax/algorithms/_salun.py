"""Random labels that change only the weights salient for the forget set.

The mask selects the weights with the largest |gradient| of the forget loss at
the original variables. The other weights stay bit-identical under momentum and
weight decay, too.

The code of SalUn's authors does the same, except that its gradient is the sum
of the means of the batches: a short last batch counts as much as a full one.
Here the gradient is that of the mean over all examples.

References:
  Fan et al., SalUn: empowering machine unlearning via gradient-based weight
  saliency, 2024.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
from jax import flatten_util
import jax.numpy as jnp
import optax

from rum_jax import _checks, gradients, optimizers
from rum_jax.algorithms._random_label import random_label
from rum_jax.types import (
    Edit, Examples, Info, Key, Model, PyTree, Split, Unlearner,
    Variables)

# What a search fixes, and the limits of what it draws.
SPACE = {'epochs': 10}, {'learning_rate': (1e-3, 0.5, 'log'),
                         'density': (0.1, 0.9, 'linear')}


def salun(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    density: float = 0.5,
    per_leaf: bool = False,
    epochs: int = 10,
    batch_size: int = 256,
    steps: int | None = None,
    exclude_true: bool = True,
    redraw: bool = False,
    augment: Edit | None = None,
) -> Unlearner:
  """`random_label` that changes no weight outside the saliency mask.

  Args:
    model: the network.
    tx: the optimiser; the paper: SGD, learning rate 0.1.
    density: share of the weights that may change, in `[0, 1]`.
    per_leaf: whether that share holds in each leaf or over all of them.
    epochs: passes over both sets.
    batch_size: examples a step.
    steps: if given, the length of the run in steps instead of epochs.
    exclude_true: as in `random_label`.
    redraw: as in `random_label`.
    augment: `(key, batch) -> examples`.

  Returns:
    An unlearner; `info.probes['density']` holds, for every leaf of the
    parameters, the share of its weights that may change.

  Raises:
    TypeError: if `model` or `tx` is of another type; when called, as
      `_checks.check_run`.
    ValueError: if a hyper-parameter is out of range.

  >>> from rum_jax import testing
  >>> model, tx, run = testing.example()
  >>> unlearn = salun(model, tx, density=0.25, epochs=2, batch_size=4)
  >>> _, info = jax.eval_shape(unlearn, *run)  # Computes shapes alone.
  >>> info.loss.shape  # Two epochs of three steps: 12 examples in both sets.
  (6,)
  """

  def inside(key: Key, variables: Variables, examples: Examples, split: Split
             ) -> tuple[Key, PyTree, optax.GradientTransformation]:
    gradient = forget_gradient(model, variables, examples, split, batch_size)
    mask = saliency_mask(gradient, density, per_leaf=per_leaf)
    return key, mask, optimizers.gated(tx, mask)

  _checks.check_range('density', density, 0, 1)
  return masked(inside, lambda tx: random_label(
      model, tx, epochs=epochs, batch_size=batch_size, steps=steps,
      exclude_true=exclude_true, redraw=redraw, augment=augment), tx)


Inside = Callable[[Key, Variables, Examples, Split],
                  tuple[Key, PyTree, optax.GradientTransformation]]


def masked(inside: Inside,
           relabel: Callable[[optax.GradientTransformation], Unlearner],
           tx: optax.GradientTransformation) -> Unlearner:
  """Runs `relabel` with the masked optimiser that `inside` returns.

  Args:
    inside: `(key, variables, examples, split) -> (key, mask, optimiser)`.
    relabel: maps an optimiser to an unlearner.
    tx: the optimiser without a mask.
  """
  relabel(tx)  # Raises errors of the arguments now, before tracing.

  @_checks.checked
  def unlearn(key: Key, variables: Variables, examples: Examples, split: Split
              ) -> tuple[Variables, Info]:
    key, mask, gated = inside(key, variables, examples, split)
    variables, info = relabel(gated)(key, variables, examples, split)
    shares = jax.tree.map(jnp.mean, mask)
    return variables, info._replace(probes={'density': shares})

  return unlearn


def forget_gradient(model: Model, variables: Variables, examples: Examples,
                    split: Split, batch_size: int = 256) -> PyTree:
  """Gradient of the mean forget loss at `variables`, in evaluation mode.

  Returns:
    A pytree shaped like the parameters.
  """
  count = split.forget.shape[0]
  return gradients.weighted(
      model, variables, examples, split.forget,
      jnp.full((count,), 1 / max(count, 1)), batch_size)


def saliency_mask(gradient: PyTree, density: float, *, per_leaf: bool = False
                  ) -> PyTree:
  """True for the `density` share of weights with the largest |gradient|.

  Args:
    gradient: pytree shaped like the parameters.
    density: share to keep, in `[0, 1]`; exactly `round(density · n)` weights
      are kept, and of equal ones the earlier.
    per_leaf: whether the share holds in each leaf or over all of them.

  Returns:
    A pytree of bool arrays.
  """
  return highest(jax.tree.map(jnp.abs, gradient), density, per_leaf)


def highest(scores: PyTree, density: float, per_leaf: bool) -> PyTree:
  """True for the `density` share of weights with the highest scores."""

  def keep(values: jax.Array) -> jax.Array:
    order = jnp.argsort(-values, stable=True)
    count = jnp.round(density * values.size).astype(int)
    kept = jnp.arange(values.size) < count
    return jnp.zeros(values.shape, bool).at[order].set(kept)

  if per_leaf:
    return jax.tree.map(lambda g: keep(g.ravel()).reshape(g.shape), scores)
  flat, unravel = flatten_util.ravel_pytree(scores)
  kept = unravel(keep(flat).astype(flat.dtype))
  return jax.tree.map(lambda x: x > 0, kept)
