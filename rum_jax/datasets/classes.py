"""Maps labels to classes, which are numbers from 0."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rum_jax.datasets import arrays
from rum_jax.datasets.arrays import Labels
from rum_jax.datasets.errors import DataError, listed


class Classes(NamedTuple):
  """The labels of the classes 0, 1 …, and the names of these classes.

  Attributes:
    known: `[K]` labels, whole numbers or words.
    names: the names of the K classes.
    notes: the changes that were made, as sentences.
  """

  known: np.ndarray
  names: tuple[str, ...]
  notes: tuple[str, ...]


def classes_of(name: str, labels: Labels, class_names: Any = ()) -> Classes:
  """The classes of training labels.

  Whole numbers from 0 are classes already. Other labels become classes in
  sorted order, and a note says so: words; whole numbers that do not start at 0;
  and whole numbers that would make more classes than there are examples. Words
  that are numbers are sorted as numbers.

  Args:
    name: the name of the array of labels, for messages and notes.
    labels: the labels of the training part.
    class_names: K names in the order of the classes, or none.

  Raises:
    DataError: if a label has no name, or if a name occurs twice.
  """
  names = _names(class_names)
  if not len(labels.values):
    raise DataError(f'Expected {name} to hold labels, found none.', name, 0)
  if labels.width is not None and names and labels.width != len(names):
    raise DataError(f'Expected {name} to have {len(names)} columns, one for '
                    f'each name of a class, found {labels.width}.', name,
                    labels.width)
  if labels.values.dtype.kind == 'U':
    return _of_words(name, labels.values, names)
  return _of_numbers(name, labels, names)


def numbers_of(name: str, labels: Labels, classes: Classes) -> np.ndarray:
  """`[N]` int32 classes of labels.

  Args:
    name: the name of the array of labels, for messages.
    labels: the labels of any part.
    classes: the classes of the training part.

  Raises:
    DataError: that names the first label that is no class, and its row.
  """
  values, known = labels.values, classes.known
  if values.dtype.kind == known.dtype.kind:
    order = np.argsort(known, kind='stable')
    place = np.searchsorted(known, values, sorter=order)
    index = order[np.minimum(place, len(known) - 1)]
    fits = known[index] == values
  else:
    index, fits = np.zeros(len(values), int), np.zeros(len(values), bool)
  count = len(known)
  plain = known.dtype.kind != 'U' and (known == np.arange(count)).all()
  what = (f'whole numbers in [0, {count})' if plain else
          f'one of the {count} labels of the training part '
          f'({listed(known.tolist())})')
  arrays.check_values(name, values, fits, f'labels to be {what}')
  return index.astype(np.int32)


def note_missing(label: np.ndarray, names: tuple[str, ...]) -> tuple[str, ...]:
  """A note if some classes have no training example.

  Args:
    label: `[N]`, the classes of the training examples.
    names: the names of the K classes.
  """
  counts = np.bincount(label, minlength=len(names))
  absent = [names[k] for k in np.flatnonzero(counts == 0)]
  return (f'{len(absent)} of {len(names)} classes have no training example: '
          f'{listed(absent)}.',) if absent else ()


def _names(class_names: Any) -> tuple[str, ...]:
  found = arrays.array('class_names', class_names)
  if found.ndim != 1:
    raise DataError(f'Expected class_names [K], found shape {found.shape}.',
                    'class_names', found.shape)
  if found.dtype.kind == 'S':
    found = np.char.decode(found, 'utf-8')
  names = tuple(map(str, found.tolist()))
  for i, x in enumerate(names):
    if x in names[:i]:
      raise DataError(f'Expected class_names to differ, found {x} twice.',
                      'class_names', x)
  return names


def _of_words(name: str, values: np.ndarray, names: tuple[str, ...]) -> Classes:
  known = np.unique(values)
  if names:
    absent = ~np.isin(values, names)
    arrays.check_values(name, values, ~absent, 'labels to be in '
                          f'class_names ({listed(names)})')
    return Classes(np.array(names), names, ())
  if all(x.isdecimal() for x in known.tolist()):
    known = np.array(sorted(known.tolist(), key=int))
  words = tuple(known.tolist())
  return Classes(known, words, (
      f'{name} holds words: they were made {len(words)} classes in sorted '
      f'order: {_arrows(words)}.',))


def _of_numbers(name: str, labels: Labels, names: tuple[str, ...]) -> Classes:
  values, known = labels.values, np.unique(labels.values)
  count = labels.width or len(names) or int(known[-1]) + 1
  plain = labels.width or (count > known[-1] if names else
                           known[0] == 0 and count <= len(values))
  if not plain and len(known) == (len(names) or len(known)):
    names = names or tuple(map(str, known.tolist()))
    what = (f'starts at {known[0]}, not at 0' if known[0] else
            f'has numbers up to {known[-1]} on {len(values)} examples')
    return Classes(known, names, (
        f'{name} {what}: its labels were made {len(known)} classes in sorted '
        f'order: {_arrows(known.tolist())}.',))
  arrays.check_values(
      name, values, values < count,
      f'labels to be whole numbers in [0, {count})')
  return Classes(np.arange(count), names or tuple(map(str, range(count))), ())


def _arrows(values: Any) -> str:
  return listed([f'{x} → {k}' for k, x in enumerate(values)], 20)
