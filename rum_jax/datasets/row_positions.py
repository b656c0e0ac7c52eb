"""Published rows, and the positions of these examples in the training part.

A *row* is the index of an example in the training part as it was published,
before validation examples were set apart or a sample was drawn (`Source.row`).
A *position* is its index in the training part that is left. Algorithms index
arrays by positions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rum_jax.datasets.errors import DataError, listed
from rum_jax.datasets.sources import Source


def positions(rows: Any, source: Source) -> np.ndarray:
  """The positions of published rows in the training part that is left.

  Args:
    rows: `[F]` published rows.
    source: the data set, as it will be trained on.

  Returns:
    `[F]` int32 positions, each below `source.num_train`.

  Raises:
    DataError: if a row lies in another part, was not drawn into the sample,
      does not exist or occurs twice, or if no row or all rows are given; the
      message names the row and the part.
  """
  rows = whole_numbers(rows, source)
  if not len(rows):
    raise DataError('The list of rows to forget is empty.', 'rows', 0)
  values, counts = np.unique(rows, return_counts=True)
  if (counts > 1).any():
    twice = values[counts > 1]
    raise DataError(f'Row {twice[0]} occurs {counts[counts > 1][0]} times'
                    f'{_more(twice)}.', 'rows', int(twice[0]))
  published = source.row[:source.num_train]
  order = np.argsort(published, kind='stable')
  place = np.searchsorted(published, rows, sorter=order)
  found = order[np.minimum(place, source.num_train - 1)]
  absent = rows[published[found] != rows]
  if len(absent):
    raise _absence(absent, source)
  if len(rows) == source.num_train:
    raise DataError(f'The rows to forget are all {len(rows):,} training '
                    'examples: none would be left to keep.', 'rows', len(rows))
  return found.astype(np.int32)


class Description(NamedTuple):
  """A summary of a list of rows, to be printed before training.

  Attributes:
    count: the number of rows.
    of: the number of training examples.
    first: the first rows, at most five, in the order given.
    files: the names of the files of these rows, if the images have files.
    classes: for each class with rows: its name, the number of its rows and the
      number of its training examples.
    whole: the names of the classes all of whose training examples are in the
      list.
  """

  count: int
  of: int
  first: tuple[int, ...]
  files: tuple[str, ...]
  classes: tuple[tuple[str, int, int], ...]
  whole: tuple[str, ...]

  def __str__(self) -> str:
    more = ' …' * (self.count > len(self.first))
    first = ', '.join(map(str, self.first)) + more
    inside = ', '.join(f'{name} {part:,} of {all_:,}'
                       for name, part, all_ in self.classes)
    text = (f'{self.count:,} of {self.of:,} training examples; rows {first}; '
            f'classes: {inside}')
    if self.files:
      text += f'; files: {", ".join(self.files)}{more}'
    return f'{text}.'


def describe_rows(rows: Any, source: Source) -> Description:
  """Describes a list of rows; `str` of the result is a sentence.

  Args:
    rows: `[F]` published rows.
    source: the data set, as it will be trained on.

  Raises:
    DataError: if `positions` refuses the rows.
  """
  place = positions(rows, source)
  label, count = source.dataset.label, len(source.classes)
  named = np.bincount(label[place], minlength=count)
  every = np.bincount(label[:source.num_train], minlength=count)
  first = tuple(source.row[place[:5]].tolist())
  return Description(
      len(place), source.num_train, first,
      tuple(source.files[x] for x in first) if source.files else (),
      tuple((source.classes[k], int(named[k]), int(every[k]))
            for k in np.flatnonzero(named)),
      tuple(source.classes[k]
            for k in np.flatnonzero((named == every) & (every > 0))))


def whole_numbers(values: Any, source: Source) -> np.ndarray:
  """A list of rows as `[F]` int64, without checking that the rows exist.

  Args:
    values: a list or an array of whole numbers.
    source: the data set; its sizes are used to recognise a mask.

  Raises:
    DataError: if it is a mask or no list of whole numbers, or if a row is
      negative or does not fit int32; the message names the value.
  """
  if not isinstance(values, np.ndarray):
    values = as_list(values)
    masked = bool(values) and all(isinstance(x, bool) for x in values)
    for x in values:
      if not isinstance(x, (int, np.integer)) or (
          isinstance(x, bool) and not masked):
        raise DataError(f'Expected whole numbers, found {x!r}.', 'rows', x)
  rows = np.asarray(values)
  if rows.ndim != 1:
    raise DataError(f'Expected a list of rows [F], found shape {rows.shape}.',
                    'rows', rows.shape)
  if not len(rows):
    return np.zeros(0, np.int64)
  sizes = (source.num_train, len(source.dataset.label),
           source.num_train + sum(len(x) for _, x in source.apart))
  first = rows[:1].tolist()[0]
  if rows.dtype == bool or (
      len(rows) > 2 and len(rows) in sizes and rows.dtype.kind in 'uif'
      and np.isin(rows, (0, 1)).all()):
    raise DataError(
        f'Expected a list of rows, found a mask of {len(rows):,} values of '
        f'which {int(rows.sum()):,} are true: give np.flatnonzero(mask).',
        'rows', first)
  if rows.dtype.kind not in 'ui':
    raise DataError(f'Expected whole numbers, found {first!r} of type '
                    f'{rows.dtype}.', 'rows', first)
  wrong = rows[(rows < 0) | (rows >= 2**31)]
  if len(wrong):
    raise _absence(wrong, source)
  return rows.astype(np.int64)


def as_list(values: Any) -> list[Any]:
  """A list of the items of `values`.

  Raises:
    DataError: if `values` cannot be iterated over, or is a string.
  """
  if hasattr(values, '__array__'):
    values = np.asarray(values)
    return values.tolist() if values.ndim else [values]
  if isinstance(values, (str, bytes, dict)) or not hasattr(values, '__iter__'):
    raise DataError(f'Expected a list of rows, found {values!r}.', 'rows',
                    values)
  return list(values)


def _absence(absent: np.ndarray, source: Source) -> DataError:
  """The error that says why the first of these rows cannot be used."""
  row, train = int(absent[0]), source.row[:source.num_train]
  for part, rows in source.apart:
    absent = absent[~np.isin(absent, rows)] if row not in rows else absent
    if row in rows:
      absent = absent[np.isin(absent, rows)]
      where = ('was left out when the sample of '
               f'{source.num_train:,} training examples was drawn'
               if part == 'sample' else f'is in the {part} part')
      return DataError(f'Row {row} {where}, so it is not trained on'
                       f'{_more(absent)}.', 'rows', row)
  last = max([int(train.max()), *(int(x.max()) for _, x in source.apart
                                  if len(x))])
  return DataError(f'Row {row} does not exist: training rows of {source.name} '
                   f'go from 0 to {last}{_more(absent)}.', 'rows', row)


def _more(values: np.ndarray) -> str:
  if len(values) < 2:
    return ''
  return f' ({len(values)} rows in all: {listed(values.tolist())})'
