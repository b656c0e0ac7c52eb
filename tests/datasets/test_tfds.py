"""TFDS folders in ArrayRecord format: order, counts, damage, no TensorFlow."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from rum_jax import datasets
from rum_jax.datasets import tfds


def grey(count, seed):
  rng = np.random.default_rng(seed)
  return [{'image': rng.integers(0, 256, (4, 4, 1), dtype=np.uint8),
           'label': i % 3} for i in range(count)]


def change(path, **values):
  info = json.loads(path.read_text())
  path.write_text(json.dumps({**info, **values}))


def refusal(kind, *args) -> str:
  with pytest.raises(kind) as caught:
    datasets.from_tfds(*args)
  message = str(caught.value)
  assert '\n' not in message
  return message


def test_cifar_is_put_back_into_the_published_order(cifar):
  data_dir, _, images = cifar
  for _ in range(2):  # Decoded, then remembered.
    source = datasets.from_tfds('cifar10', data_dir)
    image, label = source.dataset
    np.testing.assert_array_equal(image, images)
    assert image.dtype == np.uint8 and label.dtype == np.int32
    assert label.tolist() == [i % 3 for i in [*range(12), *range(6)]]
    assert source.row.tolist() == [*range(12), *range(6)]
    assert source.num_train == 12 and len(source.test) == 6
    assert source.classes == ('a', 'b', 'c') and source.name == 'cifar10'
  assert [x.name for x in data_dir.glob('cifar10/*')
          if x.is_file()] == ['3.0.2.decoded']


def test_the_records_lie_in_another_order(cifar):
  import tensorflow_datasets as tfds
  _, folder, images = cifar
  records = tfds.builder_from_directory(folder).as_data_source('train')
  ids = [int(x['id'].decode().split('_')[1]) for x in records]
  assert sorted(ids) == list(range(12)) != ids
  np.testing.assert_array_equal([x['image'] for x in records], images[ids])


def test_the_label_of_cifar100_is_the_fine_one(tmp_path, write_tfds):
  fine = {'train': [5, 1, 7, 3], 'test': [2, 0]}
  write_tfds(tmp_path, 'cifar100', {
      part: [{'image': np.zeros((4, 4, 3), np.uint8), 'label': k,
              'id': f'{part}_{i:05d}', 'coarse_label': 19}
             for i, k in enumerate(labels)]
      for part, labels in fine.items()}, classes='abcdefgh')
  source = datasets.from_tfds('cifar100', str(tmp_path))
  assert source.dataset.label.tolist() == fine['train'] + fine['test']
  assert source.classes == tuple('abcdefgh')


@pytest.mark.parametrize('name', ['mnist', 'fashion_mnist', 'svhn_cropped'])
def test_without_id_the_order_of_the_records_stays(tmp_path, write_tfds, name):
  parts = {'train': grey(7, 0), 'test': grey(3, 1), 'extra': grey(2, 2)}
  write_tfds(tmp_path, name, parts, shape=(4, 4, 1))
  source = datasets.from_tfds(name, tmp_path)
  both = parts['train'] + parts['test']
  np.testing.assert_array_equal(
      source.dataset.image, [x['image'] for x in both])
  assert source.dataset.label.tolist() == [x['label'] for x in both]
  assert source.row.tolist() == [*range(7), *range(3)]


def test_the_newest_version_is_read(tmp_path, write_tfds):
  for version, count in (('3.0.9', 3), ('3.0.10', 4), ('4.0.0', 5)):
    folder = write_tfds(tmp_path, 'mnist', {'train': grey(count, 0),
                        'test': grey(2, 1)}, (4, 4, 1), version=version)
  change(folder / 'dataset_info.json', fileFormat='tfrecord')
  folder.with_name('incomplete.X_9.0.0').mkdir()
  assert datasets.from_tfds('mnist', tmp_path).num_train == 4


@pytest.mark.parametrize('part', ['train.array_record-00001', 'test'])
@pytest.mark.parametrize('how', ['truncated', 'altered', 'missing', 'empty'])
@pytest.mark.parametrize('kept', [False, True])
def test_a_damaged_record_file_is_named(cifar, part, how, kept):
  data_dir, folder, _ = cifar
  if kept:
    datasets.from_tfds('cifar10', data_dir)
  path, = folder.glob(f'cifar10-{part}*')
  contents = bytearray(path.read_bytes())
  if how == 'missing':
    path.unlink()
  elif how == 'altered':  # In the middle of the first image.
    contents[contents.index(b'IDAT') + 20] ^= 1
    path.write_bytes(contents)
  else:
    path.write_bytes(contents[:len(contents) // 2 if how[0] == 't' else 0])
  assert f'Expected {path} as TFDS wrote it' in refusal(
      ValueError, 'cifar10', data_dir)


@pytest.mark.parametrize('count', [5, 7])
def test_another_number_of_records_than_recorded_is_named(cifar, count):
  data_dir, folder, _ = cifar
  path, = folder.glob('cifar10-test*')
  info = json.loads((folder / 'dataset_info.json').read_text())
  info['splits'][1]['shardLengths'] = [str(count)]
  (folder / 'dataset_info.json').write_text(json.dumps(info))
  message = refusal(ValueError, 'cifar10', data_dir)
  assert str(path) in message and f'6 records instead of {count}' in message


@pytest.mark.parametrize('name', ['dataset_info.json', 'features.json'])
@pytest.mark.parametrize('contents', ['', '{', '[3]', '{"a": 1}'])
def test_a_damaged_description_is_named(cifar, name, contents):
  data_dir, folder, _ = cifar
  (folder / name).write_text(contents)
  if name == 'dataset_info.json' and contents == '{"a": 1}':
    assert f'{folder} holds None' in refusal(
        FileNotFoundError, 'cifar10', data_dir)
  else:
    assert str(folder) in refusal(ValueError, 'cifar10', data_dir)


def test_a_missing_part_is_named(cifar):
  data_dir, folder, _ = cifar
  info = json.loads((folder / 'dataset_info.json').read_text())
  change(folder / 'dataset_info.json', splits=info['splits'][:1])
  message = refusal(ValueError, 'cifar10', data_dir)
  assert str(folder) in message and 'test' in message


@pytest.mark.parametrize('ids, missing', [
    ([0, 1, 1], 2), ([0, 1, 3], 2), ([1, 2, 3], 0)])
def test_ids_that_are_no_order_are_named(tmp_path, write_tfds, ids, missing):
  def examples(part, rows):
    return [{'image': np.zeros((4, 4, 3), np.uint8), 'label': 0,
             'id': f'{part}_{i:05d}'} for i in rows]
  folder = write_tfds(tmp_path, 'cifar10', {
      'train': examples('train', ids), 'test': examples('test', [0])})
  message = refusal(ValueError, 'cifar10', tmp_path)
  assert f'{folder} with id train_{missing:05d}' in message


def test_what_is_not_prepared_says_how(tmp_path, monkeypatch):
  import tensorflow_datasets as tfds
  message = refusal(FileNotFoundError, 'mnist', tmp_path)
  code, = re.fullmatch(
      rf'No ArrayRecord files of mnist in {tmp_path}\. To prepare them once: '
      r'pip install -e \'\.\[prepare\]\' && python -c "(.*)"',
      message).groups()
  done = []
  monkeypatch.setattr(
      tfds.core.DatasetBuilder, 'download_and_prepare',
      lambda self: done.append(self))
  exec(code, {})
  builder, = done
  assert builder.name == 'mnist' and not builder.is_prepared()
  assert builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD
  assert str(builder.data_path).startswith(f'{tmp_path}/mnist/')


def test_another_format_is_not_prepared(cifar):
  data_dir, folder, _ = cifar
  change(folder / 'dataset_info.json', fileFormat='tfrecord')
  assert f'({folder} holds tfrecord: name another folder)' in refusal(
      FileNotFoundError, 'cifar10', data_dir)


def test_other_names_are_refused(tmp_path):
  assert 'Expected name=imagenet to be one of cifar10, cifar100,' in refusal(
      ValueError, 'imagenet', tmp_path)


@pytest.mark.slow
def test_tfds_is_imported_to_decode_and_tensorflow_never(cifar):
  code = '''
import sys
from rum_jax import datasets
from rum_jax.datasets import tfds
slow = ('tensorflow', 'tensorflow_datasets', 'PIL', 'array_record')
datasets.digits()
assert not set(slow) & set(sys.modules)
datasets.from_tfds('cifar10', sys.argv[1])
assert set(slow) & set(sys.modules) == set(slow[int(sys.argv[2]):])
'''
  for first in ('1', '4'):  # All but TensorFlow, then nothing.
    subprocess.run([sys.executable, '-c', code, str(cifar[0]), first],
                   check=True)


def test_packages_that_are_missing_are_named(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'tensorflow_datasets', None)
  with pytest.raises(ValueError, match=r"pip install 'rum-jax\[tfds\]'"):
    tfds._decode('cifar10', tmp_path)
