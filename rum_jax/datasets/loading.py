"""Loads any data set by its name or its path."""

from __future__ import annotations

from collections.abc import Callable
import functools
import os
import pathlib

import numpy as np

from rum_jax.datasets import tfds
from rum_jax.datasets._digits import digits
from rum_jax.datasets._tiny_imagenet import tiny_imagenet
from rum_jax.datasets.cifar import archive_of, from_cifar, is_cifar
from rum_jax.datasets.errors import DataError
from rum_jax.datasets.folders import from_folder
from rum_jax.datasets.sources import Source, from_npz

KINDS = ('an npz file, a folder with a folder of images for each class, the '
         'binary archive of CIFAR (.tar.gz, or its folder), digits, '
         f'tiny_imagenet, {", ".join(tfds.NAMES)}')


def load(data: str | os.PathLike[str], data_dir: str | os.PathLike[str] = '.',
         *, size: int | tuple[int, int] | None = None,
         test_share: float | None = None,
         cache: str | os.PathLike[str] | None = None,
         needs_test: bool = True) -> Source:
  """Reads a data set by its name or its path, and checks that it is usable.

  A name is looked for as `<data_dir>/<name>.npz`, then as a path, then inside
  `data_dir`. There, `cifar10` and `cifar100` may also be binary archives.
  `digits` needs no file.

  Args:
    data: the name or the path of a data set of one of the `KINDS`.
    data_dir: the folder of the data sets that are given by a name.
    size: only for a folder of images, as `from_folder` takes it.
    test_share: only for a folder of images, as `from_folder` takes it.
    cache: only for a folder of images, as `from_folder` takes it.
    needs_test: whether there must be a held-out part. If not, it is left empty
      where a folder of images has no `test` and `test_share` is not given, or
      an npz file has no `x_test`.

  Returns:
    The source. Its `notes` describe the changes that were made, and should be
    printed.

  Raises:
    FileNotFoundError: if there is no such data set. For a published data set,
      the message says how to get it.
    ValueError: if the data set is not valid; if `check_informative` refuses it;
      or if `size`, `test_share` or `cache` is given and the data set is no
      folder of images. The message names the value.
  """
  name, path = os.fspath(data), _found(data, data_dir)
  own = {'size': size, 'test_share': test_share, 'cache': cache}
  own = {k: v for k, v in own.items() if v is not None}
  reader = _reader(name, path, data_dir, needs_test)
  if isinstance(reader, pathlib.Path):
    if test_share is None and not needs_test:
      test_share = 0.0
    read = from_folder if test_share is None else functools.partial(
        from_folder, test_share=test_share)
    source = read(reader, size=size, cache=cache)
  elif own:
    k, v = next(iter(own.items()))
    raise DataError(f'{k}={v} is for folders of images only, and data={name} '
                    'is no such folder.', k, v)
  else:
    source = reader()
  check_informative(source)
  return source


def check_informative(source: Source) -> None:
  """Refuses training examples on which forgetting cannot be studied.

  Args:
    source: the data set, as it will be trained on.

  Raises:
    DataError: if all training examples are of one class, or all images are
      equal.
  """
  label = source.dataset.label[:source.num_train]
  present = np.unique(label)
  if len(present) < 2:
    called = source.classes[present[0]]
    raise DataError(
        f'Expected training examples of at least two classes in {source.name}, '
        f'found {called} only ({len(label):,} examples): nothing can be shown '
        'on them.', 'label', called)
  images = source.dataset.image[:source.num_train]
  if all(np.array_equal(x, images[0]) for x in images[1:]):
    raise DataError(
        f'Expected training images of {source.name} to differ, found all '
        f'{len(images):,} equal: nothing can be shown on them.', 'image',
        len(images))


def _found(data: str | os.PathLike[str], data_dir: str | os.PathLike[str]
           ) -> pathlib.Path | None:
  """The path of a data set, or `None` if nothing is found."""
  if not os.fspath(data):
    raise DataError(f'Expected data to be {KINDS}, found nothing.', 'data', '')
  inside = pathlib.Path(data_dir, data)
  places = (pathlib.Path(data_dir, f'{os.fspath(data)}.npz'),
            pathlib.Path(data), inside)
  return next((x for x in places if x.exists()), None)


def _reader(name: str, path: pathlib.Path | None,
            data_dir: str | os.PathLike[str], needs_test: bool
            ) -> Callable[[], Source] | pathlib.Path:
  """A function that reads the data set, or the path of a folder of images."""
  if name == 'digits':
    return digits
  if path is not None and path.is_file():
    if path.suffix == '.npz':
      return lambda: from_npz(str(path), path.stem, needs_test=needs_test)
    if is_cifar(path):
      return lambda: from_cifar(path)
    raise DataError(f'Expected data={name} to be {KINDS}; found the file '
                    f'{path}.', 'data', name)
  if path is not None:
    path = path.resolve()
    if path.name in tfds.NAMES and list(path.glob('*/dataset_info.json')):
      return lambda: tfds.from_tfds(path.name, path.parent)
    if (path / 'wnids.txt').exists() and path.name == 'tiny-imagenet-200':
      return lambda: tiny_imagenet(path.parent)
    return (lambda: from_cifar(path)) if is_cifar(path) else path
  if name == 'tiny_imagenet':
    return lambda: tiny_imagenet(data_dir)
  archive = archive_of(name, data_dir)
  if archive is not None:
    return lambda: from_cifar(archive)
  if name in tfds.NAMES:
    return lambda: tfds.from_tfds(name, data_dir)
  raise FileNotFoundError(f'There is no data={name}, neither at this path nor '
                          f'in {data_dir}: give {KINDS}.')
