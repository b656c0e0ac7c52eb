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
import jax.numpy as jnp
import optax

from rum_jax import objectives, plans, training
from rum_jax.types import (
    Array, Augment, Batch, Dataset, Info, Key, Model, Objective, Split,
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
    ValueError: if `epochs`, `steps` or `batch_size` is out of range.
  """
  training.check_budget(epochs, steps)
  draw = plans.over_both(batch_size)

  def unlearn(key: Key, variables: Variables, dataset: Dataset, split: Split
              ) -> tuple[Variables, Info]:
    key_label, key_fit = jax.random.split(key)
    return training.fit(
        key_fit, variables, dataset, split,
        objective=mislabelled(model, key_label, exclude_true=exclude_true,
                              redraw=redraw, augment=augment),
        tx=tx, draw=draw, epochs=epochs, steps=steps)

  return unlearn


def mislabelled(model: Model, key_label: Key, *, exclude_true: bool,
                redraw: bool, augment: Augment | None) -> Objective:
  """Cross-entropy in which rows to be forgotten have a random label."""

  def relabel(batch: Batch, classes: int) -> Array:
    key = jax.random.fold_in(key_label, batch.epoch * redraw)
    wrong = random_labels(key, batch.index, batch.label, classes,
                          exclude_true=exclude_true)
    return jnp.where(batch.forget, wrong, batch.label)

  return objectives.supervised(model, augment, relabel)


def random_labels(key: Key, index: Array, label: Array, classes: int, *,
                  exclude_true: bool) -> Array:
  """A label for every example, a function of the key and its row alone.

  Args:
    key: consumed.
    index: `[B]` rows of the dataset.
    label: `[B]` true labels.
    classes: K, at least 2 where the true label is excluded.
    exclude_true: whether to draw from the other K − 1 classes.

  Returns:
    `[B]` int32, uniform.

  Raises:
    ValueError: if there is no other class to draw.
  """
  if classes < 1 + exclude_true:
    raise ValueError(f'Expected at least {1 + exclude_true} classes to draw a '
                     f'random label from, found {classes}.')
  keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(index)
  count = classes - 1 if exclude_true else classes
  drawn = jax.vmap(lambda k: jax.random.randint(k, (), 0, count))(keys)
  return (label + 1 + drawn) % classes if exclude_true else drawn
