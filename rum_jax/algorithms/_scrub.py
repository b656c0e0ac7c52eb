"""Move away from a teacher on the forget set, stay close on the retain set.

The teacher is the original network, frozen and in evaluation mode. Each of
the first `msteps` epochs is a *max pass* over the forget set, on
`−KL(teacher ‖ student)`, and then a *min pass* over the retain set, on
`gamma · CE + beta · KL(teacher ‖ student)`; every later epoch is a min pass
alone. Both KL are softened by `temperature` and multiplied by its square. All
passes share one optimiser state.

At the first step the student equals the teacher. So in networks without
batch-norm, KL and its gradient are 0 until a min pass or weight decay has
changed the student.

The RUM paper does not give beta and gamma. The defaults are those of the
large-scale experiments of the SCRUB paper.

References:
  Kurmanji et al., Towards unbounded machine unlearning, 2023.
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
SPACE = {'epochs': 5, 'msteps': 4}, {'learning_rate': (1e-4, 0.2, 'log'),
                                     'beta': (1e-3, 1.0, 'log')}


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
  """`−KL(forget)` passes, then `gamma · CE(retain) + beta · KL(retain)`.

  Args:
    model: the network.
    tx: the optimiser; the RUM paper: SGD, learning rate 5e-3.
    beta: weight of the retain set's KL, at least 0 (the SCRUB paper's alpha).
    gamma: weight of the retain set's cross-entropy, at least 0.
    temperature: the temperature of teacher and student, above 0.
    msteps: number of epochs, from the first, that begin with a max pass.
    epochs: passes over the retain set.
    batch_size: examples a step, in both kinds of passes.
    steps: if given, the length of the run in steps instead of epochs; the steps
      of both kinds of passes count.
    augment: `(key, batch) -> examples`; teacher and student see the same.

  Returns:
    An unlearner; `info.loss` is at most 0 in a max pass and at least 0 in a min
    pass.

  Raises:
    TypeError: if `model` or `tx` is of another type; when called, as
      `_checks.check_run`.
    ValueError: if a hyper-parameter is out of range.

  >>> from rum_jax import testing
  >>> model, tx, run = testing.example()
  >>> unlearn = scrub(model, tx, msteps=1, epochs=2, batch_size=8)
  >>> _, info = jax.eval_shape(unlearn, *run)  # Computes shapes alone.
  >>> info.loss.shape  # A max and a min pass, then a min pass.
  (3,)
  """
  _checks.check_model(model)
  _checks.check_range('beta', beta, 0)
  _checks.check_range('gamma', gamma, 0)
  _checks.check_range('temperature', temperature, 0, open_low=True)
  _checks.check_count('msteps', msteps)
  training.check_fit(tx, epochs, steps)
  min_pass = plans.over_retain(batch_size)
  both = plans.then(plans.over_forget(batch_size), min_pass)

  @_checks.checked
  def unlearn(key: Key, variables: Variables, examples: Examples, split: Split
              ) -> tuple[Variables, Info]:
    objective = contrast(
        model, variables, beta, gamma, temperature, augment)
    long, short = (jax.eval_shape(draw, key, split).index.shape[0]
                   for draw in (both, min_pass))
    if steps is None:
      first = min(msteps, epochs) * long
      second = max(epochs - msteps, 0) * short
    else:
      first = min(steps, msteps * long)
      second = steps - first
    state = training.start(variables, tx)
    losses_seen = [jnp.zeros((0,), jnp.float32)]
    for draw, length, total in ((both, long, first), (min_pass, short, second)):
      key, key_phase = jax.random.split(key)
      if total:
        state, info = training.run_epochs(
            key_phase, state._replace(epoch=jnp.zeros_like(state.epoch)),
            examples, split, objective=objective, tx=tx, draw=draw,
            epochs=plans.num_steps(total, length), total_steps=total)
        losses_seen.append(info.loss[:total])
    return state.variables, Info(jnp.concatenate(losses_seen), {})

  return unlearn


def contrast(model: Model, teacher: Variables, beta: float, gamma: float,
             temperature: float, augment: Edit | None = None) -> Objective:
  """`−KL` for rows to forget, and `gamma · CE + beta · KL` for others."""

  def objective(params: PyTree, stats: PyTree, batch: Batch, key: Key
                ) -> tuple[Array, PyTree]:
    batch = objectives.edited(batch, key, augment)
    student, stats = objectives.forward(model, params, stats, batch, key)
    target, _ = model.apply(teacher, batch.examples, train=False)
    kl = model.task.divergence(student, target, temperature)
    own = model.task.loss(student, batch.examples)
    loss = jnp.where(batch.forget, -kl, gamma * own + beta * kl)
    return losses.weighted_mean(loss, batch.weight), stats

  return objective
