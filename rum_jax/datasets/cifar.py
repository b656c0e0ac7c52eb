"""Reads CIFAR-10 and CIFAR-100 from the binary version of their archives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import os
import pathlib
import tarfile
from typing import NamedTuple
import zlib

import numpy as np

from rum_jax.datasets.errors import DataError
from rum_jax.datasets.sources import Source, from_arrays, joined

_PIXELS = 3 * 32 * 32
_PUBLISHED = 50_000
_ADVICE = ('Take the binary version: '
           'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz or '
           'https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz.')


class _Layout(NamedTuple):
  """Names of files, and how many bytes of labels precede each image."""

  name: str
  archive: str
  folder: str
  train: tuple[str, ...]
  test: tuple[str, ...]
  meta: str
  width: int  # Labels of an image, in bytes; the last is the class.
  classes: int

  @property
  def parts(self) -> tuple[str, ...]:
    return (*self.train, *self.test)


_LAYOUTS = (
    _Layout('cifar10', 'cifar-10-binary.tar.gz', 'cifar-10-batches-bin',
            tuple(f'data_batch_{i}.bin' for i in range(1, 6)),
            ('test_batch.bin',), 'batches.meta.txt', 1, 10),
    _Layout('cifar100', 'cifar-100-binary.tar.gz', 'cifar-100-binary',
            ('train.bin',), ('test.bin',), 'fine_label_names.txt', 2, 100))
_PARTS = {x for layout in _LAYOUTS for x in layout.parts}
_READ = _PARTS | {layout.meta for layout in _LAYOUTS}
_OTHER_FILES = {'data_batch_1', 'batches.meta', 'data_batch_1.mat', 'train.mat'}
_OTHER_FOLDERS = ('-python', '-batches-py', '-matlab', '-batches-mat')


def is_cifar(path: str | os.PathLike[str]) -> bool:
  """Whether a path is a tar archive, or a folder with files of CIFAR.

  This includes the versions that `from_cifar` refuses.
  """
  path = pathlib.Path(path)
  if not path.is_dir():
    return path.name.endswith(('.tar.gz', '.tgz', '.tar'))
  names = _names(path)
  folders = {layout.folder for layout in _LAYOUTS}
  return bool(names & (_PARTS | folders)) or _is_other({path.name, *names})


def archive_of(name: str, data_dir: str | os.PathLike[str]
               ) -> pathlib.Path | None:
  """The published archive of a data set, or its folder; `None` if missing.

  Args:
    name: `cifar10` or `cifar100`; other data sets have no such archive.
    data_dir: the folder to look in.
  """
  places = [pathlib.Path(data_dir, x) for layout in _LAYOUTS
            if layout.name == name for x in (layout.folder, layout.archive)]
  return next((x for x in places if x.exists()), None)


def from_cifar(path: str | os.PathLike[str]) -> Source:
  """CIFAR-10 or CIFAR-100 from the binary version of its published archive.

  Rows are in the published order, which is that of `data_batch_1.bin` to
  `data_batch_5.bin`, or of `train.bin`. The labels of CIFAR-100 are the fine
  ones. Neither TensorFlow nor PyTorch is needed, and nothing is unpickled.

  Args:
    path: `cifar-10-binary.tar.gz` or `cifar-100-binary.tar.gz`; or the folder
      that it unpacks to (`cifar-10-batches-bin`, `cifar-100-binary`); or a
      folder that holds this folder.

  Returns:
    The source, with images `[60000, 32, 32, 3]` and the test part held out.

  Raises:
    FileNotFoundError: if there is no such path.
    DataError: if it is the pickled Python version or the one for MATLAB, or if
      a file is missing, truncated or altered; the message names the file, or
      the version to use.

  References:
    Krizhevsky, Learning multiple layers of features from tiny images, 2009.
  """
  path = pathlib.Path(path)
  if not path.exists():
    raise FileNotFoundError(f'There is no {path}.')
  found, names = (_of_folder if path.is_dir() else _of_archive)(path)
  for layout in _LAYOUTS:
    if set(found) & set(layout.parts):
      return _source(path, layout, found)
  if _is_other({path.name, *names}):
    raise DataError(
        f'{path} holds the pickled python version of CIFAR, or the one for '
        f'MATLAB; nothing is unpickled here. {_ADVICE}', 'path', str(path))
  raise DataError(
      f'Expected {path} to hold the binary version of CIFAR (data_batch_1.bin '
      f'… or train.bin), found no such file. {_ADVICE}', 'path', str(path))


def _source(path: pathlib.Path, layout: _Layout, found: Mapping[str, bytes]
            ) -> Source:
  """The source of both parts, from the contents of the files."""
  for file in layout.parts:
    if file not in found:
      raise DataError(f'Expected {path} to hold {file}, as the published '
                      f'archive of {layout.name} does.', 'path', file)
  notes = []
  classes = tuple(found.get(layout.meta, b'').decode().split())
  if not classes:
    classes = tuple(map(str, range(layout.classes)))
    notes.append(f'{path} holds no {layout.meta}: classes are called by their '
                 'numbers.')
  try:
    train, test = (
        from_arrays(*_images(path, found, part, layout.width), layout.name,
                    classes) for part in (layout.train, layout.test))
  except DataError as error:
    raise error.within(str(path)) from error
  if train.num_train != _PUBLISHED:
    notes.append(f'{path} holds {train.num_train:,} training images; '
                 f'{layout.name} was published with {_PUBLISHED:,}.')
  return joined(train, test)._replace(notes=tuple(notes))


def _images(path: pathlib.Path, found: Mapping[str, bytes],
            files: Iterable[str], width: int
            ) -> tuple[np.ndarray, np.ndarray]:
  """Images `[N, 32, 32, 3]` and labels `[N]` of some files, in their order."""
  images, labels, size = [], [], 0
  for file in files:
    raw = found[file]
    if not raw or len(raw) % (width + _PIXELS):
      raise DataError(
          f'Expected {file} to hold records of {width + _PIXELS} bytes, found '
          f'{len(raw)} bytes: it is truncated or of another kind.', 'path',
          file)
    size = size or len(raw)
    if len(raw) != size:
      raise DataError(
          f'Expected {file} to hold {size} bytes as the batches before it do, '
          f'found {len(raw)}: the rows after it would be counted wrongly.',
          'path', file)
    records = np.frombuffer(raw, np.uint8).reshape(-1, width + _PIXELS)
    labels.append(records[:, width - 1])
    planes = records[:, width:].reshape(-1, 3, 32, 32)
    images.append(np.ascontiguousarray(np.moveaxis(planes, 1, -1)))
  return np.concatenate(images), np.concatenate(labels)


def _of_folder(path: pathlib.Path) -> tuple[dict[str, bytes], set[str]]:
  """Contents of the files of CIFAR, and the names of all files beside them."""
  if not _names(path) & _PARTS:
    inner = [path / layout.folder for layout in _LAYOUTS
             if (path / layout.folder).is_dir()]
    if len(inner) > 1:
      raise DataError(f'{path} holds both {inner[0].name} and {inner[1].name}: '
                      'name one of them.', 'path', str(path))
    path = (*inner, path)[0]
  names = _names(path)
  return {x: (path / x).read_bytes() for x in sorted(names & _READ)}, names


def _of_archive(path: pathlib.Path) -> tuple[dict[str, bytes], set[str]]:
  found, names = {}, set()
  try:
    with tarfile.open(path) as archive:
      for member in archive:
        *_, name = parts = pathlib.PurePosixPath(member.name).parts or ('',)
        names.update(parts)
        file = archive.extractfile(member) if name in _READ else None
        if file is not None:
          found[name] = file.read()
      while archive.fileobj.read(1 << 20):
        pass  # Gzip compares its checksum only at the end of the file.
  except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
    raise DataError(f'Expected {path} to be an archive of CIFAR, found it '
                    f'truncated or of another kind: {error}.', 'path',
                    str(path)) from error
  return found, names


def _names(path: pathlib.Path) -> set[str]:
  return {x.name for x in path.iterdir()}


def _is_other(names: set[str]) -> bool:
  return bool(names & _OTHER_FILES) or any(
      x.startswith('cifar-10') and x.endswith(_OTHER_FOLDERS) for x in names)
