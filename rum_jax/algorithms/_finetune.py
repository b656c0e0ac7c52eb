"""Fine-tune on the retain set; the forget set is forgotten as a side effect.

The released code keeps the learning rate constant, because its milestones lie
beyond the end of the run.

References:
  Golatkar, Achille and Soatto, Eternal sunshine of the spotless net, 2020.
"""

from __future__ import annotations

import optax

from rum_jax import objectives, plans, training
from rum_jax.types import Edit, Model, Unlearner

# What a search fixes, and the limits of what it draws.
SPACE = {'epochs': 10}, {'learning_rate': (1e-3, 0.5, 'log')}


def finetune(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    epochs: int = 10,
    batch_size: int = 256,
    steps: int | None = None,
    augment: Edit | None = None,
) -> Unlearner:
  """`CE(retain)` from the original variables.

  Args:
    model: the network.
    tx: the optimiser; the paper: SGD, learning rate 0.01.
    epochs: passes over the retain set.
    batch_size: examples a step.
    steps: if given, the length of the run in steps instead of epochs.
    augment: `(key, batch) -> examples`.

  Returns:
    An unlearner.

  Raises:
    TypeError: if `model` or `tx` is of another type; when called, as
      `_checks.check_run`.
    ValueError: if `epochs`, `steps` or `batch_size` is out of range.

  >>> from rum_jax import testing
  >>> model, tx, run = testing.example()
  >>> _, info = finetune(model, tx, epochs=3, batch_size=4)(*run)
  >>> len(info.loss)  # Three epochs of two steps: 8 examples to retain.
  6
  """
  return training.descent(
      objectives.supervised(model, augment), tx, plans.over_retain(batch_size),
      epochs=epochs, steps=steps)
