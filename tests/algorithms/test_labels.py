"""Which labels `random_label` teaches, on any number of classes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax.edits import random_labels, wrong_labels
from rum_jax.types import Batch, Images

COUNT = 6000


def draw(classes, exclude_true, seed=0):
  label = jnp.arange(COUNT) % classes
  drawn = random_labels(jax.random.key(seed), jnp.arange(COUNT), label, classes,
                        exclude_true=exclude_true)
  return np.asarray(label), np.asarray(drawn)


@pytest.mark.parametrize('classes', [2, 3, 100, 200])
@pytest.mark.parametrize('exclude_true', [True, False])
def test_labels_are_uniform_and_differ_from_the_true_one(classes, exclude_true):
  label, drawn = draw(classes, exclude_true)
  assert drawn.min() >= 0 and drawn.max() < classes
  shift = np.bincount((drawn - label) % classes, minlength=classes)
  allowed = shift[1:] if exclude_true else shift
  if exclude_true:
    assert shift[0] == 0
  if len(allowed) == 1:
    return
  # Pearson's statistic has len - 1 degrees of freedom: mean d, variance 2d. A
  # right sampler is beyond 6 sigma with probability below 1e-5.
  expected = COUNT / len(allowed)
  statistic = ((allowed - expected)**2 / expected).sum()
  freedom = len(allowed) - 1
  assert statistic < freedom + 6 * np.sqrt(2 * freedom) + 6


def test_a_label_depends_on_its_row_and_not_on_its_batch():
  label, drawn = draw(10, True)
  rows = jnp.asarray([17, 4, 4000])
  alone = random_labels(jax.random.key(0), rows, jnp.asarray(label)[rows], 10,
                        exclude_true=True)
  np.testing.assert_array_equal(alone, drawn[rows])


@pytest.mark.parametrize('redraw', [False, True])
def test_labels_are_drawn_once_or_each_epoch(redraw):
  classes, rows = 50, np.asarray([7, 3, 39, 12])
  examples = Images(np.zeros((40, 1)), np.arange(40))
  wrong = wrong_labels(
      jax.random.key(1), examples, classes, exclude_true=True, redraw=redraw)

  def labels(epoch):
    return np.asarray(wrong(None, Batch(
        Images(None, examples.label[rows]), rows, np.ones(4, bool), None, 0.0,
        epoch)).label)

  assert (labels(0) != rows).all() and (labels(1) != rows).all()
  assert (labels(0) != labels(1)).any() == redraw
  every = random_labels(
      jax.random.fold_in(jax.random.key(1), 0), jnp.arange(40),
      jnp.arange(40), classes, exclude_true=True)
  np.testing.assert_array_equal(labels(0), every[rows])


def test_one_class_has_no_wrong_label():
  with pytest.raises(ValueError, match='classes=1 to be at least 2'):
    draw(1, True)
