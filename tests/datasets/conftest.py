"""TFDS folders, written without TensorFlow."""

from __future__ import annotations

import io
import json
import pathlib

from array_record.python import array_record_module
import numpy as np
from PIL import Image
import pytest

VERSION = '3.0.2'


def png(image: np.ndarray) -> io.BytesIO:
  buffer = io.BytesIO()
  Image.fromarray(image.squeeze()).save(buffer, 'PNG')
  return io.BytesIO(buffer.getvalue())


@pytest.fixture(scope='session')
def write_tfds():
  """Writes one version of a data set as TFDS does; two train shards."""
  import tensorflow_datasets as tfds

  def write(data_dir: pathlib.Path, name: str, parts, shape=(4, 4, 3),
            classes=('a', 'b', 'c'), version=VERSION):
    folder = data_dir / name / version
    folder.mkdir(parents=True)
    spec = {'image': tfds.features.Image(shape=shape),
            'label': tfds.features.ClassLabel(names=list(classes))}
    if name.startswith('cifar'):
      spec['id'] = tfds.features.Text()
    if name == 'cifar100':
      spec['coarse_label'] = tfds.features.ClassLabel(num_classes=20)
    features = tfds.features.FeaturesDict(spec)
    splits = []
    for part, examples in parts.items():
      shards = np.array_split(np.arange(len(examples)), 1 + (part == 'train'))
      for i, rows in enumerate(shards):
        file = f'{name}-{part}.array_record-{i:05d}-of-{len(shards):05d}'
        writer = array_record_module.ArrayRecordWriter(
            str(folder / file), 'group_size:1')
        for row in rows:
          example = {**examples[row], 'image': png(examples[row]['image'])}
          writer.write(features.serialize_example(
              features.encode_example(example)))
        writer.close()
      splits.append({
          'name': part, 'numBytes': '1',
          'filepathTemplate': '{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}',
          'shardLengths': [str(len(rows)) for rows in shards]})
    features.save_config(folder)
    (folder / 'dataset_info.json').write_text(json.dumps({
        'name': name, 'version': version, 'fileFormat': 'array_record',
        'splits': splits}))
    return folder

  return write


def shuffled(part: str, count: int, seed: int, shape=(4, 4, 3)):
  """Examples in random order; returns them and the images in true order."""
  rng = np.random.default_rng(seed)
  images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
  return images, [
      {'image': images[i], 'label': i % 3, 'id': f'{part}_{i:05d}'}
      for i in rng.permutation(count).tolist()]


@pytest.fixture
def cifar(tmp_path, write_tfds):
  """A small CIFAR-10: `(data_dir, folder, images in the published order)`."""
  train, train_examples = shuffled('train', 12, 0)
  test, test_examples = shuffled('test', 6, 1)
  folder = write_tfds(tmp_path, 'cifar10',
                      {'train': train_examples, 'test': test_examples})
  return tmp_path, folder, np.concatenate([train, test])
