"""Teach wrong labels for the forget set and the true ones for the retain set.

The two sets are mixed and passed over together, as in the released code. That
code draws the wrong label from all classes, so that one in K is true; draws it
anew each epoch; and on CIFAR-100 and Tiny-ImageNet does not relabel at all.
Here the label differs from the true one and is drawn once, by default.

References:
  Golatkar, Achille and Soatto, Eternal sunshine of the spotless net, 2020.
"""

from __future__ import annotations

import jax
import optax

from rum_jax import _checks, edits, objectives, plans, training, trees
from rum_jax.types import (
    Edit, Examples, Info, Key, Model, Split,
    Unlearner, Variables)

# What a search fixes, and the limits of what it draws.
SPACE = {'epochs': 10}, {'learning_rate': (1e-3, 0.5, 'log')}


def random_label(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    epochs: int = 10,
    batch_size: int = 256,
    steps: int | None = None,
    exclude_true: bool = True,
    redraw: bool = False,
    augment: Edit | None = None,
) -> Unlearner:
  """`CE(forget ∪ retain)` with a random label where the row is to be forgotten.

  Args:
    model: the network.
    tx: the optimiser; the paper: SGD, learning rate 0.1.
    epochs: passes over both sets.
    batch_size: examples a step.
    steps: if given, the length of the run in steps instead of epochs.
    exclude_true: whether the random label must differ from the true one; the
      released code has `False`.
    redraw: whether labels are drawn anew each epoch; the released code has
      `True`.
    augment: `(key, batch) -> examples`.

  Returns:
    An unlearner.

  Raises:
    TypeError: if `model` or `tx` is of another type; when called, as
      `_checks.check_run`.
    ValueError: if `epochs`, `steps` or `batch_size` is out of range.
  """
  _checks.check_model(model)
  training.check_fit(tx, epochs, steps)
  draw = plans.over_both(batch_size)

  @_checks.checked
  def unlearn(key: Key, variables: Variables, examples: Examples, split: Split
              ) -> tuple[Variables, Info]:
    key_label, key_fit = jax.random.split(key)
    prediction = jax.eval_shape(
        lambda batch: model.apply(variables, batch, train=False)[0].prediction,
        trees.take(examples, slice(1)))
    relabel = edits.wrong_labels(
        key_label, examples, prediction.shape[-1], exclude_true=exclude_true,
        redraw=redraw)
    return training.fit(
        key_fit, variables, examples, split,
        objective=objectives.supervised(model, augment, relabel),
        tx=tx, draw=draw, epochs=epochs, steps=steps)

  return unlearn
