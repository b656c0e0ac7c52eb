"""What released code does differently, one function for each algorithm.

Each is a variant of the algorithm of the same name. It takes the same arguments
unless its docstring says otherwise. They serve to reproduce published numbers.

| variant        | what the released code does                                 |
|----------------|-------------------------------------------------------------|
| `bad_teacher`  | divides the loss by `K · temperature²`                      |
| `influence`    | its recursion never accumulates curvature                   |
| `l1_sparse`    | lowers the penalty once an epoch, not at every step         |
| `neggrad_plus` | repeats the forget batches in the same order in an epoch    |
| `salun`        | keeps the smallest gradients, summed up during an ascent,   |
|                | and weight decay changes the weights outside of the mask    |
| `scrub`        | has one more max pass                                       |
| `ssd`          | squares the mean gradient of each batch                     |

References:
  The code released with Zhao et al., What makes unlearning hard and what to do
  about it, 2024, and the code that it was taken from.
"""

from __future__ import annotations

import jax
from jax import lax
import jax.numpy as jnp
import optax

from rum_jax import _checks, gradients, objectives, optimizers, plans, training
from rum_jax import trees
from rum_jax.algorithms import _bad_teacher, _fisher, _influence, _l1_sparse
from rum_jax.algorithms import _neggrad_plus, _random_label, _salun, _scrub
from rum_jax.algorithms import _ssd
from rum_jax.algorithms._fisher import Fisher
from rum_jax.types import (
    AnyArray, Array, Edit, Examples, Key, Model, Outputs, Plan, PyTree, Split,
    Unlearner, Variables)


def bad_teacher(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    temperature: float = 1.0,
    retain_share: float = 0.3,
    epochs: int = 1,
    batch_size: int = 256,
    steps: int | None = None,
    augment: Edit | None = None,
) -> Unlearner:
  """`bad_teacher` with its loss divided by `K · temperature²`.

  The arguments are those of `rum_jax.bad_teacher`.
  """
  _checks.check_model(model)

  def divergence(student: Outputs, teacher: Outputs, temperature: float
                 ) -> Array:
    classes = student.prediction.shape[-1]
    return (model.task.divergence(student, teacher, temperature)
            / (classes * temperature**2))

  scaled = model._replace(task=model.task._replace(divergence=divergence))
  return _bad_teacher.bad_teacher(
      scaled, tx, temperature=temperature, retain_share=retain_share,
      epochs=epochs, batch_size=batch_size, steps=steps, augment=augment)


def influence(
    model: Model,
    *,
    alpha: float = 1.0,
    num_samples: int = 1000,
    chunk: int = 64,
    batch_size: int = 256,
) -> Unlearner:
  """`influence` with the result of the released recursion instead of `A⁻¹ v`.

  The recursion is meant to invert `A`, but it never accumulates curvature: its
  second vector is always a multiple of the gradient of the first example, where
  it should be `A_n⁻¹ g_n` of each example. It uses the first N + 2 examples of
  the retain set instead of N random ones, and the first one only for its start.
  Its initial values correspond to `damping = 1`.

  The arguments are those of `rum_jax.influence`, without `damping`.
  """
  for name, value in (('num_samples', num_samples), ('chunk', chunk)):
    _checks.check_count(name, value, 1)

  def solve(key: Key, variables: Variables, examples: Examples, split: Split,
            v: PyTree) -> tuple[PyTree, PyTree]:
    del key
    f = Fisher(model, variables, examples, split.retain[:num_samples + 2], 1.0,
               chunk)
    x = recursion(f, v, num_samples)
    return x, optax.tree.sub(v, _fisher.times(f, x))

  return _influence.step_by(solve, model, alpha, batch_size)


def recursion(f: Fisher, v: PyTree, divisor: int) -> PyTree:
  """The vector that the released code computes in place of `A⁻¹ v`."""

  def update(carry: tuple[PyTree, PyTree], row: Array):
    k, o = carry
    g = trees.take(_fisher.rows_of(f, row[None]), 0)
    along = jnp.asarray(optax.tree.vdot(o, g))
    scale = optax.tree.vdot(k, g) / (divisor + along)
    k = optax.tree.add_scale(k, -scale, o)
    return (k, optax.tree.add_scale(o, -along / (divisor + along), o)), None

  first = trees.take(_fisher.rows_of(f, f.index[:1]), 0)
  return lax.scan(update, (v, first), jnp.asarray(f.index[1:]))[0][0]


def l1_sparse(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    alpha: float = 5e-4,
    epochs: int = 10,
    batch_size: int = 256,
    augment: Edit | None = None,
    threshold: float = 1e-3,
) -> Unlearner:
  """`l1_sparse` with the penalty `alpha · (1 − e / E)` in epoch e of E.

  The penalty of the last epoch is `alpha / E`. The arguments are those of
  `rum_jax.l1_sparse`, without `steps`, because the penalty depends on epochs.
  """
  _checks.check_range('alpha', alpha, 0)
  _checks.check_range('threshold', threshold, 0)
  objective = _l1_sparse.penalised(
      objectives.supervised(model, augment), alpha,
      lambda batch: batch.epoch / epochs)
  return training.descent(
      objective, tx, plans.over_retain(batch_size), epochs=epochs,
      probe=lambda variables: {
          'sparsity': _l1_sparse.sparsity(variables, threshold)})


def neggrad_plus(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    alpha: float = 0.95,
    cap: float | None = None,
    epochs: int = 5,
    batch_size: int = 256,
    steps: int | None = None,
    augment: Edit | None = None,
) -> Unlearner:
  """`neggrad_plus` that repeats the forget batches in the same order.

  The order is drawn once an epoch, not at each repetition.

  The arguments are those of `rum_jax.neggrad_plus`.
  """
  draw = plans.pair(plans.over_retain(batch_size),
                    plans.over_forget(batch_size), fresh=False)
  return _neggrad_plus.pulled(
      model, tx, draw, alpha=alpha, cap=cap, epochs=epochs,
      batch_size=batch_size, steps=steps, augment=augment)


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
  """`salun` with the mask of the released RUM code.

  The code keeps the weights with the *smallest* gradients. It sums the
  gradients during one epoch of ascent on the forget loss. It masks the gradient
  before the optimiser and not the update after it, so weight decay still
  changes the weights outside of the mask. Its labels are those of
  `exclude_true=False, redraw=True`.

  The arguments are those of `rum_jax.salun`.
  """
  _checks.check_range('density', density, 0, 1)

  def inside(key: Key, variables: Variables, examples: Examples, split: Split
             ) -> tuple[Key, PyTree, optax.GradientTransformation]:
    key, key_mask = jax.random.split(key)
    gradient = forget_gradient(
        key_mask, model, variables, examples, split, tx, batch_size)
    mask = saliency_mask(gradient, density, per_leaf=per_leaf)
    return key, mask, optax.chain(optimizers.gate(mask), tx)

  return _salun.masked(inside, lambda tx: _random_label.random_label(
      model, tx, epochs=epochs, batch_size=batch_size, steps=steps,
      exclude_true=exclude_true, redraw=redraw, augment=augment), tx)


def forget_gradient(
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


def saliency_mask(gradient: PyTree, density: float, *, per_leaf: bool = False
                  ) -> PyTree:
  """True for the `density` share of weights with the smallest |gradient|."""
  return _salun.highest(
      jax.tree.map(lambda g: -jnp.abs(g), gradient), density, per_leaf)


def scrub(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    beta: float = 0.001,
    gamma: float = 0.99,
    temperature: float = 4.0,
    msteps: int = 4,
    epochs: int = 5,
    batch_size: int = 256,
    steps: int | None = None,
    augment: Edit | None = None,
) -> Unlearner:
  """`scrub` with `msteps + 1` max passes.

  The SCRUB code counts epochs from 1, so that its test `epoch <= msteps` gives
  `msteps` max passes. The released RUM code has the same test but counts from
  0. With its `msteps` of 4 and 5 epochs, every epoch has a max pass.

  The arguments are those of `rum_jax.scrub`.
  """
  _checks.check_count('msteps', msteps)
  return _scrub.scrub(
      model, tx, beta=beta, gamma=gamma, temperature=temperature,
      msteps=msteps + 1, epochs=epochs, batch_size=batch_size, steps=steps,
      augment=augment)


def ssd(
    model: Model,
    *,
    alpha: float = 10.0,
    dampening: float = 1.0,
    batch_size: int = 128,
) -> Unlearner:
  """`ssd` with the squared mean gradients of batches as importance.

  This is not the Fisher information: where the gradients of examples cancel, it
  is smaller, by up to the factor B in expectation.

  The arguments are those of `rum_jax.ssd`; `batch_size` changes the result.
  """
  return _ssd.dampening_by(importance, model, alpha, dampening, batch_size)


def importance(model: Model, variables: Variables, examples: Examples,
               index: AnyArray, batch_size: int) -> PyTree:
  """Mean over the batches of `index`, in order, of squared mean gradients."""

  def squares(rows: Array, inside: Array) -> PyTree:
    inside = inside.astype(float)
    mean = gradients.weighted(model, variables, examples, rows,
                              inside / inside.sum(), batch_size)
    return jax.tree.map(jnp.square, mean)

  batches = gradients.in_batches(index, batch_size)[0].shape[0]
  total = _ssd.summed(squares, variables, index, batch_size)
  return jax.tree.map(lambda x: x / batches, total)
