"""Artefacts come back as they were written, or not at all."""

from __future__ import annotations

import json
import pathlib
import warnings

import chex
import numpy as np
import pytest

from rum_jax.storage import artefacts
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
      artefacts.place(root, name, identity), identity, compute)


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
  place = artefacts.place(tmp_path, 'a/b', IDENTITY)
  artefacts.stage(place, IDENTITY, counted())
  return place


def test_an_artefact_comes_back_as_it_was_written(tmp_path):
  place = artefacts.place(tmp_path, 'x', IDENTITY)
  written = artefacts.save(place, IDENTITY, Artefact(ARRAYS, TREE, NOTES))
  loaded = artefacts.load(place, IDENTITY)
  check(loaded)
  assert written.digest == loaded.digest
  assert sorted(p.name for p in tmp_path.iterdir()) == [place.name]


def test_an_artefact_may_have_no_tree(tmp_path):
  place = artefacts.place(tmp_path, 'x', IDENTITY)
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
  foreign = artefacts.place(tmp_path, 'a/b', other)
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


@pytest.mark.parametrize('moment', ['_hash_files', '_sync'])
def test_a_kill_while_writing_leaves_nothing(tmp_path, monkeypatch, moment):
  def kill(*_):
    raise Killed

  with monkeypatch.context() as patch:
    patch.setattr(artefacts, moment, kill)
    with pytest.raises(Killed):
      stage(tmp_path, 'x', IDENTITY, counted())
  place = artefacts.place(tmp_path, 'x', IDENTITY)
  assert not place.exists() and list(tmp_path.iterdir())  # A part is there.
  with pytest.raises(FileNotFoundError, match=place.name):
    artefacts.load(place, IDENTITY)
  compute = counted()
  check(stage(tmp_path, 'x', IDENTITY, compute))
  assert compute.calls == 1
  assert [p.name for p in tmp_path.iterdir()] == [place.name]


def test_a_computation_that_fails_leaves_nothing(tmp_path):
  def fail():
    raise ValueError('no')

  with pytest.raises(ValueError, match='^no$'):
    stage(tmp_path, 'x', IDENTITY, fail)
  assert not list(tmp_path.iterdir())


def test_array_digest_tells_shape_type_and_contents_apart():
  x = np.arange(6, dtype=np.int32)
  others = [x.reshape(2, 3), x.astype(np.int64), x + 1, x.view(np.float32)]
  digests = {artefacts.array_digest(a) for a in (x, *others)}
  assert len(digests) == 5
  assert artefacts.array_digest(x.copy()) == artefacts.array_digest(x)
  pair = x, x + 1
  assert (artefacts.array_digest(*pair)
          != artefacts.array_digest(*reversed(pair)))
  strided = np.repeat(x, 2)[::2]
  assert artefacts.array_digest(strided) == artefacts.array_digest(x)


def test_an_identity_is_plain_json():
  with pytest.raises(ValueError):
    artefacts.digest({'lr': float('nan')})
  with pytest.raises(TypeError):
    artefacts.digest({'rows': np.arange(3)})
