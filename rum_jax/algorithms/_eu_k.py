"""Exactly unlearn the last k layers: train them from scratch, alone.

The last `k` top-level modules start from a fresh initialisation, parameters and
batch-norm moments, and are trained on `CE(retain)`; every other module stays
bit-identical, as in `cf_k`. With `k` the number of modules this is `retrain`.

SCRUB's released code, where this baseline is found, starts over the last block
of a ResNet without the classifier after it, and from the very initialisation
that the original model had.

References:
  Goel et al., Towards adversarial evaluations for inexact machine unlearning,
  2022.
"""

from __future__ import annotations

import optax

from rum_jax import subspaces
from rum_jax.algorithms._retrain import retrain
from rum_jax.types import Edit, Model, Unlearner

# What a search fixes, and the limits of what it draws.
SPACE = {'epochs': 10, 'k': 2}, {'learning_rate': (1e-3, 0.5, 'log')}


def eu_k(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    k: int = 1,
    epochs: int = 30,
    batch_size: int = 256,
    steps: int | None = None,
    augment: Edit | None = None,
) -> Unlearner:
  """`CE(retain)` over the last `k` top-level modules, started afresh.

  Args:
    model: the network; its parameters are a dict of modules.
    tx: the optimiser of the original training.
    k: number of modules that start afresh and move, counted from the logits; 1
      is the last linear layer.
    epochs: passes over the retain set, as many as the original training's.
    batch_size: examples a step.
    steps: if given, the length of the run in steps instead of epochs.
    augment: `(key, batch) -> examples`.

  Returns:
    An unlearner.

  Raises:
    TypeError: if `model` or `tx` is of another type; when called, as
      `_checks.check_run`.
    ValueError: if a hyper-parameter is out of range or, when called, if the
      network has fewer than `k` modules.
  """
  return subspaces.within(subspaces.last_layers(k), lambda model, tx: retrain(
      model, tx, epochs=epochs, batch_size=batch_size, steps=steps,
      augment=augment), model, tx)
