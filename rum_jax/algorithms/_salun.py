"""Random labels, moving only the weights that matter to the forget set.

The mask keeps the weights with the largest |gradient| of the forget loss at the
original variables; the others stay bit-identical, whatever momentum and weight
decay ask for.

The released RUM code keeps the *smallest* gradients; sums them up while it
ascends the forget loss, a step a batch; and gates the gradient only before the
optimiser, so that weight decay still moves masked weights. `released=True` does
all three. The code that SalUn's authors released took the largest, with no
steps, and lately keeps masked weights still, too; its gradient is the sum of
the batches' means, so that a short last batch counts as much as a full one,
while ours is the mean.

References:
  Fan et al., SalUn: empowering machine unlearning via gradient-based weight
  saliency, 2024.
"""

from __future__ import annotations

import jax
from jax import flatten_util
from jax import lax
import jax.numpy as jnp
import optax

from rum_jax import _checks, gradients, optimizers, plans
from rum_jax.algorithms._random_label import random_label
from rum_jax.types import (
    Edit, Examples, Info, Key, Model, Plan, PyTree, Split, Unlearner,
    Variables)


def salun(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    density: float = 0.5,
    per_leaf: bool = False,
    released: bool = False,
    epochs: int = 10,
    batch_size: int = 256,
    steps: int | None = None,
    exclude_true: bool = True,
    redraw: bool = False,
    augment: Edit | None = None,
) -> Unlearner:
  """`random_label` with every weight outside the saliency mask held still.

  Args:
    model: the network.
    tx: the optimiser; the paper: SGD, learning rate 0.1.
    density: share of the weights that may move, in `[0, 1]`.
    per_leaf: whether that share holds in each leaf or over all of them.
    released: whether mask and gate are those of the released RUM code; its
      labels are `exclude_true=False, redraw=True`.
    epochs: passes over both sets.
    batch_size: examples a step.
    steps: if given, the length of the run in steps instead of epochs.
    exclude_true: as in `random_label`.
    redraw: as in `random_label`.
    augment: `(key, batch) -> examples`.

  Returns:
    An unlearner; `info.probes['density']` holds, for every leaf of the
    parameters, the share of its weights that may move.

  Raises:
    TypeError: if `model` or `tx` is of another type; when called, as
      `_checks.check_run`.
    ValueError: if a hyper-parameter is out of range.
  """
  _checks.check_range('density', density, 0, 1)

  def relabel(tx: optax.GradientTransformation) -> Unlearner:
    return random_label(
        model, tx, epochs=epochs, batch_size=batch_size, steps=steps,
        exclude_true=exclude_true, redraw=redraw, augment=augment)

  relabel(tx)  # Raises here what would otherwise be raised while tracing.

  @_checks.checked
  def unlearn(key: Key, variables: Variables, examples: Examples, split: Split
              ) -> tuple[Variables, Info]:
    if released:
      key, key_mask = jax.random.split(key)
      gradient = released_gradient(
          key_mask, model, variables, examples, split, tx, batch_size)
    else:
      gradient = forget_gradient(model, variables, examples, split, batch_size)
    mask = saliency_mask(
        gradient, density, per_leaf=per_leaf, released=released)
    inside = (optax.chain(optimizers.gate(mask), tx) if released
              else optimizers.gated(tx, mask))
    variables, info = relabel(inside)(key, variables, examples, split)
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


def released_gradient(
    key: Key, model: Model, variables: Variables, examples: Examples,
    split: Split, tx: optax.GradientTransformation, batch_size: int = 256
) -> PyTree:
  """Sum of the batches' gradients along one epoch of ascent by `tx`."""
  plan = plans.over_forget(batch_size)(key, split)

  def step(carry: tuple[Variables, PyTree, PyTree], row: Plan):
    at, state, total = carry
    share = -row.weight.astype(float) / row.weight.sum()
    grads = gradients.weighted(
        model, at, examples, row.index, share, batch_size)
    updates, state = tx.update(grads, state, at.params)
    params = optax.apply_updates(at.params, updates)
    total = jax.tree.map(jnp.add, total, grads)
    return (Variables(params, at.stats), state, total), None

  zeros = jax.tree.map(jnp.zeros_like, variables.params)
  start = variables, tx.init(variables.params), zeros
  return lax.scan(step, start, plan)[0][2]


def saliency_mask(gradient: PyTree, density: float, *, per_leaf: bool = False,
                  released: bool = False) -> PyTree:
  """True for the `density` share of weights with the largest |gradient|.

  Args:
    gradient: pytree shaped like the parameters.
    density: share to keep, in `[0, 1]`; exactly `round(density · n)` weights
      are kept, ties going to the earlier one.
    per_leaf: whether the share holds in each leaf or over all of them.
    released: whether to keep the smallest instead.

  Returns:
    A pytree of bool arrays.
  """
  sign = 1 if released else -1

  def keep(values: jax.Array) -> jax.Array:
    order = jnp.argsort(sign * jnp.abs(values), stable=True)
    kept = jnp.arange(values.size) < jnp.round(density * values.size)
    return jnp.zeros(values.shape, bool).at[order].set(kept)

  if per_leaf:
    return jax.tree.map(lambda g: keep(g.ravel()).reshape(g.shape), gradient)
  flat, unravel = flatten_util.ravel_pytree(gradient)
  kept = unravel(keep(flat).astype(flat.dtype))
  return jax.tree.map(lambda x: x > 0, kept)
