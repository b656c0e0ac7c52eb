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

import jax
import optax

from rum_jax import _checks, objectives, plans, subspaces, training, trees
from rum_jax.types import (
    Edit, Examples, Info, Key, Model, PyTree, Split, Unlearner, Variables)


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
  _checks.check_model(model)
  _checks.check_count('k', k, 1)
  training.check_fit(tx, epochs, steps)
  draw = plans.over_retain(batch_size)

  @_checks.checked
  def unlearn(key: Key, variables: Variables, examples: Examples, split: Split
              ) -> tuple[Variables, Info]:
    names = subspaces.last(model, variables, trees.take(examples, slice(1)), k)
    key_init, key_fit = jax.random.split(key)
    fresh = training.fresh(key_init, model, examples, split.retain)
    start = Variables(*(_swapped(old, new, names)
                        for old, new in zip(variables, fresh)))
    return training.fit(
        key_fit, start, examples, split,
        objective=objectives.supervised(subspaces.held(model, names), augment),
        tx=subspaces.gated(tx, variables.params, names), draw=draw,
        epochs=epochs, steps=steps)

  return unlearn


def _swapped(old: PyTree, new: PyTree, names: tuple[str, ...]) -> PyTree:
  """`old` with the modules `names` from `new`, in the dtypes of `old`."""
  cast = lambda a, b: b.astype(a.dtype)
  return {name: jax.tree.map(cast, value, new[name]) if name in names else value
          for name, value in old.items()}
