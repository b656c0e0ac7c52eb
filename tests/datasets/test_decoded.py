"""Kept decoded images are used only as long as the folder is unchanged."""

from __future__ import annotations

import errno
import json
import os
import pathlib

import numpy as np
import pytest

from rum_jax import datasets
from rum_jax.datasets import decoded


def source_of(seed: int = 0) -> datasets.Source:
  rng = np.random.default_rng(seed)
  image = rng.integers(0, 256, (6, 2, 2, 1), dtype=np.uint8)
  whole = datasets.from_arrays(
      image, np.arange(6) % 3, 'small', ('é', 'b', 'c'))
  return whole._replace(num_train=4, row=np.array([0, 1, 2, 3, 0, 1]))


def same(a: datasets.Source, b: datasets.Source) -> bool:
  arrays = [(*x.dataset, x.row) for x in (a, b)]
  return (a[1:2] == b[1:2] and a[3:] == b[3:] and all(
      x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(*arrays)))


class Decoder:
  """Counts how often it is asked; what it returns can be changed."""

  def __init__(self):
    self.count, self.source = 0, source_of()

  def __call__(self):
    self.count += 1
    return self.source


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
  (tmp_path / 'set' / 'inner').mkdir(parents=True)
  (tmp_path / 'set' / 'records').write_text('12345')
  (tmp_path / 'set' / 'inner' / 'more').write_text('678')
  return tmp_path / 'set'


@pytest.fixture
def kept(folder) -> pathlib.Path:
  decoded.cached(folder, Decoder())
  return folder.with_name('set.decoded')


def never():
  raise AssertionError('Decoded again.')


def test_a_folder_is_decoded_once(folder):
  decode = Decoder()
  first = decoded.cached(folder, decode)
  second = decoded.cached(folder, decode)
  assert decode.count == 1 and same(first, source_of())
  assert same(first, second)
  assert second.train.tolist() == [0, 1, 2, 3]
  assert sorted(x.name for x in folder.parent.iterdir()) == [
      'set', 'set.decoded']


def touch(path: pathlib.Path) -> None:
  os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


@pytest.mark.parametrize('change', [
    lambda f: (f / 'records').write_text('123456'),
    lambda f: touch(f / 'records'), lambda f: touch(f / 'inner' / 'more'),
    lambda f: (f / 'records').unlink(),
    lambda f: (f / 'records').rename(f / 'inner' / 'records'),
    lambda f: (f / 'records').rename(f / 'other'),
    lambda f: (f / 'new').write_text('')])
def test_a_changed_folder_is_decoded_again(folder, kept, change):
  change(folder)
  decode = Decoder()
  decode.source = source_of(1)
  for _ in range(2):
    assert same(decoded.cached(folder, decode), source_of(1))
  assert decode.count == 1


def test_a_folder_may_move_with_what_is_kept(folder, kept):
  moved = folder.parent / 'elsewhere'
  moved.mkdir()
  for path in (folder, kept):
    path.rename(moved / path.name)
  assert same(decoded.cached(moved / 'set', never), source_of())


def test_a_folder_that_changes_while_it_is_decoded_is_not_kept(folder):

  def decode():
    (folder / 'records').write_text('1234567')
    return source_of()

  assert same(decoded.cached(folder, decode), source_of())
  assert not folder.with_name('set.decoded').exists()


def test_no_flipped_byte_is_served(folder, kept):
  contents = kept.read_bytes()
  refused, places = 0, range(0, len(contents), 3)
  for i in places:
    altered = bytearray(contents)
    altered[i] ^= 1
    kept.write_bytes(altered)
    decode = Decoder()
    try:
      found = decoded.cached(folder, decode)
    except ValueError as error:
      assert str(error).startswith(f'Expected {kept} as it was written')
      assert '\n' not in str(error)
      refused += 1
    else:  # Padding of a header, or a fingerprint that fits no more.
      assert same(found, source_of())
  assert refused > len(places) / 2


def test_no_truncated_file_is_served(folder, kept):
  contents = kept.read_bytes()
  for count in [*range(0, len(contents), 17), len(contents) - 1]:
    kept.write_bytes(contents[:count])
    with pytest.raises(ValueError, match=f'Expected {kept} .* delete it'):
      decoded.cached(folder, never)
  kept.write_bytes(contents + b'0')
  with pytest.raises(ValueError, match='truncated or altered'):
    decoded.cached(folder, never)


@pytest.mark.parametrize('which', range(5))
def test_arrays_written_by_others_are_not_served(folder, kept, which):
  with kept.open('rb') as file:
    header, *arrays = (np.load(file, allow_pickle=False) for _ in range(4))
  header = json.loads(str(header))
  if which < 3:
    arrays[which][0] += 1
  else:
    header.update([{'classes': ['a', 'b', 'c']}, {'num_train': 3}][which - 3])
  with kept.open('wb') as file:
    for x in (np.array(json.dumps(header)), *arrays):
      np.save(file, x, allow_pickle=False)
  with pytest.raises(ValueError, match=f'Expected {kept} as it was written'):
    decoded.cached(folder, never)


def test_nothing_is_unpickled(folder, kept):
  with kept.open('wb') as file:
    np.save(file, np.array([{}], object), allow_pickle=True)
  with pytest.raises(ValueError, match='truncated or altered'):
    decoded.cached(folder, never)


@pytest.mark.parametrize('when', ['open', 'write', 'rename'])
def test_what_cannot_be_written_is_not_kept(folder, monkeypatch, when):

  def refuse(*args, **kwargs):
    raise OSError(errno.EROFS, 'Read-only file system')

  if when == 'open':
    opened = pathlib.Path.open
    monkeypatch.setattr(
        pathlib.Path, 'open', lambda self, mode='r': (
            refuse() if 'w' in mode else opened(self, mode)))
  elif when == 'write':
    monkeypatch.setattr(np, 'save', refuse)
  else:
    monkeypatch.setattr(pathlib.Path, 'replace', refuse)
  decode = Decoder()
  for _ in range(2):
    assert same(decoded.cached(folder, decode), source_of())
  assert decode.count == 2
  assert [x.name for x in folder.parent.iterdir()] == ['set']


def test_leftovers_of_a_killed_process_are_removed(folder):
  folder.with_name('.set.decoded.1.partial').write_text('half')
  decoded.cached(folder, Decoder())
  assert sorted(x.name for x in folder.parent.iterdir()) == [
      'set', 'set.decoded']
