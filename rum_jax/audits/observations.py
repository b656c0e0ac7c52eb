"""What S models say of the examples: as they are, and after two checks.

Unlearning that only hides what a model knows can be undone without the forget
set. Two checks do so: a few steps of fine-tuning on the retain set alone, and
one pass of retain examples through batch-norm in training mode.

References:
  Siddiqui et al., From dormant to deleted, 2025: fine-tuning on the retain set
  alone brings back much of what was forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rum_jax import algorithms, batch_norm, seeds
from rum_jax.evaluation import _signals
from rum_jax.types import (
    AnyArray, Examples, Info, Key, Model, Signals, Split, Unlearner, Variables)

Run = Callable[..., tuple[Any, Any]]
_SALT = 0xA0D1  # Makes the key of the checks differ from the unlearner's.


@dataclasses.dataclass(frozen=True)
class Checked:
  """The function `(key, variables, examples, split) -> variables` of a check.

  Attributes:
    unlearner: of `relearning` or `batch_norm_check`.
  """

  unlearner: Unlearner

  def __call__(self, key: Key, variables: Variables, examples: Examples,
               split: Split) -> Variables:
    key = jax.random.fold_in(key, _SALT)
    return self.unlearner(key, variables, examples, split)[0]


@dataclasses.dataclass(frozen=True)
class _Recalibrate:
  """The unlearner of the batch-norm check; two equal ones share a program."""

  model: Model
  batch_size: int

  def __call__(self, key: Key, variables: Variables, examples: Examples,
               split: Split) -> tuple[Variables, Info]:
    return batch_norm.recalibrated(
        algorithms.identity(), self.model, self.batch_size)(
            key, variables, examples, split)


class Known(NamedTuple):
  """Signals of S models on each part of the examples.

  Attributes:
    forget: loss and score `[S, F]`.
    retain: loss and score `[S, R]`.
    held_out: loss and score `[S, H]` of examples that no model trained on;
      `None` where there are none.
  """

  forget: Signals
  retain: Signals
  held_out: Signals | None = None


class Observed(NamedTuple):
  """S models of one kind, as they are and after the checks.

  Attributes:
    models: as they are.
    relearned: after fine-tuning on the retain set alone; `None` where this was
      not done.
    recalibrated: after the batch-norm check; `None` where the network has no
      batch-norm, so that the check is not applicable, or it was not done.
  """

  models: Known
  relearned: Known | None = None
  recalibrated: Known | None = None


def known(signals: Signals, split: Split, held_out: AnyArray | None = None
          ) -> Known:
  """The signals of each part of the examples.

  Args:
    signals: loss and score `[S, N]`, or `[N]` of one model.
    split: forget `[F]` and retain `[R]`, rows of the N examples.
    held_out: `[H]` rows; `None` or empty where there are none.

  >>> import jax.numpy as jnp
  >>> loss = jnp.arange(4.0)
  >>> parts = known(Signals(loss, jnp.ones(4)),
  ...               Split(np.array([3]), np.array([0, 1])), np.array([2]))
  >>> parts.forget.loss.tolist(), parts.held_out.loss.tolist()
  ([[3.0]], [[2.0]])
  """
  loss, score = (np.atleast_2d(np.asarray(x))
                 for x in (signals.loss, signals.score))
  take = lambda rows: Signals(loss[:, np.asarray(rows)],
                              score[:, np.asarray(rows)])
  empty = held_out is None or not len(held_out)
  return Known(take(split.forget), take(split.retain),
               None if empty else take(held_out))


def relearning(model: Model, tx: optax.GradientTransformation, *,
               steps: int = 100, batch_size: int = 256) -> Unlearner:
  """Fine-tuning on the retain set alone, for a given number of steps.

  Args:
    model: the network.
    tx: the optimiser, such as the one of training at a lower rate.
    steps: length of the run.
    batch_size: examples a step.

  Returns:
    An unlearner: it maps unlearned variables to relearned ones.

  References:
    Siddiqui et al., From dormant to deleted, 2025, with no forget examples.
  """
  return algorithms.finetune(model, tx, steps=steps, batch_size=batch_size)


def batch_norm_check(model: Model, batch_size: int = 256) -> Unlearner:
  """Estimates the moments of batch-norm again; no parameter is changed.

  Args:
    model: the network.
    batch_size: examples in a forward pass, as in training.

  Returns:
    An unlearner: it maps unlearned variables to those with new moments. They
    are returned unchanged where there is no batch-norm; see `has_batch_norm`.
  """
  return _Recalibrate(model, batch_size)


def has_batch_norm(model: Model, variables: Variables, examples: Examples
                   ) -> bool:
  """Whether a forward pass in training mode changes the stats of a network.

  Args:
    model: the network.
    variables: of one model.
    examples: leaves `[N, ...]`; the first two are passed.
  """
  if not jax.tree.leaves(variables.stats):
    return False
  batch = jax.tree.map(lambda x: jnp.asarray(x[:2]), examples)
  _, stats = model.apply(variables, batch, train=True, key=jax.random.key(0))
  return any(bool((a != b).any()) for a, b in zip(
      jax.tree.leaves(variables.stats), jax.tree.leaves(stats), strict=True))


def observe(model: Model, keys: Key, variables: Variables, examples: Examples,
            split: Split, held_out: AnyArray | None = None, *,
            relearn: Unlearner | None = None, recalibrate: bool = True,
            batch_size: int = 256, run: Run | None = None,
            signals: Callable[[Variables], Signals] | None = None) -> Observed:
  """Signals of S models as they are, relearned, and with new moments.

  Args:
    model: the network.
    keys: `[S]` of the order of examples in the checks.
    variables: leaves `[S, ...]`.
    examples: all examples, leaves `[N, ...]`, held-out ones included.
    split: forget `[F]` and retain `[R]`, rows of them, the same for all models.
    held_out: `[H]` rows of them; `None` where there are none.
    relearn: of `relearning`; `None` skips this check.
    recalibrate: whether to run the batch-norm check, where there is batch-norm.
    batch_size: examples in a forward pass of the batch-norm check.
    run: `(fn, in_axes, *args) -> (results, notes)` maps a check over models; by
      default it compiles each check here.
    signals: variables `[S, ...]` to loss and score `[S, N]` of all examples; by
      default by a program that is compiled here.

  Returns:
    The signals on all three parts of the examples.

  >>> from rum_jax import testing
  >>> model, tx, (key, variables, examples, split) = testing.example()
  >>> one = lambda tree: jax.tree.map(lambda x: x[None], tree)
  >>> seen = observe(model, key[None], one(variables), examples, split,
  ...                relearn=relearning(model, tx, steps=2, batch_size=4))
  >>> seen.models.forget.loss.shape, seen.relearned.forget.loss.shape
  ((1, 4), (1, 4))
  >>> print(seen.recalibrated)  # An MLP has no batch-norm.
  None
  """
  examples = jax.tree.map(jnp.asarray, examples)
  split = Split(*(jnp.asarray(x, jnp.int32) for x in split))
  first = jax.tree.map(lambda x: x[0], variables)
  applies = recalibrate and has_batch_norm(model, first, examples)

  if signals is None:
    over = seeds.over_seeds(
        functools.partial(_signals.signals, model), in_axes=(0, None))
    signals = lambda models: over(models, examples)
  run = run or (lambda fn, in_axes, *args: (
      seeds.over_seeds(fn, in_axes=in_axes)(*args), {}))

  def after(check: Unlearner | None) -> Known:
    found = variables
    if check is not None:
      found, _ = run(Checked(check), (0, 0, None, None), keys, variables,
                     examples, split)
    return known(signals(found), split, held_out)

  return Observed(
      after(None), None if relearn is None else after(relearn),
      after(batch_norm_check(model, batch_size)) if applies else None)
