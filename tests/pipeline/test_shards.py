"""Shards: their identity, and equal results for any division of the work."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pytest

from rum_jax import recipes
from rum_jax.memorization import shards
from rum_jax.pipeline import context
from rum_jax.pipeline import shards as pipeline

MADE = pathlib.Path(__file__).parents[2] / 'results' / 'shards' / 'cifar10'
RECIPE = recipes.Recipe(corrupt=0.0, epochs=1, models=4, widths='8,4')


@pytest.fixture(scope='module')
def data():
  return context.load(RECIPE, 'data', forgets=False)


def test_the_same_models_however_the_work_is_cut(data, tmp_path):
  runtime = context.start(RECIPE, data, tmp_path)
  identity = pipeline.identity_of(RECIPE, data)

  def made(first, count):
    return pipeline.trained(RECIPE, data, runtime, identity, first, count)

  whole, parts = made(0, 3), [made(2, 1), made(0, 2)]
  folder = tmp_path / 'shards'
  for part in parts:
    shards.write(folder, part)
  joined = shards.merged(folder.iterdir(), identity)
  for name in ('inside', 'correct', 'held_out', 'level'):
    np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))
  size = round(0.7 * data.num_train)
  np.testing.assert_array_equal(
      np.bitwise_count(whole.inside).sum(1), [size] * 3)
  assert 0.2 < whole.notes['fit'][0] < 1 and len(whole.notes['held_out']) == 3


@pytest.mark.parametrize('there, parts', [
    (set(), [(2, 2), (4, 2), (6, 1)]),
    ({3}, [(2, 1), (4, 2), (6, 1)]),
    ({2, 3, 6}, [(4, 2)]),
    (set(range(2, 7)), [])])
def test_only_missing_models_are_trained(there, parts):
  assert pipeline.missing(there, 2, 7, 2) == parts


@pytest.mark.parametrize('change', [
    {'validation': 0.1}, {'examples': 700}, {'corrupt': 0.1},
    {'held_out': 'validation'}, {'augment': 'crop_and_flip'},
    {'milestones': '3'}, {'widths': ''}])
def test_a_recipe_that_is_not_of_the_published_data_is_refused(data, change):
  name, value = next(iter(change.items()))
  with pytest.raises(ValueError, match=name) as error:
    pipeline.identity_of(dataclasses.replace(RECIPE, **change), data)
  assert f'{name}={value}' in str(error.value) or name == 'widths'


def test_words_of_an_identity_are_frozen(data):
  """A changed word makes the models of months useless, so it stands here."""
  found = pipeline.identity_of(dataclasses.replace(
      RECIPE, network='airbench', widths='32,64,128', epochs=8, batch_size=128,
      learning_rate=0.25, schedule='triangle', momentum=0.85, nesterov=True,
      bias_rate=64.0, weight_decay=5e-4), data)
  made = shards.merged(MADE.glob('*.npz'))
  assert made.first == 0 and made.identity['data']['examples'] == [50000, 10000]
  for identity in (found, made.identity):
    del identity['data']
  assert found == made.identity == {
      'format': 1,
      'network': {
          'name': 'airbench', 'widths': [32, 64, 128],
          'input': 'normalised by channel moments of the training images'},
      'training': {
          'loss': 'cross-entropy', 'augmentation': 'none',
          'optimiser': "SGD with Nesterov's momentum",
          'schedule': 'linear, 0.2 to 1 at 23 %, then to 0.07',
          'precision': 'float32', 'epochs': 8, 'batch_size': 128,
          'peak_learning_rate': 0.25, 'momentum': 0.85, 'norm_bias_rate': 64.0,
          'weight_decay': 5e-4},
      'subset': {'rule': 'fold_in(key(seed), number), split, permutation',
                 'share': 0.7, 'seed': 0}}
