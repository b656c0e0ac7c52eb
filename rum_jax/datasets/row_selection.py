"""Reads and checks the rows to forget, in any form that a person may use."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from rum_jax.datasets import row_files
from rum_jax.datasets.errors import DataError, listed
from rum_jax.datasets.row_positions import as_list, positions, whole_numbers
from rum_jax.datasets.sources import Source
from rum_jax.types import GROUPS


def read_rows(spec: Any, source: Source, *, name: str = 'rows') -> np.ndarray:
  """Reads the rows to forget, and refuses rows that cannot be forgotten.

  The specification has one of these forms:

  * `class=3` or `class=cat`: all training examples of a class, by its name or
    its number (only by its name if names are numbers);
  * the path of a file with whole numbers, or with names of files in an image
    folder: `.json` (a list), `.csv` (one column, or a column named `row` or
    `file`), `.npy` (`[F]`), or text (one in each line; `#` begins a comment);
  * a list or an array `[F]` of whole numbers or of names.

  Args:
    spec: the specification.
    source: the data set, as it will be trained on.
    name: the name of the argument, for messages.

  Returns:
    `[F]` int64 published rows, in the order given.

  Raises:
    OSError: if a file cannot be read.
    DataError: if there is no list or a mask; if a row occurs twice or is not in
      the training part; or if no example or all examples are to be forgotten.
      The message names the value.
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
  except OSError as error:
    raise OSError(f'Cannot read {place}: {error.strerror}.') from error
  return rows


def read_groups(path: str | os.PathLike[str], source: Source, *,
                name: str = 'groups') -> tuple[np.ndarray, ...]:
  """Reads the published rows of `{"low": …, "medium": …, "high": …}`.

  Args:
    path: the path of the JSON file; rows are whole numbers, or names of files
      in an image folder.
    source: the data set, as it will be trained on.
    name: the name of the argument, for messages.

  Returns:
    Three arrays of int64 published rows, in the order of `GROUPS`.

  Raises:
    OSError: if the file cannot be read.
    DataError: if the file holds no such object, if `read_rows` would refuse a
      group, or if two groups share a row; the message names the value.
  """
  place = f'{name}={os.fspath(path)}'
  try:
    found = row_files.read_json(path)
  except OSError as error:
    raise OSError(f'Cannot read {place}: {error.strerror}.') from error
  except DataError as error:
    raise DataError(f'{place}: {error}', name, error.value) from error
  if not isinstance(found, dict) or sorted(found) != sorted(GROUPS):
    keys = sorted(found) if isinstance(found, dict) else type(found).__name__
    raise DataError(f'Expected {place} to be a JSON object that lists rows as '
                    f'{", ".join(GROUPS)}, found {keys}.', name, keys)
  groups = []
  for group in GROUPS:
    try:
      groups.append(_as_rows(found[group], source))
      positions(groups[-1], source)
    except DataError as error:
      raise DataError(f'{place}, {group}: {error}', name, error.value
                      ) from error
  try:
    positions(np.concatenate(groups), source)
  except DataError as error:
    raise DataError(f'{place}: {error}', name, error.value) from error
  return tuple(groups)


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
  """`[F]` int64 rows from whole numbers or from names of files."""
  if isinstance(values, np.ndarray) and values.dtype.kind not in 'SU':
    return whole_numbers(values, source)
  values = [x.decode() if isinstance(x, bytes) else x for x in as_list(values)]
  names = [x for x in values if isinstance(x, str)]
  others = [x for x in values if not isinstance(x, str)]
  if not names:
    return whole_numbers(values, source)
  if others:
    raise DataError('Expected whole numbers or names of files, found both: '
                    f'{names[0]!r} and {others[0]!r}.', 'rows', others[0])
  if not source.files:
    raise DataError(
        f'Expected whole numbers, found {names[0]!r}: images of {source.name} '
        'have no files of their own.', 'rows', names[0])
  return row_files.rows_of_files(names, source.files, source.name)
