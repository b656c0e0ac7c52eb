"""Reads files that list rows, or names of files in an image folder."""

from __future__ import annotations

from collections.abc import Sequence
import csv
import json
import os
import pathlib
import re
from typing import Any

import numpy as np

from rum_jax.datasets.errors import DataError, listed

_COLUMNS = ('row', 'rows', 'file', 'files', 'filename')
_NUMBER = re.compile(r'[+-]?\d+')


def read(path: str | os.PathLike[str]) -> Any:
  """Reads the list in a file, without checking it against a data set.

  Args:
    path: the path of a `.json`, `.csv` or `.npy` file; any other is read as
      text.

  Returns:
    A list of whole numbers or words, or an array.

  Raises:
    OSError: if the file cannot be read.
    DataError: if the file is damaged or holds no list.
  """
  suffix = pathlib.Path(path).suffix.lower()
  if suffix == '.json':
    found = read_json(path)
    if not isinstance(found, list):
      raise DataError(f'Expected a JSON list, found {type(found).__name__}.',
                      'rows', type(found).__name__)
    return found
  if suffix in ('.npy', '.npz'):
    return _read_npy(path)
  return (_read_csv if suffix == '.csv' else _read_text)(_text(path))


def read_json(path: str | os.PathLike[str]) -> Any:
  """The value in a JSON file.

  Args:
    path: the path of the file.

  Raises:
    OSError: if the file cannot be read.
    DataError: if it is not JSON; the message says at which position.
  """
  try:
    return json.loads(_text(path))
  except json.JSONDecodeError as error:
    raise DataError(f'Expected {path} to be JSON: {error}.', 'rows',
                    str(path)) from error


def rows_of_files(names: Sequence[str], files: Sequence[str], folder: str = ''
                  ) -> np.ndarray:
  """`[F]` int64 rows of the files with these names.

  A name may have four forms: as in `files` (`train/cat/1.png`); without the
  folder of the training part (`cat/1.png`); the last part alone (`1.png`), if
  only one file has that name; or a whole path with the folder of the data set
  (`/home/me/pets/train/cat/1.png`). Backslashes are read as slashes.

  Args:
    names: F names.
    files: the names of the files of the whole training part, by row.
    folder: the name of the folder of the data set.

  Raises:
    DataError: that names the first name that no file has, or several have.
  """
  rows: dict[str, list[int]] = {}
  inside = all(x.startswith('train/') for x in files)
  for i, file in enumerate(files):
    short = {file, file.removeprefix('train/') if inside else file,
             file.rsplit('/', 1)[-1]}
    for x in short:
      rows.setdefault(x, []).append(i)
  found = []
  for name in names:
    clean = name.strip().replace('\\', '/').removeprefix('./')
    known = rows.get(clean, [])
    if not known:
      rest = f'/{clean}'.rpartition(f'/{folder}/')[-1]
      known = [i for i in rows.get(rest, []) if files[i] == rest]
    if len(known) != 1:
      what = (f'{len(known)} files have this name: '
              f'{listed([files[i] for i in known], 3)}' if known else
              'no training image has this name; an example of a name is '
              f'{listed(files, 1)}')
      raise DataError(f'Expected the name of one file, found {name!r}: {what}.',
                      'rows', name)
    found.append(known[0])
  return np.array(found, np.int64)


def _text(path: str | os.PathLike[str]) -> str:
  try:
    return pathlib.Path(path).read_text(encoding='utf-8-sig')
  except UnicodeDecodeError as error:
    raise DataError(f'Expected {path} to be text in UTF-8, found other bytes.',
                    'rows', str(path)) from error


def _read_npy(path: str | os.PathLike[str]) -> np.ndarray:
  try:
    found = np.load(path, allow_pickle=False)
  except (ValueError, EOFError) as error:
    raise DataError(f'Expected {path} to be an array as np.save writes it: '
                    f'{error}.', 'rows', str(path)) from error
  if not isinstance(found, np.ndarray):
    found.close()
    raise DataError(f'Expected {path} to hold one array, as np.save writes it, '
                    'found several, as np.savez does.', 'rows', str(path))
  return found


def _read_csv(text: str) -> list[Any]:
  table = [[cell.strip() for cell in line] for line in csv.reader(
      text.splitlines()) if any(cell.strip() for cell in line)]
  if not table:
    return []
  head = [cell.lower() for cell in table[0]]
  column = next((head.index(x) for x in _COLUMNS if x in head), None)
  if column is not None:
    return [_number(line[column] if column < len(line) else '')
            for line in table[1:]]
  if len(table) == 1:
    return list(map(_number, table[0]))
  width = max(map(len, table))
  if width > 1:
    raise DataError('Expected one column, or one that is called row or file, '
                    f'found {width} columns: {listed(table[0])}.', 'rows',
                    table[0])
  return [_number(line[0]) for line in table]


def _read_text(text: str) -> list[Any]:
  found: list[Any] = []
  for line in text.splitlines():
    parts = [x for x in re.split(r'[\s,;]+', line.split('#', 1)[0]) if x]
    if all(map(_NUMBER.fullmatch, parts)):
      found += map(int, parts)
    else:  # The name of a file, which may hold blanks and commas.
      found.append(line.strip())
  return found


def _number(cell: str) -> Any:
  """The whole number in a cell, or its text."""
  if _NUMBER.fullmatch(cell):
    return int(cell)
  if not cell:
    raise DataError('Expected a row in each line, found an empty one.', 'rows',
                    cell)
  return cell
