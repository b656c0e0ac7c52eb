"""Reads data sets that TFDS prepared, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
import io
import json
import os
import pathlib
import re
from typing import Any

import numpy as np

from rum_jax.datasets import decoded
from rum_jax.datasets.sources import Source, from_arrays, joined

NAMES = ('cifar10', 'cifar100', 'svhn_cropped', 'mnist', 'fashion_mnist')
_WITH_ID = ('cifar10', 'cifar100')


def from_tfds(name: str, data_dir: str | os.PathLike[str]) -> Source:
  """A data set that TFDS prepared as ArrayRecord files, its test part held out.

  TFDS shuffles the examples, but published scores are in the published order.
  So the examples of CIFAR are sorted back into that order by their `id`. The
  labels of CIFAR-100 are the fine ones. The other data sets have no `id`. They
  keep the order of their records, which is the same wherever TFDS prepared
  them, and `row` counts in that order.

  The newest version is read. The decoded images are kept in
  `<data_dir>/<name>/<version>.decoded`, if that file can be written. Later
  calls read that file, as long as no file of the version changes.

  Args:
    name: `cifar10`, `cifar100`, `svhn_cropped`, `mnist` or `fashion_mnist`.
    data_dir: the folder in which TFDS prepared it.

  Returns:
    The source, with the test part held out.

  Raises:
    FileNotFoundError: if the data set is not prepared; the message says how to
      prepare it.
    ValueError: if the name is unknown, or if a file was truncated or altered or
      holds a wrong number of records; the message names the file.

  References:
    Krizhevsky, Learning multiple layers of features from tiny images, 2009.
    Netzer et al., Reading digits in natural images with unsupervised feature
    learning, 2011.
    LeCun et al., Gradient-based learning applied to document recognition, 1998.
    Xiao, Rasul and Vollgraf, Fashion-MNIST, 2017.
  """
  if name not in NAMES:
    raise ValueError(
        f'Expected name={name} to be one of {", ".join(NAMES)}.')
  folder = _newest(name, pathlib.Path(data_dir))
  return decoded.cached(folder, lambda: _decode(name, folder))


def _newest(name: str, data_dir: pathlib.Path) -> pathlib.Path:
  """The folder of the newest version with ArrayRecord files."""
  versions, others = {}, ''
  for path in data_dir.glob(f'{name}/*/dataset_info.json'):
    folder = path.parent
    if re.fullmatch(r'\d+\.\d+\.\d+', folder.name):
      file_format = _load_info(path).get('fileFormat')
      if file_format == 'array_record':
        versions[tuple(map(int, folder.name.split('.')))] = folder
      else:
        others = f' ({folder} holds {file_format}: name another folder)'
  if not versions:
    raise FileNotFoundError(
        f'No ArrayRecord files of {name} in {data_dir}{others}. To prepare '
        "them once: pip install -e '.[prepare]' && python -c \"import "
        f"tensorflow_datasets as tfds; tfds.builder('{name}', "
        f"file_format='array_record', data_dir='{data_dir}')"
        '.download_and_prepare()"')
  return versions[max(versions)]


def _load_info(path: pathlib.Path) -> dict[str, Any]:
  try:
    return dict(json.loads(path.read_text()))
  except (TypeError, ValueError) as error:
    raise ValueError(_damage(path, error)) from error


def _damage(path: pathlib.Path, error: Exception) -> str:
  reason = (str(error).splitlines() or [type(error).__name__])[0]
  return f'Expected {path} as TFDS wrote it, found it damaged: {reason}'


def _decode(name: str, folder: pathlib.Path) -> Source:
  try:  # The import takes a second.
    from array_record.python import array_record_module as _  # noqa: F401
    import tensorflow_datasets as tfds
  except ImportError as error:
    raise ValueError(
        f"Reading {folder} needs more packages ({error}): pip install "
        "'rum-jax[tfds]'.") from error
  try:
    info = tfds.builder_from_directory(folder).info
    splits = [info.splits[part] for part in ('train', 'test')]
    shape = info.features['image'].shape
    classes = tuple(info.features['label'].names)
  except Exception as error:  # TFDS raises almost anything.
    raise ValueError(_damage(folder, error)) from error
  sources = []
  for split in splits:
    image = np.empty((split.num_examples, *shape), np.uint8)
    label = np.empty(split.num_examples, np.int32)
    ids = []
    for i, example in enumerate(_examples(split, info.features)):
      image[i], label[i] = example['image'], example['label']
      ids.append(example.get('id', b'').decode())
    order = (_order(ids, split.name, folder) if name in _WITH_ID
             else np.arange(len(ids)))
    sources.append(from_arrays(image[order], label[order], name, classes))
  return joined(*sources)


def _examples(split: Any, features: Any) -> Iterator[dict[str, Any]]:
  """Decodes all records of a part, file by file."""
  from array_record.python import array_record_module
  from PIL import Image
  import tensorflow_datasets as tfds
  decoders = {'image': tfds.decode.SkipDecoding()}
  shape = features['image'].shape
  for path, count in zip(split.filepaths, split.shard_lengths):
    try:
      reader = array_record_module.ArrayRecordReader(str(path))
      records = reader.read_all()
      if len(records) != count:
        raise ValueError(f'{len(records)} records instead of {count}.')
      for record in records:
        example = features.deserialize_example_np(record, decoders=decoders)
        file = Image.open(io.BytesIO(example['image']), formats=('PNG',))
        yield {**example, 'image': np.asarray(file).reshape(shape)}
    except Exception as error:  # Altered bytes raise almost anything.
      raise ValueError(_damage(path, error)) from error


def _order(ids: list[str], part: str, folder: pathlib.Path) -> np.ndarray:
  """The positions of the examples `<part>_00000`, `<part>_00001` …."""
  wanted = [f'{part}_{i:05d}' for i in range(len(ids))]
  where = {x: i for i, x in enumerate(ids)}
  for x in wanted:
    if x not in where:
      raise ValueError(f'Expected an example of {folder} with id {x}, found '
                       f'none among the {len(ids)} of its part.')
  return np.array([where[x] for x in wanted])
