"""Converts and checks arrays of images and labels.

Images become `[N, H, W, C]` of uint8, and labels become whole numbers or words.
Every change is described by a note, which is a sentence that a command prints.
Arrays whose meaning would have to be guessed are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rum_jax.datasets.errors import DataError, listed

_CHANNELS = (1, 3)
_FLOATS = ('Multiply images in [0, 1] by 255 and round them: '
           'np.round(255 * x).astype(np.uint8); undo a normalisation by mean '
           'and standard deviation first.')


def channels_first(shape: Sequence[int]) -> bool:
  """Whether a shape looks like `[N, C, H, W]`, with one or three channels."""
  return (len(shape) == 4 and shape[1] in _CHANNELS and shape[2] > 4
          and shape[3] > 4)


def check_pixels(name: str, image: np.ndarray) -> None:
  """Refuses images whose values are not whole numbers in `[0, 255]`.

  Args:
    name: the name of the array, for messages.
    image: `[N, ...]`, of any type.

  Raises:
    DataError: that names the value and its row, and says what to do.
  """
  if image.dtype == np.uint8:
    return
  if image.dtype.kind not in 'uif':
    hint = (' An array of objects often holds images of several sizes: resize '
            'them and np.stack them.' if image.dtype.kind == 'O' else '')
    raise DataError(f'Expected {name} to hold numbers, found values of type '
                    f'{image.dtype}.{hint}', name, str(image.dtype))
  check_values(name, image, np.isfinite(image), 'finite pixels')
  check_values(name, image, (image >= 0) & (image <= 255) & (image % 1 == 0),
               'pixels to be whole numbers in [0, 255]',
               _FLOATS if image.dtype.kind == 'f' else '')


def check_values(name: str, values: np.ndarray, fits: np.ndarray, what: str,
                 hint: str = '') -> None:
  """Refuses an array some of whose values are not allowed.

  Args:
    name: the name of the array.
    values: `[N, ...]`.
    fits: `[N, ...]`, whether each value is allowed.
    what: what is expected, for the message.
    hint: a sentence that says what to do.

  Raises:
    DataError: that names the first value that is not allowed, and its row.
  """
  if not fits.all():
    where = tuple(int(i) for i in np.argwhere(~fits)[0])
    raise DataError(
        ' '.join(filter(None, [f'Expected {what}, found {values[where]} in row '
                               f'{where[0]} of {name}.', hint])),
        name, values[where].item())


def images(name: str, value: Any) -> tuple[np.ndarray, tuple[str, ...]]:
  """Images as `[N, H, W, C]` of uint8.

  These are converted, and a note says so: images without an axis of channels
  (`[N, H, W]`), with the channels first (`[N, 3, H, W]`, `[N, 1, H, W]`), of
  booleans, and of floats that are whole numbers.

  Args:
    name: the name of the array, for messages and notes.
    value: the array; values are whole numbers in `[0, 255]`, or booleans.

  Returns:
    `(images, notes)`.

  Raises:
    DataError: if the shape or a value is not one of these.
  """
  image, notes = array(name, value), []
  if image.ndim == 3:
    image = image[..., None]
    notes.append(f'{name} has no axis of channels: {image.shape[:3]} was read '
                 f'as {image.shape}, [N, H, W, C].')
  if image.ndim != 4:
    raise DataError(f'Expected {name} [N, H, W, C] or [N, H, W], found shape '
                    f'{image.shape}.', name, image.shape)
  if channels_first(image.shape):
    before, image = image.shape, np.moveaxis(image, 1, -1)
    notes.append(f'{name} has its channels first: {before}, [N, C, H, W], was '
                 f'turned to {image.shape}, [N, H, W, C].')
  if image.dtype == bool:
    image = image.astype(np.uint8) * np.uint8(255)
    notes.append(f'{name} holds booleans: they were read as 0 and 255.')
  check_pixels(name, image)
  if image.dtype.kind == 'f':
    notes.append(f'{name} holds floats that are whole numbers in [0, 255]: '
                 'they were read as uint8.')
  return np.ascontiguousarray(image, np.uint8), tuple(notes)


class Labels(NamedTuple):
  """Labels of one part, before they are mapped to classes.

  Attributes:
    values: `[N]` whole numbers of at least 0, or words.
    width: the number of columns of one-hot labels; `None` for other labels.
    notes: the changes that were made, as sentences.
  """

  values: np.ndarray
  width: int | None
  notes: tuple[str, ...]


def labels(name: str, value: Any) -> Labels:
  """Labels as whole numbers or as words.

  These are converted, and a note says so: one-hot labels `[N, K]`, a column
  `[N, 1]`, booleans, and floats that are whole numbers.

  Args:
    name: the name of the array, for messages and notes.
    value: `[N]`, `[N, 1]` or one-hot `[N, K]`.

  Raises:
    DataError: if the shape is another one, or if a label is negative, not
      finite, not whole or not one-hot; the message names the row.
  """
  label, notes, width = array(name, value), [], None
  if label.ndim == 2 and label.shape[1] == 1:
    notes.append(f'{name} is a column {label.shape}: it was read as '
                 f'{label.shape[:1]}.')
    label = label[:, 0]
  elif label.ndim == 2 and label.dtype.kind in 'buif':
    width, label = label.shape[1], _from_one_hot(name, label)
    notes.append(f'{name} is one-hot: [N, {width}] was read as the number of '
                 'the column that is 1.')
  if label.ndim != 1:
    raise DataError(f'Expected {name} [N] or one-hot [N, K], found shape '
                    f'{label.shape}.', name, label.shape)
  if label.dtype.kind in 'SU':
    return Labels(_as_words(name, label), width, tuple(notes))
  if label.dtype == bool:
    label = label.astype(np.int64)
    notes.append(f'{name} holds booleans: False is class 0, True is class 1.')
  if label.dtype.kind not in 'uif':
    raise DataError(f'Expected {name} to hold whole numbers or words, found '
                    f'values of type {label.dtype}.', name, str(label.dtype))
  check_values(name, label, np.isfinite(label), 'finite labels')
  check_values(name, label,
               (label >= 0) & (label == np.floor(label)) & (label < 2**53),
               'labels to be whole numbers of at least 0 and below 2**53')
  if label.dtype.kind == 'f' and width is None:
    notes.append(f'{name} holds floats: they were read as whole numbers.')
  return Labels(label.astype(np.int64), width, tuple(notes))


def array(name: str, value: Any) -> np.ndarray:
  """`np.asarray(value)`; an array of Python objects is refused."""
  try:
    found = np.asarray(value)
  except ValueError as error:
    raise DataError(f'Expected {name} to be an array, found a list whose items '
                    'have several shapes.', name) from error
  if found.dtype.kind == 'O':
    raise DataError(
        f'Expected {name} to hold numbers or words, found Python objects: '
        'images of several sizes must be resized and stacked, and all labels '
        'be of one type.', name, 'object')
  return found


def _from_one_hot(name: str, label: np.ndarray) -> np.ndarray:
  hot = ((label == 1).sum(1) == 1) & ((label != 0).sum(1) == 1)
  if not hot.all():
    row = int(np.flatnonzero(~hot)[0])
    raise DataError(
        f'Expected {name} [N], or one-hot [N, K] with one 1 in each row, found '
        f'[{listed(label[row].tolist(), 8)}] in row {row}. Soft labels and '
        'several labels of one image are not supported.', name,
        label[row].tolist())
  return label.argmax(1)


def _as_words(name: str, label: np.ndarray) -> np.ndarray:
  if label.dtype.kind == 'S':
    label = np.char.decode(label, 'utf-8')
  check_values(name, label, label != '', 'labels to be words')
  return label
