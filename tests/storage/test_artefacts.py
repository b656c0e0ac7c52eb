"""Artefacts are read as they were written, or refused."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import shutil
from unittest import mock
import warnings

import chex
import numpy as np
from orbax.checkpoint import v1 as ocp
import pytest

from rum_jax.storage import artefacts, files
from rum_jax.storage.artefacts import Artefact, DamagedError

IDENTITY = {'epochs': 3, 'lr': 0.1, 'names': ['a', 'b']}
ARRAYS = {'loss': np.arange(6.0).reshape(2, 3), 'flag': np.array([True, False]),
          'step': np.array(7)}
TREE = {'params': {'Dense_0': {'kernel': np.arange(4, dtype=np.float32),
                               'bias': np.ones((2, 1), np.float16)}},
        'stats': {}}
NOTES = {'seconds': 1.5, 'diverged': [{'seed': 3, 'stage': 0}]}


def stage(root, name, identity, compute) -> Artefact:
  return artefacts.stage(
      artefacts.path_of(root, name, identity), identity, compute)


def counted():
  """A computation that counts how often it is called."""

  def compute() -> Artefact:
    compute.calls += 1
    return Artefact(ARRAYS, TREE, NOTES)

  compute.calls = 0
  return compute


def check(artefact: Artefact) -> None:
  """It is the one above, to the last bit and type."""
  assert artefact.arrays.keys() == ARRAYS.keys()
  for name, want in ARRAYS.items():
    np.testing.assert_array_equal(artefact.arrays[name], want)
    assert artefact.arrays[name].dtype == want.dtype
  chex.assert_trees_all_equal(artefact.tree, TREE)
  chex.assert_trees_all_equal_dtypes(artefact.tree, TREE)
  assert artefact.notes == NOTES and len(artefact.digest) == 64


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
  """An artefact on disk."""
  place = artefacts.path_of(tmp_path, 'a/b', IDENTITY)
  artefacts.stage(place, IDENTITY, counted())
  return place


def test_an_artefact_comes_back_as_it_was_written(tmp_path):
  place = artefacts.path_of(tmp_path, 'x', IDENTITY)
  written = artefacts.save(place, IDENTITY, Artefact(ARRAYS, TREE, NOTES))
  loaded = artefacts.load(place, IDENTITY)
  check(loaded)
  assert written.digest == loaded.digest
  assert sorted(p.name for p in tmp_path.iterdir()) == [place.name]


def test_an_artefact_may_have_no_tree(tmp_path):
  place = artefacts.path_of(tmp_path, 'x', IDENTITY)
  artefacts.save(place, IDENTITY, Artefact({'a': np.ones(2)}))
  loaded = artefacts.load(place, IDENTITY)
  assert loaded.tree is None and loaded.notes == {}


def test_a_stage_computes_once(tmp_path):
  compute = counted()
  first = stage(tmp_path, 'deep/er/x', IDENTITY, compute)
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    second = stage(tmp_path, 'deep/er/x', IDENTITY, compute)
  assert compute.calls == 1 and first.digest == second.digest
  check(second)


@pytest.mark.parametrize('other', [
    {**IDENTITY, 'epochs': 4}, {**IDENTITY, 'names': ['b', 'a']},
    {**IDENTITY, 'more': None}])
def test_another_recipe_is_another_artefact(tmp_path, other):
  compute = counted()
  stage(tmp_path, 'x', IDENTITY, compute)
  stage(tmp_path, 'x', other, compute)
  assert compute.calls == 2
  stage(tmp_path, 'x', dict(reversed(IDENTITY.items())), compute)
  assert compute.calls == 2  # The order of keys is no other recipe.


def test_digest_follows_the_contents(tmp_path):
  def digest_of(name, arrays, tree=None):
    return stage(tmp_path, name, {}, lambda: Artefact(
        arrays, tree)).digest

  one, two = {'a': np.ones(2)}, {'a': np.zeros(2)}
  assert digest_of('w', one) == digest_of('x', one) != digest_of('y', two)
  assert digest_of('z', one, TREE) not in (digest_of('w', one), '')


def altered(folder, path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


def truncated(folder, path):
  path.write_bytes(path.read_bytes()[:-1])


def gone(folder, path):
  path.unlink()


@pytest.mark.parametrize('damage', [altered, truncated, gone])
@pytest.mark.parametrize('which', ['arrays.npz', 'tree/*', 'tree/**/d/*'])
def test_a_damaged_file_is_named_set_aside_and_computed_again(
    tmp_path, folder, damage, which):
  path = sorted(p for p in folder.glob(which)
                if p.is_file() and p.stat().st_size)[0]
  damage(folder, path)
  damaged = {p: p.read_bytes() for p in folder.rglob('*') if p.is_file()}
  with pytest.raises(DamagedError) as error:
    artefacts.load(folder, IDENTITY)
  assert str(path) in str(error.value)
  compute = counted()
  with pytest.warns(UserWarning) as caught:
    check(stage(tmp_path, 'a/b', IDENTITY, compute))
  assert compute.calls == 1 and len(caught) == 1
  aside = folder.with_name(f'{folder.name}.damaged0')
  assert str(path) in str(caught[0].message)
  assert aside.name in str(caught[0].message)
  for name, contents in damaged.items():
    assert (aside / name.relative_to(folder)).read_bytes() == contents
  check(artefacts.load(folder, IDENTITY))


@pytest.mark.parametrize('name', [
    'extra.txt', 'tree/extra.txt', 'tree/manifest.json'])
def test_a_file_that_was_added_is_named(folder, name):
  (folder / name).write_text('{}')
  with pytest.raises(DamagedError, match=f'{name} is not what was written'):
    artefacts.load(folder, IDENTITY)


def test_altered_notes_are_named(folder):
  path = folder / 'manifest.json'
  manifest = json.loads(path.read_text())
  path.write_text(json.dumps(manifest | {'notes': {**NOTES, 'seconds': 1.0}}))
  with pytest.raises(DamagedError, match='manifest.json are not what was'):
    artefacts.load(folder, IDENTITY)
  path.write_text(json.dumps(
      {k: x for k, x in manifest.items() if k != 'notes_digest'}))
  check(artefacts.load(folder, IDENTITY))  # As older versions wrote it.


@pytest.mark.parametrize('text', [
    '', '{', '[]', '{}', '{"files": [1], "notes": {}, "identity": {}}'])
def test_a_manifest_that_cannot_be_read_is_named(tmp_path, folder, text):
  (folder / 'manifest.json').write_text(text)
  with pytest.warns(UserWarning, match='manifest.json cannot be read'):
    check(stage(tmp_path, 'a/b', IDENTITY, counted()))


def test_a_missing_manifest_is_named(tmp_path, folder):
  (folder / 'manifest.json').unlink()
  with pytest.warns(UserWarning, match='manifest.json cannot be read'):
    check(stage(tmp_path, 'a/b', IDENTITY, counted()))


def test_the_artefact_of_another_recipe_is_not_used(tmp_path, folder):
  other = {**IDENTITY, 'epochs': 4}
  foreign = artefacts.path_of(tmp_path, 'a/b', other)
  folder.rename(foreign)
  compute = counted()
  with pytest.warns(UserWarning, match='belongs to another recipe'):
    stage(tmp_path, 'a/b', other, compute)
  assert compute.calls == 1
  assert json.loads((foreign / 'manifest.json').read_text())[
      'identity'] == other


def test_what_is_set_aside_is_never_overwritten(tmp_path, folder):
  for _ in range(2):
    (folder / 'arrays.npz').write_bytes(b'')
    with pytest.warns(UserWarning):
      stage(tmp_path, 'a/b', IDENTITY, counted())
  names = sorted(p.name for p in folder.parent.iterdir())
  assert names == [folder.name, f'{folder.name}.damaged0',
                   f'{folder.name}.damaged1']


class Killed(BaseException):
  """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize('owner, moment', [
    (artefacts, '_hash_files'), (files, '_sync')])
def test_a_kill_while_writing_leaves_nothing(
    tmp_path, monkeypatch, owner, moment):
  def kill(*_):
    raise Killed

  with monkeypatch.context() as patch:
    patch.setattr(owner, moment, kill)
    with pytest.raises(Killed):
      stage(tmp_path, 'x', IDENTITY, counted())
  place = artefacts.path_of(tmp_path, 'x', IDENTITY)
  assert not place.exists() and list(tmp_path.iterdir())  # A part is there.
  with pytest.raises(FileNotFoundError, match=place.name):
    artefacts.load(place, IDENTITY)
  compute = counted()
  check(stage(tmp_path, 'x', IDENTITY, compute))
  assert compute.calls == 1
  assert [p.name for p in tmp_path.iterdir()] == [place.name]


def full(*_, **__):
  raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_below_orbax(*_, **__):
  raise ValueError('RESOURCE_EXHAUSTED: Error writing "a/c/0": Failed '
                   'to write 4911104 bytes to file 17: No space left on device '
                   "[os_error_code='28']")


@pytest.mark.parametrize('owner, name, fault', [
    (np, 'savez', full), (shutil, 'disk_usage', lambda _: mock.Mock(free=9)),
    (ocp, 'save', full_below_orbax), (files, '_sync', full),
    (pathlib.Path, 'write_text', full), (pathlib.Path, 'replace', full)])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path, monkeypatch, owner, name, fault):
  place = artefacts.path_of(tmp_path, 'x', IDENTITY)
  with monkeypatch.context() as patch:
    patch.setattr(owner, name, fault)
    with pytest.raises(OSError) as error:
      stage(tmp_path, 'x', IDENTITY, counted())
  assert str(error.value) == f'Cannot write {place}: No space left on device.'
  assert not list(tmp_path.iterdir())
  check(stage(tmp_path, 'x', IDENTITY, counted()))


def test_other_faults_below_orbax_are_not_taken_for_the_disk(
    tmp_path, monkeypatch):
  def refuse(*_):
    raise ValueError('no such type')

  monkeypatch.setattr(ocp, 'save', refuse)
  with pytest.raises(ValueError, match='^no such type$'):
    stage(tmp_path, 'x', IDENTITY, counted())
  assert not list(tmp_path.iterdir())


def test_a_computation_that_fails_leaves_nothing(tmp_path):
  def fail():
    raise ValueError('no')

  with pytest.raises(ValueError, match='^no$'):
    stage(tmp_path, 'x', IDENTITY, fail)
  assert not list(tmp_path.iterdir())


def test_an_artefact_of_any_identity_is_read(folder):
  check(artefacts.load(folder))
