"""Reads small archives in the format of CIFAR's binary version."""

from __future__ import annotations

import pathlib
import tarfile

import numpy as np
import pytest

from rum_jax import datasets
from rum_jax.datasets.cifar import is_cifar

NAMES = {'cifar10': 'airplane automobile bird cat deer dog frog horse ship '
                    'truck'.split(),
         'cifar100': [f'fine_{k}' for k in range(100)]}
FOLDERS = {'cifar10': 'cifar-10-batches-bin', 'cifar100': 'cifar-100-binary'}


def make(root: pathlib.Path, name: str, count: int = 4):
  """Writes an archive's folder; returns it, images and labels."""
  rng = np.random.default_rng(0)
  folder = root / FOLDERS[name]
  folder.mkdir(parents=True)
  fine = name == 'cifar100'
  files = (['train.bin', 'test.bin'] if fine else
           [f'data_batch_{i}.bin' for i in range(1, 6)] + ['test_batch.bin'])
  images, labels = [], []
  for file in files:
    image = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    label = rng.integers(0, len(NAMES[name]), count).astype(np.uint8)
    coarse = [rng.integers(0, 20, (count, 1)).astype(np.uint8)] if fine else []
    planes = np.moveaxis(image, -1, 1).reshape(count, -1)
    np.concatenate([*coarse, label[:, None], planes], 1).tofile(folder / file)
    images.append(image)
    labels.append(label)
  meta = 'fine_label_names.txt' if fine else 'batches.meta.txt'
  (folder / meta).write_text('\n'.join(NAMES[name]) + '\n\n')
  (folder / 'readme.html').write_text('')
  return folder, np.concatenate(images), np.concatenate(labels)


def packed(folder: pathlib.Path, name: str = 'c.tar.gz') -> pathlib.Path:
  path = folder.parent / name
  with tarfile.open(path, 'w:gz') as archive:
    archive.add(folder, arcname=folder.name)
  return path


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('form', ['folder', 'parent', 'archive'])
def test_both_are_read_in_the_published_order(tmp_path, name, form):
  folder, image, label = make(tmp_path, name)
  path = {'folder': folder, 'parent': tmp_path, 'archive': packed(folder)}[form]
  assert is_cifar(path)
  source = datasets.from_cifar(path)
  np.testing.assert_array_equal(source.dataset.image, image)
  np.testing.assert_array_equal(source.dataset.label, label)
  assert source.dataset.image.flags.c_contiguous
  train = 20 if name == 'cifar10' else 4
  assert source.num_train == train and source.name == name
  assert source.row.tolist() == [*range(train), *range(4)]
  assert source.classes == tuple(NAMES[name])
  assert len(source.notes) == 1 and '50,000' in source.notes[0]
  loaded = datasets.load(path)
  np.testing.assert_array_equal(loaded.dataset.image, image)


def test_without_names_classes_are_numbers_and_it_is_said(tmp_path):
  folder, *_ = make(tmp_path, 'cifar10')
  (folder / 'batches.meta.txt').unlink()
  source = datasets.from_cifar(folder)
  assert source.classes == tuple('0123456789')
  assert 'batches.meta.txt' in source.notes[0]


def altered(folder, file, change):
  path = folder / file
  if change is None:
    path.unlink()
  else:
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize('name, file, change, message', [
    ('cifar10', 'data_batch_3.bin', None, 'to hold data_batch_3.bin'),
    ('cifar10', 'test_batch.bin', None, 'to hold test_batch.bin'),
    ('cifar100', 'test.bin', None, 'to hold test.bin'),
    ('cifar10', 'data_batch_3.bin', lambda x: x[:-1], 'data_batch_3.bin .* '
     'records of 3073 bytes, found 12291'),
    ('cifar10', 'data_batch_3.bin', lambda x: x[:3073], 'data_batch_3.bin to '
     'hold 12292 bytes .* found 3073'),
    ('cifar10', 'data_batch_3.bin', lambda x: b'', 'found 0 bytes'),
    ('cifar100', 'train.bin', lambda x: x[:3073], 'records of 3074 bytes'),
    ('cifar10', 'data_batch_3.bin', lambda x: b'\x0b' + x[1:],
     r'in \[0, 10\), found 11 in row 8')])
@pytest.mark.parametrize('archive', [False, True])
def test_a_file_that_is_missing_or_damaged_is_named(
    tmp_path, name, file, change, message, archive):
  folder, *_ = make(tmp_path, name)
  altered(folder, file, change)
  with pytest.raises(datasets.DataError, match=message):
    datasets.from_cifar(packed(folder) if archive else folder)


@pytest.mark.parametrize('folder, files', [
    ('cifar-10-batches-py', ['batches.meta', 'data_batch_1', 'test_batch']),
    ('renamed', ['batches.meta', 'data_batch_1', 'test_batch']),
    ('cifar-100-python', ['file.txt~', 'meta', 'train', 'test']),
    ('cifar-10-batches-mat', ['batches.meta.mat', 'data_batch_1.mat'])])
@pytest.mark.parametrize('form', ['folder', 'parent', 'archive'])
def test_other_versions_are_refused_and_the_right_one_is_named(
    tmp_path, folder, files, form):
  folder = tmp_path / folder
  folder.mkdir()
  for file in files:
    (folder / file).write_bytes(b'\x80\x02}q\x01.')
  path = {'folder': folder, 'parent': tmp_path,
          'archive': packed(folder, 'x.tar.gz')}[form]
  if form == 'parent' and folder.name == 'renamed':
    return  # A folder of folders: nothing says that it is CIFAR.
  assert is_cifar(path)
  for read in (datasets.from_cifar, datasets.load):
    with pytest.raises(datasets.DataError,
                       match='pickled.*cifar-10-binary.tar.gz') as caught:
      read(path)
    assert caught.value.value == str(path)


@pytest.mark.parametrize('change', [
    lambda x: x[:len(x) // 2], lambda x: b'', lambda x: b'no archive' * 99,
    lambda x: x[:len(x) // 2] + bytes(64) + x[len(x) // 2 + 64:]])
def test_a_damaged_archive_is_named(tmp_path, change):
  path = packed(make(tmp_path, 'cifar10')[0])
  path.write_bytes(change(path.read_bytes()))
  with pytest.raises(datasets.DataError, match=f'Expected {path} to'):
    datasets.from_cifar(path)


def test_an_archive_of_something_else_is_refused(tmp_path):
  (tmp_path / 'other').mkdir()
  (tmp_path / 'other' / 'x.txt').write_text('')
  path = packed(tmp_path / 'other')
  for place in (path, tmp_path / 'other'):
    with pytest.raises(datasets.DataError, match='no such file. Take the bin'):
      datasets.from_cifar(place)
  with pytest.raises(FileNotFoundError, match='nowhere'):
    datasets.from_cifar(tmp_path / 'nowhere')


def test_of_two_archives_one_must_be_named(tmp_path):
  for name in NAMES:
    make(tmp_path, name)
  with pytest.raises(datasets.DataError, match='name one of them'):
    datasets.from_cifar(tmp_path)
