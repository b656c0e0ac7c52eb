"""Reads folders of images with a subfolder for each class."""

from __future__ import annotations

import hashlib
import os
import pathlib

import numpy as np

from rum_jax.datasets import decoded, pictures
from rum_jax.datasets.errors import DataError, listed
from rum_jax.datasets.sources import Source, from_arrays, joined
from rum_jax.datasets.splits import hold_out

_TESTS = ('test', 'val', 'valid', 'validation')
Files = list[tuple[str, pathlib.Path]]  # Class and path of each image.


def from_folder(folder: str | os.PathLike[str], *,
                size: int | tuple[int, int] | None = None,
                test_share: float = 0.2, seed: int = 0,
                cache: str | os.PathLike[str] | None = None) -> Source:
  """Reads a folder of images in which each class has a folder.

  There are two layouts. Either `<folder>/<class>/…` holds all images, and a
  share of each class is held out. Or `<folder>/train/<class>/…` holds the
  images for training, and `<folder>/test/<class>/…` (or `val`, `valid`,
  `validation`) those held out; classes may be missing from the latter.

  Classes and rows are in the order of torchvision's ImageFolder: sorted class
  names and, within a class, sorted paths. `files` of the source holds the name
  of each row's file. Names that start with a dot are ignored. Images have one
  channel if all of them are grey, and three channels otherwise. Transparency is
  dropped, and the orientation that a camera recorded is ignored.

  Images are decoded once and kept in a file. Later calls read that file, as
  long as no file inside the folder changes. The file holds the pixels of all
  images, also of those that are forgotten later; `decoded_path` is its path.

  Args:
    folder: the folder of the images.
    size: `(H, W)`, or one number for both. Images of other sizes are scaled
      until they cover this size, and cut at the centre. By default all images
      must be of one size.
    test_share: the share of each class that is held out, in `[0, 1)`, where
      there is no `train` inside; 0 holds none out.
    seed: the seed of the draw.
    cache: the folder in which decoded images are kept, outside of `folder`; by
      default the parent of `folder`.

  Returns:
    The source, with images `[N, H, W, C]` and C = 1 or 3.

  Raises:
    FileNotFoundError: if there is no such folder.
    DataError: if there is no class with images; if a file is no image; if
      images differ in size and `size` is not given; or if a class of the test
      part has no training image. The message names the file or the class.
    ValueError: if `size` or `test_share` is out of range.
  """
  root = pathlib.Path(folder).resolve()
  if not root.is_dir():
    raise FileNotFoundError(f'There is no folder {folder}.')
  height_width = _size(size)
  place = decoded_path(root, size=size, cache=cache)
  if place.is_relative_to(root):
    raise DataError(f'Expected cache={cache} to lie outside of {root}.',
                    'cache', str(cache))
  if cache is not None:
    place.parent.mkdir(parents=True, exist_ok=True)
  source = decoded.cached(
      root, lambda: _decode(root, height_width), place=place,
      variant=f' size={height_width}')
  if len(source.test) or test_share == 0:
    return source
  return hold_out(source, test_share, seed, part='test')


def decoded_path(folder: str | os.PathLike[str], *,
                 size: int | tuple[int, int] | None = None,
                 cache: str | os.PathLike[str] | None = None) -> pathlib.Path:
  """The file in which `from_folder` keeps the decoded images.

  Args:
    folder: the folder of the images.
    size: as `from_folder` takes it.
    cache: as `from_folder` takes it.

  Raises:
    ValueError: if `size` is out of range.
  """
  root, size = pathlib.Path(folder).resolve(), _size(size)
  parts = [root.name]
  if cache is not None:  # Folders of the same name may share a cache.
    parts.append(hashlib.sha256(str(root).encode()).hexdigest()[:12])
  if size is not None:
    parts.append('{}x{}'.format(*size))
  where = root.parent if cache is None else pathlib.Path(cache).resolve()
  return where / ('-'.join(parts) + '.decoded')


def _size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
  if size is None:
    return None
  pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
  if len(pair) != 2 or any(
      isinstance(x, bool) or not isinstance(x, (int, np.integer)) or x < 1
      for x in pair):
    raise DataError(f'Expected size={size} to be a whole number of at least 1, '
                    'or two, (H, W).', 'size', size)
  return int(pair[0]), int(pair[1])


def _decode(root: pathlib.Path, size: tuple[int, int] | None) -> Source:
  """The source of all images, without a test part if there is no `train`."""
  classes = _classes(root / 'train') if (root / 'train').is_dir() else []
  inside = root / 'train' if classes else root
  classes = classes or _classes(root)
  if not classes:
    raise DataError(f'Expected {root} to hold a folder for each class, with '
                    f'images in it ({", ".join(pictures.SUFFIXES)}), found '
                    'none.', 'folder', str(root))
  parts, notes = [_files(inside, classes)], []
  for k in classes:
    if k not in {name for name, _ in parts[0]}:
      raise DataError(f'Expected {inside / k} to hold images, found none.',
                      'folder', str(inside / k))
  if inside != root:
    tests = [x for x in _TESTS if (root / x).is_dir()]
    if not tests:
      raise DataError(f'Expected {root} to hold test beside train, found none '
                      f'of {", ".join(_TESTS)}.', 'folder', str(root))
    notes += [f'{root / x} is not read: {tests[0]} is the test part.'
              for x in tests[1:]]
    parts.append(_test_files(root / tests[0], classes))
  channels, said = _agreed([path for part in parts for _, path in part], size)
  notes += [*said, *_ignored(inside, parts[0])]
  sources = [
      from_arrays(pictures.decode([path for _, path in part], channels, size),
                  np.array([classes.index(k) for k, _ in part]), root.name,
                  tuple(classes)) for part in parts]
  source = joined(*sources) if len(sources) > 1 else sources[0]
  names = tuple(path.relative_to(root).as_posix() for _, path in parts[0])
  return source._replace(notes=tuple(notes), files=names)


def _classes(folder: pathlib.Path) -> list[str]:
  return sorted(x.name for x in folder.iterdir()
                if x.is_dir() and not x.name.startswith('.'))


def _files(folder: pathlib.Path, classes: list[str]) -> Files:
  """Images of all classes in order, including those in subfolders."""
  found: Files = []
  for name in classes:
    found += [(name, path) for path in _inside(folder / name)
              if path.name.lower().endswith(pictures.SUFFIXES)]
  return found


def _inside(folder: pathlib.Path) -> list[pathlib.Path]:
  """All files in a folder and its subfolders that are not hidden."""
  return [
      pathlib.Path(place, x)
      for place, _, names in sorted(os.walk(folder, followlinks=True))
      if not any(part.startswith('.')
                 for part in pathlib.Path(place).relative_to(folder).parts)
      for x in sorted(names) if not x.startswith('.')]


def _test_files(folder: pathlib.Path, classes: list[str]) -> Files:
  found = _files(folder, _classes(folder))
  for name, path in found:
    if name not in classes:
      raise DataError(f'Expected {path} to be of a class of the training part '
                      f'({listed(classes)}), found {name}.', 'folder', name)
  if not found:
    raise DataError(f'Expected {folder} to hold a folder for each class, with '
                    'images in it, found none.', 'folder', str(folder))
  return found


def _agreed(files: list[pathlib.Path], size: tuple[int, int] | None
            ) -> tuple[int, list[str]]:
  """The number of channels of all images, and notes.

  Raises:
    DataError: if images differ in size and `size` is `None`.
  """
  headers = [pictures.read_header(path) for path in files]
  first, others = headers[0], 0
  for path, x in zip(files, headers):
    if size is None and x[:2] != first[:2]:
      raise DataError(
          f'Expected all images to be of one size, found {x.height}×{x.width} '
          f'in {path} and {first.height}×{first.width} in {files[0]}: give a '
          'size to have them scaled.', 'size', str(path))
    others += size is not None and x[:2] != size
  notes = []
  if size is not None and others:
    notes.append(f'{others:,} of {len(files):,} images were scaled and cut to '
                 '{}×{}.'.format(*size))
  grey = sum(x.grey for x in headers)
  if 0 < grey < len(files):
    notes.append(f'{grey:,} of {len(files):,} images are grey: they were read '
                 'as colour, like the others.')
  transparent = sum(x.transparent for x in headers)
  if transparent:
    notes.append(f'{transparent:,} of {len(files):,} images have transparency: '
                 'it was dropped.')
  return (1 if grey == len(files) else 3), notes


def _ignored(folder: pathlib.Path, files: Files) -> list[str]:
  """A note on the files that are not images of a class."""
  known = {path for _, path in files}
  others = [x for x in _inside(folder) if x not in known]
  return [f'{len(others):,} files are no images of a class and are not read: '
          f'{listed(others, 3)}.'] if others else []
