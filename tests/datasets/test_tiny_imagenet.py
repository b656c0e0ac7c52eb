"""Tiny-ImageNet from a small folder of its published layout."""

from __future__ import annotations

import re

import numpy as np
from PIL import Image
import pytest

from rum_jax import datasets

WNIDS = ('n03', 'n01', 'n02')  # Unsorted, as published.
COUNT = 11  # So that 10 comes after 2, not after 1.


def save(path, image):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(image).save(path, 'JPEG', quality=100)


def plain(value: int) -> np.ndarray:
  return np.full((8, 8, 3), value, np.uint8)


@pytest.fixture
def folder(tmp_path):
  """Plain images: 10·class + number; those of class 0 are grey."""
  root = tmp_path / 'tiny-imagenet-200'
  for k, wnid in enumerate(sorted(WNIDS)):
    for i in range(COUNT):
      image = plain(20 * k + i)
      save(root / 'train' / wnid / 'images' / f'{wnid}_{i}.JPEG',
           image[..., 0] if k == 0 else image)
    (root / 'train' / wnid / f'{wnid}_boxes.txt').write_text('')
  lines = []
  for i in range(12):
    save(root / 'val' / 'images' / f'val_{i}.JPEG', plain(100 + i))
    lines.append(f'val_{i}.JPEG\t{WNIDS[i % 3]}\t0\t0\t62\t62\n')
  (root / 'val' / 'val_annotations.txt').write_text(''.join(lines[::-1]))
  (root / 'wnids.txt').write_text('\n'.join(WNIDS))
  (root / 'words.txt').write_text(
      'n00\tentity\nn01\tgoldfish, Carassius\nn02\tbull frog\nn03\ttailed frog')
  return root


def test_order_labels_and_names(folder):
  for _ in range(2):  # Decoded, then remembered.
    source = datasets.tiny_imagenet(str(folder.parent))
    image, label = source.dataset
    assert image.shape == (3 * COUNT + 12, 8, 8, 3) and image.dtype == np.uint8
    want = [20 * k + i for k in range(3) for i in range(COUNT)]
    want += [100 + i for i in range(12)]
    # Quality 100 rounds a plain image by at most one grey value.
    assert np.abs(image - np.array(want)[:, None, None, None]).max() <= 1
    assert (np.diff(image[:COUNT, 0, 0, 0].astype(int)) >= 0).all()
    assert label.tolist() == [0] * COUNT + [1] * COUNT + [2] * COUNT + [
        2, 0, 1] * 4
    assert source.classes == ('goldfish', 'bull frog', 'tailed frog')
    assert source.row.tolist() == [*range(3 * COUNT), *range(12)]
    assert source.num_train == 3 * COUNT
    assert source.name == 'tiny-imagenet-200'
  assert (folder.parent / 'tiny-imagenet-200.decoded').is_file()


def test_grey_images_become_rgb(folder):
  source = datasets.tiny_imagenet(folder.parent)
  grey = np.asarray(Image.open(folder / 'train/n01/images/n01_7.JPEG'))
  assert grey.ndim == 2
  np.testing.assert_array_equal(
      source.dataset.image[7], np.stack([grey] * 3, -1))


def change(folder, path, contents):
  path = folder / path
  if contents is None:
    path.unlink()
  elif isinstance(contents, np.ndarray):
    save(path, contents)
  elif contents == 'moved':
    path.rename(path.with_stem('n02_99'))
  elif contents == 'half':
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
  else:
    path.write_text(contents)


@pytest.mark.parametrize('path, contents, message', [
    ('train/n02/images/n02_3.JPEG', 'moved', 'n02_3.JPEG to be an image'),
    ('train/n02/images/n02_3.JPEG', None, 'n02 to hold as many .* found 10'),
    ('train/n02/images/n02_3.JPEG', 'half', 'n02_3.JPEG to be an image'),
    ('train/n02/images/n02_3.JPEG', '', 'n02_3.JPEG to be an image'),
    ('train/n02/images/n02_3.JPEG', np.zeros((8, 4), np.uint8),
     r'n02_3.JPEG to be of shape \(8, 8, 3\), found \(8, 4, 3\)'),
    ('val/images/val_5.JPEG', 'half', 'val_5.JPEG to be an image'),
    ('val/images/val_5.JPEG', None, 'list the 11 images .* found 12 lines'),
    ('val/val_annotations.txt', None, 'val_annotations.txt to be a text file'),
    ('val/val_annotations.txt', 'val_0.JPEG\tn01\n', 'found 1 lines'),
    ('val/val_annotations.txt', 'val_0.JPEG\tn09\n' * 12,
     'val_annotations.txt to give val_0.JPEG a class'),
    ('words.txt', None, 'words.txt to be a text file'),
    ('words.txt', 'n01', 'words.txt to list .* found n01'),
    ('wnids.txt', 'n01\nn04', 'n04 to hold as many images as n01, 11, found 0'),
    ('wnids.txt', '', 'wnids.txt to list classes')])
@pytest.mark.parametrize('kept', [False, True])
def test_what_is_damaged_is_named(folder, path, contents, message, kept):
  if kept:
    datasets.tiny_imagenet(folder.parent)
  change(folder, path, contents)
  with pytest.raises(ValueError, match=f'^Expected {folder}.*{message}'):
    datasets.tiny_imagenet(folder.parent)


def test_what_is_not_there_says_how_to_get_it(tmp_path):
  with pytest.raises(FileNotFoundError, match=re.escape(
      'curl -LO http://cs231n.stanford.edu/tiny-imagenet-200.zip && unzip -q '
      f"tiny-imagenet-200.zip -d '{tmp_path}'")):
    datasets.tiny_imagenet(tmp_path)
