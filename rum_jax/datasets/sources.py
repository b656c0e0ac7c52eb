"""Labelled images with their parts, class names and published rows."""

from __future__ import annotations

from collections.abc import Sequence
import os
from typing import Any, NamedTuple
import zipfile
import zlib

import numpy as np

from rum_jax.datasets import arrays, classes as class_numbers
from rum_jax.datasets.errors import DataError
from rum_jax.types import Images


class Source(NamedTuple):
  """A data set, its parts, and the names of its classes.

  Attributes:
    dataset: images and labels of all parts together (NumPy arrays). Training
      examples come first, in their original order, then held-out examples.
    num_train: the number of training examples.
    row: `[N]`, the index of each example in its published part.
    classes: the names of the K classes.
    name: the name of the data set.
    notes: the changes that were made when the data were read, as sentences.
    files: `[P]` names of the files of the published training part, by row;
      empty if images have no files of their own.
    apart: parts that are not trained on, by name, with their published training
      rows: `(('validation', rows), ('sample', rows))`. `sample` holds the rows
      that were left out when a sample was drawn.
  """

  dataset: Images
  num_train: int
  row: np.ndarray
  classes: tuple[str, ...]
  name: str
  notes: tuple[str, ...] = ()
  files: tuple[str, ...] = ()
  apart: tuple[tuple[str, np.ndarray], ...] = ()

  @property
  def train(self) -> np.ndarray:
    """Positions of the training examples."""
    return np.arange(self.num_train, dtype=np.int32)

  @property
  def test(self) -> np.ndarray:
    """Positions of the held-out examples."""
    return np.arange(self.num_train, len(self.dataset.label), dtype=np.int32)


def from_arrays(image: np.ndarray, label: np.ndarray, name: str,
                classes: tuple[str, ...] = ()) -> Source:
  """A source without a held-out part, from arrays that are checked.

  Arrays are not converted here; `from_parts` accepts more forms.

  Args:
    image: `[N, H, W, C]` whole numbers in `[0, 255]`; uint8 is not copied.
    label: `[N]` whole numbers in `[0, K)`.
    name: the name of the data set.
    classes: K names; by default the numbers that occur, up to the largest.

  Raises:
    ValueError: if an array has the wrong shape, an image holds NaN or a value
      out of range, or a label is out of range; the message names the row.
  """
  image, label = np.asarray(image), np.asarray(label)
  if image.ndim != 4 or label.shape != image.shape[:1]:
    raise DataError('Expected image [N, H, W, C] and label [N], found '
                    f'{image.shape} and {label.shape}.', 'image', image.shape)
  if arrays.channels_first(image.shape):
    raise DataError(
        f'Expected image [N, H, W, C], found {image.shape}, which looks like '
        '[N, C, H, W]: np.moveaxis(image, 1, -1) turns it.', 'image',
        image.shape)
  if not len(label):
    raise DataError(f'Expected data set {name} to hold examples, found none.',
                    'image', 0)
  if label.dtype.kind not in 'buif':
    raise DataError('Expected label to hold whole numbers, found values of '
                    f'type {label.dtype}.', 'label', str(label.dtype))
  arrays.check_pixels('image', image)
  arrays.check_values('label', label, np.isfinite(label), 'finite labels')
  classes = classes or tuple(map(str, range(int(label.max()) + 1)))
  arrays.check_values(
      'label', label,
      (label >= 0) & (label < len(classes)) & (label == np.floor(label)),
      f'labels to be whole numbers in [0, {len(classes)})')
  rows = np.arange(len(label))
  dataset = Images(image.astype(np.uint8, copy=False), label.astype(np.int32))
  return Source(dataset, len(label), rows, classes, name)


def from_parts(x_train: Any, y_train: Any, x_test: Any, y_test: Any, name: str,
               class_names: Any = ()) -> Source:
  """A source from a person's own arrays, which are converted and checked.

  Images may be `[N, H, W, C]`, `[N, C, H, W]` with one or three channels, or
  `[N, H, W]`; labels may be whole numbers from 0 or from elsewhere, words,
  booleans, floats that are whole, a column `[N, 1]`, or one-hot `[N, K]`.
  `notes` of the source describe the changes. The classes are those of the
  training part; the test part may lack some of them.

  Args:
    x_train: images of the training part, whole numbers in `[0, 255]`.
    y_train: `[N]` labels of the training part.
    x_test: images of the test part.
    y_test: labels of the test part.
    name: the name of the data set.
    class_names: K names in the order of the classes, or none.

  Raises:
    DataError: if an array has none of these forms; the message names the array
      and the value.
    ValueError: if the images of the two parts differ in shape.
  """
  sources, notes = [], []
  known = None
  for part, x, y in (('train', x_train, y_train), ('test', x_test, y_test)):
    image, said = arrays.images(f'x_{part}', x)
    labels = arrays.labels(f'y_{part}', y)
    if len(image) != len(labels.values):
      raise DataError(
          f'Expected as many images as labels, found {len(image)} in x_{part} '
          f'and {len(labels.values)} in y_{part}.', f'y_{part}',
          len(labels.values))
    if not len(image):
      raise DataError(f'Expected x_{part} to hold images, found none.',
                      f'x_{part}', 0)
    notes += [*said, *labels.notes]
    if known is None:
      known = class_numbers.classes_of('y_train', labels, class_names)
      notes += known.notes
    label = class_numbers.numbers_of(f'y_{part}', labels, known)
    if part == 'train':
      notes += class_numbers.note_missing(label, known.names)
    sources.append(from_arrays(image, label, name, known.names))
  return joined(*sources)._replace(notes=tuple(notes))


def without_test(source: Source) -> Source:
  """The source of the training examples only, without a held-out part."""
  train = slice(0, source.num_train)
  return source._replace(
      dataset=Images(*(x[train] for x in source.dataset)),
      row=source.row[train])


def with_classes(source: Source, names: Sequence[str]) -> Source:
  """The same examples, their labels numbered in another order of the classes.

  Args:
    source: the data set.
    names: the names of all classes of a network, in the order of its outputs.
      Some of these classes may have no examples.

  Raises:
    DataError: if a name is there twice, or a class of the data is not named.
  """
  names = tuple(map(str, names))
  for name in names:
    if names.count(name) > 1:
      raise DataError(f'Expected every class once, found {name} twice.',
                      'classes', name)
  for name in source.classes:
    if name not in names:
      raise DataError(f'Expected classes={",".join(names)} to name all classes '
                      f'of {source.name}, found no {name}.', 'classes', name)
  number = np.array([names.index(x) for x in source.classes], np.int32)
  dataset = source.dataset._replace(label=number[source.dataset.label])
  return source._replace(dataset=dataset, classes=names)


def with_channels(source: Source, channels: int) -> Source:
  """Turns grey images into images of three equal channels, and notes it.

  Args:
    source: the data set.
    channels: the number of channels that the network takes.

  Returns:
    The source itself, where its images are not grey or three are not wanted.
  """
  image = source.dataset.image
  if image.shape[-1] != 1 or channels != 3:
    return source
  return source._replace(
      dataset=source.dataset._replace(image=np.repeat(image, 3, -1)),
      notes=(*source.notes, 'The images are grey and the network takes colour: '
             'the one channel was given three times.'))


def joined(train: Source, test: Source) -> Source:
  """A source that trains on one source and holds out the other.

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
  dataset = Images(*map(np.concatenate, zip(train.dataset, test.dataset)))
  row = np.concatenate([train.row, test.row])
  notes = tuple(dict.fromkeys((*train.notes, *test.notes)))
  return train._replace(dataset=dataset, row=row, notes=notes)


def from_npz(path: str | os.PathLike[str], name: str, *,
             needs_test: bool = True) -> Source:
  """Reads `x_train`, `y_train`, `x_test`, `y_test`, and `class_names` if given.

  Args:
    path: the path of the file.
    name: the name of the data set.
    needs_test: whether a file without a test part is refused. If not, both
      `x_test` and `y_test` may be missing, and nothing is held out.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if it is no npz file, if an array is missing, or if `from_parts`
      refuses an array.
  """
  wanted = ('x_train', 'y_train', 'x_test', 'y_test')
  arrays: dict[str, np.ndarray] = {}
  key: str = ''
  try:
    with np.load(path, allow_pickle=False) as file:
      for key in (*wanted, 'class_names'):
        if key in file:
          arrays[key] = file[key]
  except (TypeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error
          ) as error:
    at = f' ({key})' if key else ''
    raise DataError(
        f'Expected {path} to be an npz file of arrays{at}: {error}.',
        key or 'path', str(path)) from error
  whole = not needs_test and not {'x_test', 'y_test'} & {*arrays}
  if whole and {'x_train', 'y_train'} <= {*arrays}:
    arrays |= {'x_test': arrays['x_train'], 'y_test': arrays['y_train']}
  missing = [key for key in wanted if key not in arrays]
  if missing:
    raise DataError(f'Expected {path} to hold {missing[0]}.', missing[0])
  try:
    x_train, y_train, x_test, y_test = (arrays[x] for x in wanted)
    source = from_parts(x_train, y_train, x_test, y_test, name,
                        arrays.get('class_names', ()))
    return without_test(source) if whole else source
  except DataError as error:
    raise error.within(str(path)) from error
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error
