"""Shards are read and merged; damaged or foreign ones are refused."""

from __future__ import annotations

import numpy as np
import pytest

from rum_jax import memorization
from rum_jax.memorization import shards
from rum_jax.storage import files
from rum_jax.types import Images

N, HELD_OUT = 21, 10


def data(seed: int, count: int) -> Images:
  rng = np.random.default_rng(seed)
  return Images(rng.integers(0, 256, (count, 2, 2, 1), np.uint8),
                 rng.integers(0, 3, count))


def identity(**changes):
  settings = {'network': {'name': 'mlp', 'widths': (8, 4)},
              'training': {'epochs': 3}, 'subset': {'share': 0.7}, **changes}
  return shards.identity(data(0, N), data(1, HELD_OUT), **settings)


def shard(first: int, models: int, **changes) -> shards.Shard:
  rng = np.random.default_rng(first)
  bits = [memorization.pack(rng.integers(0, 2, (models, n)) > 0)
          for n in (N, N, HELD_OUT)]
  level = rng.integers(0, shards.LEVELS + 1, (models, N)).astype(np.uint8)
  return shards.Shard(identity(**changes), first, *bits, level,
                      {'seconds': 1.5 * models})


@pytest.fixture
def folder(tmp_path):
  for first, models in ((4, 3), (0, 4)):
    shards.write(tmp_path, shard(first, models))
  return tmp_path


def test_what_is_written_is_read(folder):
  paths = sorted(folder.iterdir())
  assert [x.name for x in paths] == [
      'models-00000-00003.npz', 'models-00004-00006.npz']
  found, want = shards.read(paths[0]), shard(0, 4)
  for name in ('inside', 'correct', 'held_out', 'level'):
    np.testing.assert_array_equal(getattr(found, name), getattr(want, name))
  assert found.identity == want.identity and found.notes == want.notes
  assert found.models == 4 and found.first == 0


def test_ranges_merge_in_ascending_order(folder):
  found = shards.merged(folder.iterdir())
  want = [shard(0, 4), shard(4, 3)]
  assert (found.first, found.models) == (0, 7)
  for name in ('inside', 'correct', 'held_out', 'level'):
    np.testing.assert_array_equal(
        getattr(found, name),
        np.concatenate([getattr(x, name) for x in want]))
  assert found.notes == {'parts': [
      {'models': 4, 'seconds': 6.0}, {'models': 3, 'seconds': 4.5}]}


def test_the_identity_is_of_data_network_training_and_subset_alone():
  one = identity()
  assert set(one) == {'format', 'data', 'network', 'training', 'subset'}
  assert one['network'] == {'name': 'mlp', 'widths': [8, 4]}
  # The hash does not depend on how labels are kept in memory.
  x = data(0, N)
  assert shards.published_hash(x) == shards.published_hash(
      Images(np.asfortranarray(x.image), x.label.astype(np.int16)))


@pytest.mark.parametrize('changes, name, values', [
    ({'training': {'epochs': 4}}, 'training.epochs', ('=3', 'found 4')),
    ({'network': {'name': 'mlp', 'widths': (8, 5)}}, 'network.widths',
     ('[8, 4]', '[8, 5]')),
    ({'subset': {'share': 0.7, 'seed': 1}}, 'subset.seed', ('nothing', '1'))])
def test_a_shard_of_another_recipe_is_named(folder, changes, name, values):
  path = shards.write(folder, shard(7, 1, **changes))
  with pytest.raises(ValueError) as error:
    shards.merged(folder.iterdir())
  assert all(x in str(error.value) for x in (str(path), name, *values))


def test_a_shard_of_other_data_is_named(folder):
  other = shards.identity(
      data(2, N), data(1, HELD_OUT), {'name': 'mlp', 'widths': (8, 4)},
      {'epochs': 3}, {'share': 0.7})
  path = shards.write(folder, shard(7, 1)._replace(identity=other))
  with pytest.raises(ValueError, match='data.train') as error:
    shards.merged(folder.iterdir(), identity())
  assert str(path) in str(error.value)


def test_models_that_are_there_twice(folder):
  shards.write(folder, shard(6, 2))
  with pytest.raises(ValueError, match='models 6 to 6 are there twice'):
    shards.merged(folder.iterdir())


def test_a_gap(folder):
  shards.write(folder, shard(9, 2))
  with pytest.raises(ValueError, match='models 7 to 8 are missing'):
    shards.merged(folder.iterdir())


def test_nothing_to_merge(tmp_path):
  with pytest.raises(ValueError, match='found none'):
    shards.merged(tmp_path.iterdir())


def damaged(path, change):
  """Writes the shard's arrays with one of them changed, or left out."""
  with np.load(path) as found:
    arrays = dict(found)
  change(arrays)
  files.write_arrays(path, arrays)


@pytest.mark.parametrize('change, words', [
    (lambda x: x.pop('level'), 'level'),
    (lambda x: x.update(identity=np.str_('{"format": 2}')), 'found 2'),
    (lambda x: x.update(correct=x['correct'][:2]), 'correct'),
    (lambda x: x.update(level=x['level'] + np.uint8(32)), 'levels'),
    (lambda x: x.update(level=x['level'].astype(int)), 'level')])
def test_what_is_no_shard_is_named(folder, change, words):
  path = sorted(folder.iterdir())[0]
  damaged(path, change)
  with pytest.raises(ValueError, match=words) as error:
    shards.merged(folder.iterdir())
  assert str(path) in str(error.value)


@pytest.mark.parametrize('keep', [0, 10, 200, -30])
def test_a_truncated_file_is_named(folder, keep):
  path = sorted(folder.iterdir())[1]
  path.write_bytes(path.read_bytes()[:keep])
  with pytest.raises(ValueError, match='not a whole shard') as error:
    shards.merged(folder.iterdir())
  assert str(path) in str(error.value)
