"""Which rows to forget: read, checked and said.

A row is always the published one: where an example stands in the training part
as it was published, before validation was set apart or a sample was drawn
(`Source.row`). A position is where it stands in what is left of that part; the
arrays that algorithms take are indexed by positions.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
from typing import Any, NamedTuple

import numpy as np

from rum_jax.datasets import row_files
from rum_jax.datasets.errors import DataError, listed
from rum_jax.datasets.sources import Source

GROUPS = ('low', 'medium', 'high')


def read_rows(spec: Any, source: Source, *, name: str = 'rows') -> np.ndarray:
  """Reads the rows to forget, and refuses those that cannot be forgotten.

  A specification is one of

  * `class=3` or `class=cat`: all training examples of a class, by its name or
    its number (by the name alone where names are numbers);
  * the path of a file with whole numbers, or with names of files in an image
    folder: `.json` (a list), `.csv` (one column, or one named `row` or `file`),
    `.npy` (`[F]`), any other as text (one in a line; `#` begins a comment);
  * a list or an array `[F]` of whole numbers or of names.

  Args:
    spec: the specification.
    source: the data set, as it will be trained on.
    name: of the argument, for messages.

  Returns:
    `[F]` int64 published rows, in the order given.

  Raises:
    OSError: if a file cannot be read.
    DataError: if it holds no such list, or a mask, or a row is there twice, is
      not in the training part, or none or all examples are named; it names the
      value.
  """
  text = isinstance(spec, (str, os.PathLike))
  place = f'{name}={os.fspath(spec)}' if text else name
  try:
    if isinstance(spec, str) and spec.startswith('class='):
      rows = _of_class(spec.removeprefix('class='), source)
    else:
      values = row_files.read(spec) if text else spec
      rows = _as_rows(values, source)
    positions(rows, source)
  except DataError as error:
    raise DataError(f'{place}: {error}', name, error.value) from error
  return rows


def read_groups(path: str | os.PathLike[str], source: Source, *,
                name: str = 'groups') -> tuple[np.ndarray, ...]:
  """Reads `{"low": rows, "medium": rows, "high": rows}`, published rows.

  Args:
    path: of the JSON file; rows are whole numbers, or names of files in an
      image folder.
    source: the data set, as it will be trained on.
    name: of the argument, for messages.

  Returns:
    Three arrays of int64 published rows, in the order of `GROUPS`.

  Raises:
    OSError: if the file cannot be read.
    DataError: if it is not such an object, a group cannot be forgotten as
      `read_rows` says, or two of them share a row; it names the value.
  """
  place = f'{name}={os.fspath(path)}'
  found = row_files.read_json(path)
  if not isinstance(found, dict) or sorted(found) != sorted(GROUPS):
    keys = sorted(found) if isinstance(found, dict) else type(found).__name__
    raise DataError(f'Expected {place} to be a JSON object that lists rows as '
                    f'{", ".join(GROUPS)}, found {keys}.', name, keys)
  groups = tuple(read_rows(found[x], source, name=f'{place}, {x}')
                 for x in GROUPS)
  try:
    positions(np.concatenate(groups), source)
  except DataError as error:
    raise DataError(f'{place}: {error}', name, error.value) from error
  return groups


def positions(rows: Any, source: Source) -> np.ndarray:
  """Where published rows stand in the training part that is left.

  Args:
    rows: `[F]` published rows.
    source: the data set, as it will be trained on.

  Returns:
    `[F]` int32 positions, each below `source.num_train`.

  Raises:
    DataError: if a row lies in another part, was not drawn into the sample or
      is not there at all, is there twice, or none or all examples are named; it
      names the row and the part.
  """
  rows = _whole(rows, source)
  if not len(rows):
    raise DataError('The list of rows to forget is empty.', 'rows', 0)
  values, counts = np.unique(rows, return_counts=True)
  if (counts > 1).any():
    twice = values[counts > 1]
    raise DataError(f'Row {twice[0]} is there {counts[counts > 1][0]} times'
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
  """What a list of rows holds, to be echoed before anything is trained.

  Attributes:
    count: how many rows there are.
    of: how many training examples there are.
    first: the first rows, at most five, in the order given.
    files: the names of their files, where they have names.
    classes: `(name, rows, training examples)` of each class with rows, in the
      order of the classes.
    whole: names of the classes of which all training examples are named.
  """

  count: int
  of: int
  first: tuple[int, ...]
  files: tuple[str, ...]
  classes: tuple[tuple[str, int, int], ...]
  whole: tuple[str, ...]

  def __str__(self) -> str:
    first = listed(self.first if self.count == len(self.first)
                   else (*self.first, ''), len(self.first))
    inside = ', '.join(f'{name} {part:,} of {all_:,}'
                       for name, part, all_ in self.classes)
    text = (f'{self.count:,} of {self.of:,} training examples; rows {first}; '
            f'classes: {inside}')
    if self.files:
      text += f'; files: {listed(self.files, 3)}'
    return f'{text}.'


def describe_rows(rows: Any, source: Source) -> Description:
  """Count, first rows and classes of a list of rows; `str` makes a sentence.

  Args:
    rows: `[F]` published rows.
    source: the data set, as it will be trained on; its labels are counted.

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


def _of_class(name: str, source: Source) -> np.ndarray:
  """Published rows of the training examples of a class."""
  classes = source.classes
  numbers = any(x.isdecimal() for x in classes)
  if name in classes:
    k = classes.index(name)
  elif name.isdecimal() and not numbers and int(name) < len(classes):
    k = int(name)
  else:
    raise DataError(
        f'There is no class {name}: the {len(classes)} classes are '
        f'{listed(classes, 10)}.', 'class', name)
  label = source.dataset.label[:source.num_train]
  rows = source.row[:source.num_train][label == k].astype(np.int64)
  if not len(rows):
    raise DataError(f'No training example is of class {name}.', 'class', name)
  return rows


def _as_rows(values: Any, source: Source) -> np.ndarray:
  """Whole numbers as they are, names of files as rows."""
  values = values if isinstance(values, np.ndarray) else list(values)
  names = [isinstance(x, str) for x in values]
  if not any(names):
    return _whole(values, source)
  if not all(names):
    other = next(x for x in values if not isinstance(x, str))
    raise DataError('Expected whole numbers or names of files, found both: '
                    f'{next(x for x in values if isinstance(x, str))!r} and '
                    f'{other!r}.', 'rows', other)
  if not source.files:
    raise DataError(
        f'Expected whole numbers, found {str(values[0])!r}: images of '
        f'{source.name} have no files of their own.', 'rows', str(values[0]))
  return row_files.named(list(map(str, values)), source.files)


def _whole(values: Any, source: Source) -> np.ndarray:
  """`[F]` int64, whatever list of whole numbers came in."""
  if not isinstance(values, np.ndarray):
    values = list(values) if isinstance(values, Sequence) else values
    for x in values if isinstance(values, list) else ():
      if not isinstance(x, (int, np.integer)):
        raise DataError(f'Expected whole numbers, found {x!r}.', 'rows', x)
  rows = np.asarray(values)
  if rows.ndim != 1:
    raise DataError(f'Expected a list of rows [F], found shape {rows.shape}.',
                    'rows', rows.shape)
  if not len(rows):
    return np.zeros(0, np.int64)
  sizes = (source.num_train, len(source.dataset.label),
           source.num_train + sum(len(x) for _, x in source.apart))
  if rows.dtype == bool or (
      len(rows) > 2 and len(rows) in sizes and rows.dtype.kind in 'uif'
      and np.isin(rows, (0, 1)).all()):
    raise DataError(
        f'Expected a list of rows, found a mask of {len(rows):,} values of '
        f'which {int(rows.sum()):,} are true: give np.flatnonzero(mask).',
        'rows', rows[:1].tolist()[0])
  if rows.dtype.kind not in 'ui':
    raise DataError(f'Expected whole numbers, found {rows[:1].tolist()[0]!r} '
                    f'of type {rows.dtype}.', 'rows', rows[:1].tolist()[0])
  wrong = rows[(rows < 0) | (rows >= 2**31)]
  if len(wrong):
    raise _absence(wrong, source)
  return rows.astype(np.int64)


def _absence(absent: np.ndarray, source: Source) -> DataError:
  """Why the first of these rows is not in the training part."""
  row, train = int(absent[0]), source.row[:source.num_train]
  for part, rows in source.apart:
    if row in rows:
      where = ('was left out when the sample of '
               f'{source.num_train:,} training examples was drawn'
               if part == 'sample' else f'is in the {part} part')
      return DataError(f'Row {row} {where}, so it is not trained on'
                       f'{_more(absent)}.', 'rows', row)
  last = max([int(train.max()), *(int(x.max()) for _, x in source.apart
                                  if len(x))])
  return DataError(f'Row {row} is not there: training rows of {source.name} go '
                   f'from 0 to {last}{_more(absent)}.', 'rows', row)


def _more(values: np.ndarray) -> str:
  if len(values) < 2:
    return ''
  return f' ({len(values)} rows in all: {listed(values.tolist())})'
