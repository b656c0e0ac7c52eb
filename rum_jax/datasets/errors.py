"""The error for data that cannot be used."""

from __future__ import annotations

from typing import Any


class DataError(ValueError):
  """A value in a person's data that cannot be used.

  Attributes:
    name: the name of the argument or array, as the caller knows it: `rows`,
      `y_train`.
    value: the first value that is wrong: a row, a label, a shape.
  """

  def __init__(self, message: str, name: str = '', value: Any = None):
    super().__init__(message)
    self.name, self.value = name, value

  def within(self, place: str) -> DataError:
    """The same error, with a file or a data set named before its message."""
    return DataError(f'{place}: {self}', self.name, self.value)


def listed(values: Any, most: int = 5) -> str:
  """The first values as text: `3, 17, 42 …`."""
  values = list(values)
  return ', '.join(map(str, values[:most])) + ' …' * (len(values) > most)
