"""Exactly unlearn the last k layers: train them from scratch, alone.

The parameters and batch-norm moments of the last `k` top-level modules are
initialised again and trained on `CE(retain)`. Every other module stays
bit-identical, as in `cf_k`. If `k` is the number of modules, this is `retrain`.

The released code of SCRUB contains this baseline. It trains the last block of a
ResNet without the classifier after it, from the initialisation of the original
model.

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
  """`CE(retain)` over the last `k` top-level modules, initialised again.

  Where no image is augmented and batch-norm is frozen,
  `subspaces.within(subspaces.last_layers(k, cached=True), retrain, ...)` gives
  the same and computes once what the layers below give.

  Args:
    model: the network; its parameters are a dict of modules.
    tx: the optimiser of the original training.
    k: number of modules that are initialised and trained, counted from the
      logits; 1 is the last linear layer.
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

  >>> from rum_jax import testing
  >>> model, tx, (key, variables, examples, split) = testing.example()
  >>> unlearn = eu_k(model, tx, k=1, epochs=0)
  >>> new, _ = unlearn(key, variables, examples, split)
  >>> {name: bool((new.params[name]['kernel'] == old['kernel']).all())
  ...  for name, old in variables.params.items()}  # Which layers are unchanged?
  {'Dense_0': True, 'Dense_1': False}
  """
  return subspaces.within(subspaces.last_layers(k), lambda model, tx: retrain(
      model, tx, epochs=epochs, batch_size=batch_size, steps=steps,
      augment=augment), model, tx)
