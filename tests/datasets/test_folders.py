"""Folders of images with a subfolder for each class, decoded once."""

from __future__ import annotations

import pathlib

import numpy as np
from PIL import Image
import pytest

from rum_jax import datasets
from rum_jax.datasets import pictures

CLASSES = ('ant', 'bee', 'cat')


def save(path: pathlib.Path, image: np.ndarray, mode: str | None = None
         ) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  picture = Image.fromarray(image)
  (picture.convert(mode) if mode else picture).save(path)


def picture(seed: int, shape=(4, 6, 3)) -> np.ndarray:
  return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def fill(root: pathlib.Path, classes=CLASSES, count=5, shape=(4, 6, 3),
         seed=0) -> np.ndarray:
  """Writes PNG files; returns the images in the order of rows."""
  images = []
  for name in classes:
    for i in range(count):
      images.append(picture(seed + len(images), shape))
      save(root / name / f'{i}.png', images[-1])
  return np.stack(images)


@pytest.fixture
def split(tmp_path):
  """A folder with train and test, and all images."""
  root = tmp_path / 'data'
  train = fill(root / 'train')
  test = fill(root / 'test', CLASSES[:2], 2, seed=100)
  return root, np.concatenate([train, test])


def never(*args, **kwargs):
  raise AssertionError('Decoded again.')


def same(a: datasets.Source, b: datasets.Source) -> bool:
  return (all(np.array_equal(x, y) for x, y in zip(
      (*a.dataset, a.row, a.num_train), (*b.dataset, b.row, b.num_train)))
      and a[3:7] == b[3:7])


def test_both_parts_are_read_in_order_and_only_once(split, monkeypatch):
  root, images = split
  source = datasets.from_folder(root)
  np.testing.assert_array_equal(source.dataset.image, images)
  assert source.dataset.label.tolist() == [
      0] * 5 + [1] * 5 + [2] * 5 + [0] * 2 + [1] * 2
  assert source.classes == CLASSES and source.num_train == 15
  assert source.row.tolist() == [*range(15), *range(4)]
  assert source.files[6] == 'train/bee/1.png' and len(source.files) == 15
  assert source.notes == () and source.name == 'data'
  assert datasets.decoded_path(root) == root.with_name('data.decoded')
  assert datasets.decoded_path(root).is_file()
  monkeypatch.setattr(pictures, 'decode', never)
  assert same(datasets.from_folder(str(root)), source)
  assert same(datasets.load(root), source)


@pytest.mark.parametrize('name', ['val', 'valid', 'validation'])
def test_the_test_part_may_have_another_name(split, name):
  root, images = split
  (root / 'test').rename(root / name)
  source = datasets.from_folder(root)
  np.testing.assert_array_equal(source.dataset.image, images)


def test_a_second_test_part_is_said_not_to_be_read(split):
  root, _ = split
  fill(root / 'val', seed=50)
  source = datasets.from_folder(root)
  assert len(source.test) == 4
  assert f'{root / "val"} is not read' in source.notes[0]


def test_without_parts_a_share_of_each_class_is_held_out(tmp_path):
  images = fill(tmp_path / 'data')
  source = datasets.from_folder(tmp_path / 'data', test_share=0.4, seed=3)
  assert source.num_train == 9 and len(source.test) == 6
  np.testing.assert_array_equal(source.dataset.image, images[source.row])
  assert np.bincount(source.dataset.label[source.test]).tolist() == [2, 2, 2]
  assert source.files[7] == 'bee/2.png' and len(source.files) == 15
  again = datasets.from_folder(tmp_path / 'data', test_share=0.4, seed=3)
  assert same(again, source)
  (part, rows), = source.apart
  assert part == 'test'
  assert sorted(rows) == sorted(source.row[source.test])


@pytest.mark.parametrize('train, mode, channels', [
    ((4, 6), None, 1), ((4, 6, 3), None, 3)])
def test_grey_images_have_one_channel_if_all_are_grey(
    tmp_path, train, mode, channels):
  root = tmp_path / 'data'
  images = fill(root, shape=train)
  source = datasets.from_folder(root)
  assert source.dataset.image.shape == (15, 4, 6, channels)
  np.testing.assert_array_equal(
      source.dataset.image, images.reshape(15, 4, 6, channels)[source.row])


def test_grey_among_coloured_images_becomes_colour_and_is_said(split):
  root, images = split
  save(root / 'train' / 'ant' / '3.png', images[3, ..., 0])
  source = datasets.from_folder(root)
  np.testing.assert_array_equal(
      source.dataset.image[3], np.repeat(images[3, ..., :1], 3, -1))
  assert '1 of 19 images are grey' in source.notes[0]


def test_transparency_is_dropped_and_said(split):
  root, images = split
  clear = np.concatenate([images[3], np.zeros((4, 6, 1), np.uint8)], -1)
  save(root / 'train' / 'ant' / '3.png', clear)
  source = datasets.from_folder(root)
  np.testing.assert_array_equal(source.dataset.image[3], images[3])
  assert '1 of 19 images have transparency' in source.notes[0]


def test_two_sizes_are_refused_by_the_name_of_the_file(split):
  root, _ = split
  save(root / 'train' / 'bee' / '2.png', picture(9, (6, 4, 3)))
  with pytest.raises(datasets.DataError, match='6×4 in .*bee/2.png and 4×6 in '
                     '.*ant/0.png') as caught:
    datasets.from_folder(root)
  assert caught.value.value == str(root / 'train' / 'bee' / '2.png')
  assert not datasets.decoded_path(root).exists()


def test_with_a_size_images_are_scaled_and_cut_at_the_centre(split):
  root, images = split
  wide = np.zeros((8, 24, 3), np.uint8)
  wide[:, 4:20] = 200  # What is left of 8×24 at 4×6 is its middle half.
  save(root / 'train' / 'bee' / '2.png', wide)
  source = datasets.from_folder(root, size=(4, 6))
  assert source.dataset.image.shape == (19, 4, 6, 3)
  assert (source.dataset.image[7] == 200).all()
  np.testing.assert_array_equal(source.dataset.image[:7], images[:7])
  assert source.notes == ('1 of 19 images were scaled and cut to 4×6.',)
  square = datasets.from_folder(root, size=5)
  assert square.dataset.image.shape == (19, 5, 5, 3)
  assert datasets.decoded_path(root, size=5).name == 'data-5x5.decoded'
  assert datasets.decoded_path(root, size=(4, 6)).is_file()
  assert same(datasets.from_folder(root, size=(4, 6)), source)


@pytest.mark.parametrize('size', [0, -1, 2.5, True, (4,), (4, 0), 'x'])
def test_a_size_out_of_range_is_refused(split, size):
  with pytest.raises(datasets.DataError, match='Expected size=') as caught:
    datasets.from_folder(split[0], size=size)
  assert caught.value.value == size


def test_a_cache_is_shared_by_folders_of_one_name(tmp_path, monkeypatch):
  roots, cache = [tmp_path / x / 'data' for x in 'ab'], tmp_path / 'kept'
  for i, root in enumerate(roots):
    fill(root, seed=100 * i)
  first = [datasets.from_folder(root, cache=cache) for root in roots]
  assert len(list(cache.iterdir())) == 2
  assert {datasets.decoded_path(root, cache=cache) for root in roots} == set(
      cache.iterdir())
  assert not datasets.decoded_path(roots[0]).exists()
  monkeypatch.setattr(pictures, 'decode', never)
  for root, source in zip(roots, first):
    assert same(datasets.from_folder(root, cache=cache), source)


def test_a_cache_inside_the_folder_is_refused(tmp_path):
  fill(tmp_path / 'data')
  with pytest.raises(datasets.DataError, match='cache=.*outside'):
    datasets.from_folder(tmp_path / 'data', cache=tmp_path / 'data' / 'kept')


def test_a_changed_folder_is_decoded_again(split):
  root, _ = split
  datasets.from_folder(root)
  (root / 'train' / 'ant' / '0.png').unlink()
  source = datasets.from_folder(root)
  assert source.num_train == 14 and source.files[0] == 'train/ant/1.png'


def test_hidden_files_are_passed_over_and_others_are_said(split):
  root, images = split
  for name in ('.ipynb_checkpoints/0.png', '.hidden/0.png'):
    save(root / 'train' / 'ant' / name, images[0])
    save(root / 'train' / name, images[0])
  for name in ('ant/readme.txt', 'ant/.DS_Store'):
    (root / 'train' / name).write_text('')
  save(root / 'train' / 'cover.png', images[0])
  source = datasets.from_folder(root)
  np.testing.assert_array_equal(source.dataset.image, images)
  assert len(source.notes) == 1
  assert '2 files' in source.notes[0] and 'readme.txt' in source.notes[0]


def test_images_further_inside_and_other_suffixes_are_found(tmp_path):
  root = tmp_path / 'data'
  for name in ('ant/b/1.PNG', 'ant/a/9.bmp', 'ant/0.webp', 'bee/1.tif'):
    save(root / name, picture(0))
  for name in ('ant', 'bee'):
    save(root / name / 'z.png', picture(1))
  source = datasets.from_folder(root, test_share=0.4)
  assert source.files == ('ant/0.webp', 'ant/z.png', 'ant/a/9.bmp',
                          'ant/b/1.PNG', 'bee/1.tif', 'bee/z.png')


def half(path):
  path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize('file, change, message', [
    ('train/bee/2.png', half, 'bee/2.png to be an image'),
    ('test/bee/1.png', half, 'bee/1.png to be an image'),
    ('train/bee/2.png', lambda x: x.write_text('no'), '2.png to be an image'),
    ('train/bee/2.png', lambda x: Image.fromarray(
        np.full((4, 6), 4000, np.uint16)).save(x), '2.png to have 8 bits'),
    ('train/bee/2.tif', lambda x: Image.fromarray(picture(0)).save(
        x, save_all=True, append_images=[Image.fromarray(picture(1))]),
     '2.tif to hold one image, found 2 frames'),
    ('train/dog', lambda x: x.mkdir(), 'dog to hold images'),
    ('test/dog/1.png', lambda x: save(x, picture(0)),
     'dog/1.png to be of a class of the training part .* found dog')])
def test_what_is_wrong_is_named(split, file, change, message):
  root, _ = split
  change(root / file)
  with pytest.raises(datasets.DataError, match=message):
    datasets.from_folder(root)
  assert not datasets.decoded_path(root).exists()


def test_folders_without_images_are_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match='nowhere'):
    datasets.from_folder(tmp_path / 'nowhere')
  (tmp_path / 'data').mkdir()
  with pytest.raises(datasets.DataError, match='a folder for each class'):
    datasets.from_folder(tmp_path / 'data')
  fill(tmp_path / 'data' / 'train')
  with pytest.raises(datasets.DataError, match='test beside train'):
    datasets.from_folder(tmp_path / 'data')
  (tmp_path / 'data' / 'test' / 'ant').mkdir(parents=True)
  with pytest.raises(datasets.DataError, match='test to hold a folder'):
    datasets.from_folder(tmp_path / 'data')
