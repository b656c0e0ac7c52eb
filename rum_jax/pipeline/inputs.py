"""Rows and groups that people give in files, and whether they can be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rum_jax.refinement import Groups
from rum_jax.storage import files
from rum_jax.types import GROUPS


def check_retain(num_train: int, batch_size: int, forget: int, what: str
                 ) -> None:
  """Refuses a forget set that leaves less than one batch to retain.

  Args:
    num_train: examples in all.
    batch_size: of training.
    forget: examples to forget.
    what: the forget set, for the message.

  Raises:
    ValueError: if it does.
  """
  if forget + batch_size > num_train:
    raise ValueError(
        f'Expected {what} to leave a retain set of at least one batch, '
        f'batch_size={batch_size}, of the {num_train} training examples.')


def load_rows(path: str) -> np.ndarray:
  """Reads a JSON list of rows of the data set.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if it is not a list of whole numbers.
  """
  return files.parsed('rows', path, as_rows, 'list of rows')


def load_groups(path: str) -> Groups:
  """Reads `{"low": rows, "medium": rows, "high": rows}`, rows of the data set.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if it is not such a JSON object.
  """
  return files.parsed('groups', path, _as_groups,
                      'object that lists rows as low, medium and high')


def _as_groups(named: Any) -> Groups:
  if not isinstance(named, dict):
    raise TypeError(f'it is a {type(named).__name__}')
  for name in GROUPS:
    if not named.get(name):
      raise ValueError(f'{name} is missing or empty')
  return tuple(as_rows(named[name]) for name in GROUPS)


def as_rows(values: Sequence[int]) -> np.ndarray:
  """A list of rows, as JSON has it, as an array.

  Raises:
    TypeError: naming the first value that is not a whole number.
    ValueError: naming the first value that no row can have.
  """
  if not isinstance(values, (list, tuple)):
    raise TypeError(f'{values!r} is not a list')
  for value in values:
    if type(value) is not int:
      raise TypeError(f'{value!r} is not a whole number')
    if not 0 <= value < 2**31:
      raise ValueError(f'{value} is not a row')
  return np.asarray(values, np.int32)
