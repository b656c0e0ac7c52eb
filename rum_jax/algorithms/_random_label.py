"""Teach wrong labels for the forget set and the true ones for the retain set.

The two sets are mixed and passed over together, as in the released code. That
code draws the wrong label from all classes, so that one in K is true; draws it
anew each epoch; and on CIFAR-100 and Tiny-ImageNet does not relabel at all.
Here the label differs from the true one and is drawn once, by default.

References:
  Golatkar, Achille and Soatto, Eternal sunshine of the spotless net, 2020.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from rum_jax import _checks, objectives, plans, training
from rum_jax.labels import random_labels
from rum_jax.types import (
    Array, Augment, Batch, Dataset, Info, Key, Model, Split,
    Unlearner, Variables)


def random_label(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    epochs: int = 10,
    batch_size: int = 256,
    steps: int | None = None,
    exclude_true: bool = True,
    redraw: bool = False,
    augment: Augment | None = None,
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
    augment: `(key, images) -> images`.

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
  def unlearn(key: Key, variables: Variables, dataset: Dataset, split: Split
              ) -> tuple[Variables, Info]:
    key_label, key_fit = jax.random.split(key)
    wrong = wrong_labels(key_label, model, variables, dataset,
                         exclude_true=exclude_true, redraw=redraw)
    relabel = lambda batch: jnp.where(batch.forget, wrong(batch), batch.label)
    return training.fit(
        key_fit, variables, dataset, split,
        objective=objectives.supervised(model, augment, relabel),
        tx=tx, draw=draw, epochs=epochs, steps=steps)

  return unlearn


def wrong_labels(key: Key, model: Model, variables: Variables,
                 dataset: Dataset, *, exclude_true: bool, redraw: bool
                 ) -> Callable[[Batch], Array]:
  """What the rows of a batch are called; drawn once for all rows, or anew."""
  classes = jax.eval_shape(
      lambda image: model.apply(variables, image, train=False)[0].logits,
      dataset.image[:1]).shape[-1]

  def drawn(epoch: Array | int, index: Array, label: Array) -> Array:
    return random_labels(jax.random.fold_in(key, epoch), index, label, classes,
                         exclude_true=exclude_true)

  if redraw:
    return lambda batch: drawn(batch.epoch, batch.index, batch.label)
  label = jnp.asarray(dataset.label)
  table = drawn(0, jnp.arange(label.shape[0]), label)
  return lambda batch: table[batch.index]
