"""Train from scratch on the retain set: the oracle, and ordinary training.

With a split that retains everything this trains the original model; with a
random subset it trains one of the models that estimate memorization.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import optax

from rum_jax import objectives, plans, training
from rum_jax.types import (
    Edit, Examples, FromScratch, Info, Key, Model, PyTree, Split, Variables)


def retrain(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    epochs: int = 30,
    batch_size: int = 256,
    steps: int | None = None,
    augment: Edit | None = None,
    probe: Callable[[Variables], PyTree] | None = None,
) -> FromScratch:
  """`CE(retain)` from a new initialisation.

  Args:
    model: the network.
    tx: the optimiser of the original training; the paper: SGD, momentum 0.9,
      learning rate 0.1 with cosine decay, weight decay 5e-4.
    epochs: passes over the retain set.
    batch_size: examples a step.
    steps: if given, the length of the run in steps instead of epochs.
    augment: `(key, batch) -> examples`.
    probe: called with the variables after each epoch.

  Returns:
    An unlearner that ignores the variables it is given.

  Raises:
    TypeError: if `model` or `tx` is of another type; when called, as
      `_checks.check_run`.
    ValueError: if `epochs`, `steps` or `batch_size` is out of range.

  >>> from rum_jax import testing
  >>> model, tx, (key, _, examples, split) = testing.example()
  >>> _, info = retrain(model, tx, epochs=40)(key, None, examples, split)
  >>> bool(info.loss[-1] < info.loss[0])
  True
  """
  train = training.descent(
      objectives.supervised(model, augment), tx, plans.over_retain(batch_size),
      epochs=epochs, steps=steps, probe=probe)

  def unlearn(key: Key, variables: Variables | None, examples: Examples,
              split: Split) -> tuple[Variables, Info]:
    del variables
    key_init, key_train = jax.random.split(key)
    return train(key_train, training.fresh(
        key_init, model, examples, split.retain), examples, split)

  return unlearn
