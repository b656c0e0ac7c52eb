"""Train with random labels on the forget set and true ones on the retain set.

The two sets are mixed, as in the released code. In that code the random label
is drawn from all classes, so that one in K is true, and it is drawn again in
every epoch. On CIFAR-100 and Tiny-ImageNet that code does not relabel at all.
Here, by default, the label differs from the true one and is drawn once.

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
  """`CE(forget ∪ retain)` with random labels for the rows to forget.

  Args:
    model: the network.
    tx: the optimiser; the paper: SGD, learning rate 0.1.
    epochs: passes over both sets.
    batch_size: examples a step.
    steps: if given, the length of the run in steps instead of epochs.
    exclude_true: whether the random label must differ from the true one; the
      released code has `False`.
    redraw: whether labels are drawn in every epoch; the released code has
      `True`.
    augment: `(key, batch) -> examples`.

  Returns:
    An unlearner.

  Raises:
    TypeError: if `model` or `tx` is of another type; when called, as
      `_checks.check_run`.
    ValueError: if `epochs`, `steps` or `batch_size` is out of range.

  >>> from rum_jax import testing
  >>> model, tx, run = testing.example()
  >>> unlearn = random_label(model, tx, epochs=1, batch_size=4)
  >>> _, info = jax.eval_shape(unlearn, *run)  # Computes shapes alone.
  >>> info.loss.shape  # 12 examples, of which 4 have random labels.
  (3,)
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
