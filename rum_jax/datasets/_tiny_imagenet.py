"""Reads Tiny-ImageNet from its unpacked archive."""

from __future__ import annotations

import os
import pathlib

import numpy as np

from rum_jax.datasets import decoded, pictures
from rum_jax.datasets.sources import Source, from_arrays, joined

_NAME = 'tiny-imagenet-200'
_ADDRESS = f'http://cs231n.stanford.edu/{_NAME}.zip'


def tiny_imagenet(data_dir: str | os.PathLike[str]) -> Source:
  """The 200 classes of Tiny-ImageNet (64×64); the validation part is held out.

  The published test part has no labels. So the validation part is held out in
  its place, as in the released code. Grey images become RGB.

  Classes are sorted by WordNet id; `wnids.txt` lists the ids unsorted. Training
  examples are sorted by class, and within a class by the number in the file
  name (2 before 10). Held-out examples are sorted by that number.

  The decoded images are kept in `<data_dir>/tiny-imagenet-200.decoded`, if that
  file can be written. Later calls read that file, as long as no file of the
  data set changes.

  Args:
    data_dir: the folder where the archive was unpacked; it holds
      `tiny-imagenet-200`.

  Returns:
    The source, with images `[110000, 64, 64, 3]`. The name of a class is the
    first of its words in `words.txt`.

  Raises:
    FileNotFoundError: if the data set is missing; the message says how to get
      it.
    ValueError: if a file is missing or damaged; the message names the file.

  References:
    Le and Yang, Tiny ImageNet visual recognition challenge, 2015.
  """
  folder = pathlib.Path(data_dir) / _NAME
  if not (folder / 'wnids.txt').exists():
    raise FileNotFoundError(
        f'No {folder / "wnids.txt"}. To get it: curl -LO {_ADDRESS} && unzip '
        f"-q {_NAME}.zip -d '{data_dir}'")
  return decoded.cached(folder, lambda: _decode(folder))


def _decode(folder: pathlib.Path) -> Source:
  wnids = sorted(_lines(folder / 'wnids.txt'))
  if not wnids:
    raise ValueError(f'Expected {folder / "wnids.txt"} to list classes, found '
                     'none.')
  words = _words(folder / 'words.txt')
  classes = tuple(words.get(x, x).split(',')[0] for x in wnids)
  inside = [_numbered(folder / 'train' / x / 'images', x) for x in wnids]
  for wnid, files in zip(wnids, inside):
    if not files or len(files) != len(inside[0]):
      raise ValueError(f'Expected {folder / "train" / wnid} to hold as many '
                       f'images as {wnids[0]}, {len(inside[0])}, found '
                       f'{len(files)}.')
  train = from_arrays(
      pictures.decode([x for files in inside for x in files]),
      np.repeat(np.arange(len(wnids)), len(inside[0])), _NAME, classes)
  outside, label = _annotated(folder / 'val', wnids)
  return joined(train, from_arrays(
      pictures.decode(outside), label, _NAME, classes))


def _annotated(folder: pathlib.Path, wnids: list[str]
               ) -> tuple[list[pathlib.Path], np.ndarray]:
  """Files of the validation part and their labels."""
  path = folder / 'val_annotations.txt'
  fields = [line.split('\t') for line in _lines(path)]
  named = {x[0]: x[1] for x in fields if len(x) > 1 and x[1] in wnids}
  files = _numbered(folder / 'images', 'val')
  if len(fields) != len(files):
    raise ValueError(f'Expected {path} to list the {len(files)} images beside '
                     f'it, found {len(fields)} lines.')
  for file in files:
    if file.name not in named:
      raise ValueError(f'Expected {path} to give {file.name} a class of '
                       'wnids.txt, found none.')
  return files, np.array([wnids.index(named[x.name]) for x in files], int)


def _words(path: pathlib.Path) -> dict[str, str]:
  """WordNet id to its words."""
  fields = [line.split('\t', 1) for line in _lines(path)]
  for x in fields:
    if len(x) != 2:
      raise ValueError(f'Expected {path} to list ids and words, found {x[0]}.')
  return dict(fields)


def _lines(path: pathlib.Path) -> list[str]:
  try:
    return path.read_text().splitlines()
  except (OSError, ValueError) as error:
    raise ValueError(f'Expected {path} to be a text file: {error}.') from error


def _numbered(folder: pathlib.Path, prefix: str) -> list[pathlib.Path]:
  """The paths `<prefix>_0.JPEG`, `<prefix>_1.JPEG` …, one for each file."""
  count = len(list(folder.glob('*.JPEG')))
  return [folder / f'{prefix}_{i}.JPEG' for i in range(count)]
