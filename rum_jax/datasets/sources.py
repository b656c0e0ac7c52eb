"""Labelled images in original order, and where each of them comes from."""

from __future__ import annotations

from typing import NamedTuple
import zipfile

import numpy as np

from rum_jax.types import Dataset


class Source(NamedTuple):
  """A data set, its parts, and what a person calls its classes.

  Attributes:
    dataset: images and labels of all parts together (NumPy arrays); training
      examples come first, in their original order, then those held out.
    num_train: how many of them are for training.
    row: `[N]` where each example stands in its published part.
    classes: names of the K classes.
    name: of the data set.
  """

  dataset: Dataset
  num_train: int
  row: np.ndarray
  classes: tuple[str, ...]
  name: str

  @property
  def train(self) -> np.ndarray:
    """Rows of the training examples."""
    return np.arange(self.num_train, dtype=np.int32)

  @property
  def test(self) -> np.ndarray:
    """Rows of the examples that are held out."""
    return np.arange(self.num_train, len(self.dataset.label), dtype=np.int32)


def from_arrays(image: np.ndarray, label: np.ndarray, name: str,
                classes: tuple[str, ...] = ()) -> Source:
  """A source of which everything is for training, its arrays checked.

  Args:
    image: `[N, H, W, C]` whole numbers in `[0, 255]`.
    label: `[N]` whole numbers in `[0, K)`.
    name: of the data set.
    classes: K names; by default the numbers that occur, up to the largest.

  Raises:
    ValueError: if an array has the wrong shape, an image holds NaN or a value
      out of range, or a label is out of range; the message names the row.
  """
  image, label = np.asarray(image), np.asarray(label)
  if image.ndim != 4 or label.shape != image.shape[:1]:
    raise ValueError('Expected image [N, H, W, C] and label [N], found '
                     f'{image.shape} and {label.shape}.')
  if not len(label):
    raise ValueError(f'Expected data set {name} to hold examples, found none.')
  if image.dtype != np.uint8:
    _check_rows(image, np.isfinite(image), 'finite pixels')
    _check_rows(image, (image >= 0) & (image <= 255) & (image % 1 == 0),
                'pixels to be whole numbers in [0, 255]')
  _check_rows(label, np.isfinite(label), 'finite labels')
  classes = classes or tuple(map(str, range(int(label.max()) + 1)))
  _check_rows(label, (label >= 0) & (label < len(classes)) & (label % 1 == 0),
              f'labels to be whole numbers in [0, {len(classes)})')
  rows = np.arange(len(label))
  dataset = Dataset(image.astype(np.uint8), label.astype(np.int32))
  return Source(dataset, len(label), rows, classes, name)


def _check_rows(values: np.ndarray, fits: np.ndarray, what: str) -> None:
  if not fits.all():
    where = tuple(int(i) for i in np.argwhere(~fits)[0])
    raise ValueError(
        f'Expected {what}, found {values[where]} in row {where[0]}.')


def joined(train: Source, test: Source) -> Source:
  """Training examples of one source, all of the other held out.

  Raises:
    ValueError: if their images or classes differ.
  """
  shapes = [x.dataset.image.shape[1:] for x in (train, test)]
  if shapes[0] != shapes[1]:
    raise ValueError(f'Expected images of one shape, found {shapes[0]} for '
                     f'training and {shapes[1]} for testing.')
  if train.classes != test.classes:
    raise ValueError(f'Expected the same classes, found {train.classes} for '
                     f'training and {test.classes} for testing.')
  dataset = Dataset(*map(np.concatenate, zip(train.dataset, test.dataset)))
  row = np.concatenate([train.row, test.row])
  return train._replace(dataset=dataset, row=row)


def from_npz(path: str, name: str) -> Source:
  """Reads `x_train`, `y_train`, `x_test`, `y_test` and maybe `class_names`.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if it is no npz file, or an array is missing or not as
      `from_arrays` wants it.
  """
  wanted = ('x_train', 'y_train', 'x_test', 'y_test')
  try:
    with np.load(path, allow_pickle=False) as file:
      arrays = {k: file[k] for k in (*wanted, 'class_names') if k in file}
  except (TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
    raise ValueError(
        f'Expected {path} to be an npz file of arrays: {error}.') from error
  missing = [key for key in wanted if key not in arrays]
  if missing:
    raise ValueError(f'Expected {path} to hold {missing[0]}.')
  classes = tuple(map(str, arrays.get('class_names', ())))
  try:
    train = from_arrays(arrays['x_train'], arrays['y_train'], name, classes)
    test = from_arrays(arrays['x_test'], arrays['y_test'], name, train.classes)
    return joined(train, test)
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error
