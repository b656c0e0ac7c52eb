"""Distil from a good teacher on the retain set, a bad one on the forget set.

`temperature² · KL(teacher ‖ student)` over the forget set and a random share of
the retain set, mixed. The good teacher, for the retain set, is the original
network. The bad teacher, for the forget set, is a network with random weights.
Both are frozen and in evaluation mode.

References:
  Chundawat et al., Can bad teaching induce forgetting? Unlearning in deep
  networks using an incompetent teacher, 2023.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from rum_jax import _checks, losses, objectives, plans, training
from rum_jax.types import (
    Array, Edit, Batch, Examples, Info, Key, Model, Objective, PyTree, Split,
    Unlearner, Variables)

# What a search fixes, and the limits of what it draws.
SPACE = {'epochs': 5}, {'learning_rate': (1e-4, 0.2, 'log')}


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
  """`KL(good ‖ student)` on retain, `KL(bad ‖ student)` on forget.

  Args:
    model: the network.
    tx: the optimiser; the paper: Adam, learning rate 1e-4.
    temperature: the temperature of both teachers and the student, above 0.
    retain_share: share of the retain set that is used, in `[0, 1]`, drawn once.
      It decides the shape of an array, so it cannot be traced.
    epochs: passes over both sets.
    batch_size: examples a step.
    steps: if given, the length of the run in steps instead of epochs.
    augment: `(key, batch) -> examples`; teachers and student see the same.

  Returns:
    An unlearner.

  Raises:
    TypeError: if `model` or `tx` is of another type; when called, as
      `_checks.check_run`.
    ValueError: if a hyper-parameter is out of range.

  >>> from rum_jax import testing
  >>> model, tx, run = testing.example()
  >>> unlearn = bad_teacher(model, tx, retain_share=0.5, batch_size=4)
  >>> _, info = jax.eval_shape(unlearn, *run)  # Computes shapes alone.
  >>> info.loss.shape  # Two batches: 4 examples to forget and 8 / 2 others.
  (2,)
  """
  _checks.check_model(model)
  _checks.check_range('temperature', temperature, 0, open_low=True)
  _checks.check_range('retain_share', retain_share, 0, 1)
  training.check_fit(tx, epochs, steps)
  draw = plans.over_both(batch_size)

  @_checks.checked
  def unlearn(key: Key, variables: Variables, examples: Examples, split: Split
              ) -> tuple[Variables, Info]:
    key_bad, key_share, key_fit = jax.random.split(key, 3)
    count = int(retain_share * split.retain.shape[0])
    some = jax.random.permutation(key_share, split.retain)[:count]
    return training.fit(
        key_fit, variables, examples, split._replace(retain=some),
        objective=taught(model, variables, model.init(key_bad), temperature,
                         augment),
        tx=tx, draw=draw, epochs=epochs, steps=steps)

  return unlearn


def taught(model: Model, good: Variables, bad: Variables, temperature: float,
           augment: Edit | None = None) -> Objective:
  """Distillation from `bad` for rows to forget, and from `good` for others."""

  def objective(params: PyTree, stats: PyTree, batch: Batch, key: Key
                ) -> tuple[Array, PyTree]:
    batch = objectives.edited(batch, key, augment)
    student, stats = objectives.forward(model, params, stats, batch, key)
    teachers = [model.apply(v, batch.examples, train=False)[0]
                for v in (bad, good)]
    target = jax.tree.map(lambda a, b: jnp.where(
        batch.forget.reshape(-1, *(1,) * (a.ndim - 1)), a, b), *teachers)
    kl = model.task.divergence(student, target, temperature)
    return losses.weighted_mean(kl, batch.weight), stats

  return objective
