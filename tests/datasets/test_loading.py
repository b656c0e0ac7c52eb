"""Loading of all kinds of data sets by name or path."""

from __future__ import annotations

import numpy as np
from PIL import Image
import pytest

from rum_jax import datasets
from rum_jax.datasets import loading


@pytest.fixture
def npz(tmp_path):
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
  arrays = {'x_train': image, 'y_train': np.arange(6) % 2 + 1,
            'x_test': image, 'y_test': np.arange(6) % 2 + 1}
  np.savez(tmp_path / 'mine.npz', **arrays)
  return tmp_path / 'mine.npz', arrays


def test_an_npz_file_by_name_and_by_path(npz):
  path, arrays = npz
  for source in (datasets.load('mine', path.parent), datasets.load(path),
                 datasets.load(str(path)),
                 datasets.load('mine.npz', data_dir=path.parent)):
    np.testing.assert_array_equal(source.dataset.image[:6], arrays['x_train'])
    assert source.name == 'mine' and 'starts at 1' in source.notes[0]


def test_digits_need_no_file(tmp_path):
  assert datasets.load('digits', tmp_path).name == 'digits'


def test_prepared_data_by_name_and_by_path(cifar):
  data_dir, folder, image = cifar
  for source in (datasets.load('cifar10', data_dir),
                 datasets.load(folder.parent)):
    np.testing.assert_array_equal(source.dataset.image, image)


@pytest.mark.parametrize('place', ['cifar-10-batches-bin',
                                   'cifar-10-binary.tar.gz'])
def test_cifar_by_name_may_be_its_own_archive(tmp_path, monkeypatch, place):
  (tmp_path / place).mkdir()
  monkeypatch.setattr(loading, 'from_cifar', lambda path: (
      datasets.from_arrays(np.arange(8).reshape(2, 2, 2, 1), [0, 1],
                           path.name)))
  assert datasets.load('cifar10', tmp_path).name == place
  with pytest.raises(FileNotFoundError, match='cifar100'):
    datasets.load('cifar100', tmp_path)


def test_a_folder_by_name_with_its_settings(tmp_path):
  for name in 'ab':
    for i in range(4):
      path = tmp_path / 'mine' / name / f'{i}.png'
      path.parent.mkdir(parents=True, exist_ok=True)
      Image.fromarray(np.full((4, 4), 30 * i, np.uint8)).save(path)
  source = datasets.load('mine', tmp_path, size=2, test_share=0.25,
                         cache=tmp_path / 'kept')
  assert source.dataset.image.shape == (8, 2, 2, 1) and source.num_train == 6
  assert list((tmp_path / 'kept').iterdir()) == [datasets.decoded_path(
      tmp_path / 'mine', size=2, cache=tmp_path / 'kept')]


@pytest.mark.parametrize('words', [
    {'size': 3}, {'test_share': 0.3}, {'cache': 'x'}])
def test_settings_of_folders_are_refused_elsewhere(npz, words):
  with pytest.raises(datasets.DataError, match='is for folders') as caught:
    datasets.load(npz[0], **words)
  assert {caught.value.name: caught.value.value} == words


def test_what_is_not_there_is_named_with_what_may_be_given(tmp_path):
  with pytest.raises(datasets.DataError, match='found nothing'):
    datasets.load('', tmp_path)
  with pytest.raises(FileNotFoundError, match='data=nowhere.*npz file.*digits'):
    datasets.load('nowhere', tmp_path)
  with pytest.raises(FileNotFoundError, match='tensorflow_datasets'):
    datasets.load('cifar100', tmp_path)
  with pytest.raises(FileNotFoundError, match='curl'):
    datasets.load('tiny_imagenet', tmp_path)
  (tmp_path / 'model.pth').write_text('')
  with pytest.raises(datasets.DataError, match='found the file .*model.pth'):
    datasets.load(tmp_path / 'model.pth')


@pytest.mark.parametrize('change, message, value', [
    ({'y_train': np.ones(6, int), 'y_test': np.ones(6, int)},
     'two classes .* found 1 only', '1'),
    ({'x_train': np.full((6, 4, 4, 3), 7, np.uint8)}, 'all 6 equal', 6)])
def test_data_that_can_show_nothing_are_refused(npz, change, message, value):
  path, arrays = npz
  np.savez(path, **{**arrays, **change})
  with pytest.raises(datasets.DataError, match=message) as caught:
    datasets.load(path)
  assert caught.value.value == value


def test_only_training_examples_decide_what_can_be_shown():
  image = np.zeros((4, 2, 2, 1), np.uint8)
  image[3] = 1
  source = datasets.from_arrays(image, [0, 1, 0, 1], 'mine')
  loading.check_informative(source)
  with pytest.raises(datasets.DataError, match='all 3 equal'):
    datasets.check_informative(source._replace(num_train=3))
  with pytest.raises(datasets.DataError, match='two classes'):
    datasets.check_informative(source._replace(num_train=1))
