"""Splits of a data set, and wrong labels on purpose.

The paper sets a tenth of the training examples of CIFAR apart for validation.
This leaves 45,000 examples for training, 5,000 for validation and 10,000 for
testing. `hold_out` and `leave_out` draw the same examples, so their training
parts are equal, row by row. They differ in the held-out part. `hold_out` is for
choosing hyper-parameters, and `leave_out` is for results:

    hold_out(source, 0.1, seed)    # Holds out the 5,000 for validation.
    leave_out(source, 0.1, seed)   # Holds out the 10,000 for testing.

`apart` of the source lists the examples that are no longer trained on. So an
error can say why such a row cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import _checks
from rum_jax.datasets.errors import DataError
from rum_jax.datasets.sources import Source
from rum_jax.edits import random_labels
from rum_jax.types import AnyArray, Array, Images, Key


def hold_out(source: Source, share: float, seed: int, *,
             part: str = 'validation', keep: AnyArray | Sequence[int] = ()
             ) -> Source:
  """Holds out a share of the training examples of each class.

  Examples that were held out before are dropped. So tuning on a part of the
  training examples never uses the test set.

  Args:
    source: the whole data set.
    share: the share of each class, in `(0, 1)`.
    seed: the seed of the draw.
    part: the name of the examples that are held out, in `apart`.
    keep: published rows that are not held out, such as those to forget. Fewer
      are held out of a class that has not enough others.

  Returns:
    The source with fewer training examples, in their old order.

  Raises:
    ValueError: if `share` is out of range or leaves a part empty.
  """
  kept, drawn = _draw(source, share, seed, keep)
  return _arrange(source, kept, drawn, part, drawn)


def leave_out(source: Source, share: float, seed: int, *,
              part: str = 'validation') -> Source:
  """Drops the examples that `hold_out` would hold out, and keeps the test part.

  Args:
    source: the whole data set, with a test part.
    share: the share of the training examples of each class, in `(0, 1)`.
    seed: the seed of the draw.
    part: the name of the examples that are left out, in `apart`.

  Returns:
    The source with the training part of `hold_out(source, share, seed)`, and
    with its own held-out part.

  Raises:
    ValueError: if `share` is out of range or leaves a part empty, or nothing
      is held out in `source`.
  """
  kept, drawn = _draw(source, share, seed)
  if not len(source.test):
    raise ValueError(f'Expected data set {source.name} to have a test part, '
                     'found training examples only.')
  return _arrange(source, kept, source.test, part, drawn)


def sampled(source: Source, count: int, seed: int) -> Source:
  """Keeps about `count` training examples, and the test part.

  The examples that are left out are called `sample` in `apart`.

  Args:
    source: the whole data set, with a test part.
    count: the number of training examples to keep, fewer than there are. Each
      class keeps its share, rounded to whole examples.
    seed: the seed of the draw, the same as that of `leave_out`.

  Returns:
    The source with fewer training examples, in their old order.

  Raises:
    ValueError: if `count` is out of range, or nothing is held out in `source`.
  """
  _checks.check_count('count', count, 1)
  if count >= source.num_train:
    raise DataError(f'Expected count={count} to be fewer than the '
                    f'{source.num_train} training examples.', 'count', count)
  return leave_out(source, 1 - count / source.num_train, seed, part='sample')


def _draw(source: Source, share: float, seed: int,
          keep: AnyArray | Sequence[int] = ()
          ) -> tuple[np.ndarray, np.ndarray]:
  """Positions of the examples that stay, and of the share of each class."""
  _checks.check_range('share', share, 0, 1, open_low=True)
  label = source.dataset.label[:source.num_train]
  rng = np.random.default_rng(seed)
  out = np.zeros(source.num_train, bool)
  for k in np.unique(label):
    members = rng.permutation(np.flatnonzero(label == k))
    free = members[~np.isin(source.row[members], keep)]
    out[free[:round(share * len(members))]] = True
  if out.all() or not out.any():
    raise ValueError(f'Expected share={share} of {source.num_train} examples '
                     'to give at least one example to each part.')
  return np.flatnonzero(~out), np.flatnonzero(out)


def _arrange(source: Source, train: np.ndarray, held_out: np.ndarray,
             part: str, drawn: np.ndarray) -> Source:
  """The source with these training and held-out parts; lists `drawn` apart."""
  order = np.concatenate([train, held_out])
  dataset = Images(*(x[order] for x in source.dataset))
  return source._replace(
      dataset=dataset, num_train=len(train), row=source.row[order],
      apart=(*source.apart, (part, source.row[drawn])))


def corrupted(source: Source, share: float, seed: int
              ) -> tuple[Source, np.ndarray]:
  """Gives a share of the training examples a wrong label.

  Args:
    source: a data set with true labels.
    share: the share of wrong labels, in `[0, 1]`.
    seed: the seed of the draw of examples and of labels, uniform over the
      others.

  Returns:
    `(source, rows)`, with the sorted positions of the wrong labels.

  Raises:
    ValueError: if `share` is out of range, or if there is only one class.
  """
  _checks.check_range('corrupt', share, 0, 1)
  count, classes = round(share * source.num_train), len(source.classes)
  if count and classes < 2:
    raise ValueError('Expected at least two classes for wrong labels, found '
                     f'{classes}.')
  if not count:
    return source, np.zeros((0,), np.int32)
  label = source.dataset.label.copy()
  label[:source.num_train], rows = _with_wrong_labels(
      jax.random.key(seed), label[:source.num_train], classes, count)
  return (source._replace(dataset=source.dataset._replace(label=label)),
          np.asarray(rows))


@functools.partial(jax.jit, static_argnames=('classes', 'count'))
def _with_wrong_labels(key: Key, label: Array, classes: int, count: int
                       ) -> tuple[Array, Array]:
  """Labels `[N]` of which `count` are wrong, and their sorted positions."""
  key_rows, key_label = jax.random.split(key)
  rows = jnp.sort(jax.random.permutation(key_rows, len(label))[:count])
  wrong = random_labels(key_label, rows, label[rows], classes,
                        exclude_true=True)
  return label.at[rows].set(wrong), rows
