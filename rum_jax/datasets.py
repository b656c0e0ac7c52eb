"""Data sets: labelled images in original order, and who is in which part."""

from __future__ import annotations

from typing import NamedTuple
import zipfile

import numpy as np
from sklearn import datasets as bundled

from rum_jax import trees
from rum_jax.types import Dataset


class Source(NamedTuple):
  """A data set, its parts, and what a person calls its classes.

  Attributes:
    dataset: images and labels of all parts together (NumPy arrays); training
      examples come first, in their original order, then those held out.
    num_train: how many of them are for training.
    row: `[N]` where each example stands in the published data set.
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


def digits(*, test_share: float = 0.2, seed: int = 0) -> Source:
  """The 1,797 handwritten digits (8×8, 10 classes) that scikit-learn carries.

  Args:
    test_share: share of each class that is held out.
    seed: of the split.

  Returns:
    The source, images `[1797, 8, 8, 1]` in the full range of uint8.

  References:
    Alpaydin and Kaynak, Optical recognition of handwritten digits, 1998.
  """
  data = bundled.load_digits()
  images = np.round(data.images * (255 / 16))[..., None]
  return hold_out(from_arrays(images, data.target, 'digits'), test_share, seed)


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
  train = from_arrays(arrays['x_train'], arrays['y_train'], name, classes)
  test = from_arrays(arrays['x_test'], arrays['y_test'], name, train.classes)
  return joined(train, test)


def hold_out(source: Source, share: float, seed: int) -> Source:
  """Holds out a share of the training examples of each class.

  What was held out before is dropped, so that tuning on a part of the training
  examples never sees the test set.

  Args:
    source: the whole.
    share: of each class, in `(0, 1)`.
    seed: of the draw.

  Returns:
    The source with fewer training examples, in their old order.

  Raises:
    ValueError: if `share` is out of range or leaves a part empty.
  """
  trees.check_range('share', share, 0, 1, open_low=True)
  label = source.dataset.label[:source.num_train]
  rng = np.random.default_rng(seed)
  out = np.zeros(source.num_train, bool)
  for k in np.unique(label):
    members = rng.permutation(np.flatnonzero(label == k))
    out[members[:round(share * len(members))]] = True
  order = np.concatenate([np.flatnonzero(~out), np.flatnonzero(out)])
  if out.all() or not out.any():
    raise ValueError(f'Expected share={share} of {source.num_train} examples '
                     'to leave some in and some out.')
  dataset = Dataset(*(x[order] for x in source.dataset))
  return source._replace(dataset=dataset, num_train=int((~out).sum()),
                         row=source.row[order])


def corrupted(source: Source, share: float, seed: int
              ) -> tuple[Source, np.ndarray]:
  """Gives a share of the training examples a wrong label.

  Args:
    source: with true labels.
    share: in `[0, 1]`.
    seed: of the draw of examples and of labels, uniform over the others.

  Returns:
    `(source, rows)`: the rows whose label is wrong, sorted.

  Raises:
    ValueError: if `share` is out of range, or there is one class only.
  """
  trees.check_range('corrupt', share, 0, 1)
  count, classes = round(share * source.num_train), len(source.classes)
  if count and classes < 2:
    raise ValueError(f'Expected two classes to confuse, found {classes}.')
  rng = np.random.default_rng(seed)
  rows = np.sort(rng.permutation(source.num_train)[:count])
  label = source.dataset.label.copy()
  shift = rng.integers(1, max(classes, 2), count)
  label[rows] = (label[rows] + shift) % classes
  return source._replace(dataset=source.dataset._replace(label=label)), rows
