"""From shards to packaged scores, their card, and the page of images."""

from __future__ import annotations

import dataclasses
import pathlib

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest

from rum_jax import memorization, recipes, records, refinement
from rum_jax.commands import app
from rum_jax.memorization import score_files, shards
from rum_jax.memorization.reliability import ScoresCard
from rum_jax.pipeline import context, forget_set, packaging, results
from rum_jax.pipeline import subset_models
from rum_jax.reporting import markdown
from rum_jax.storage import digests
from rum_jax.types import Images

if 'workdir' not in flags.FLAGS:
  app.define(recipes.Recipe())
if not flags.FLAGS.is_parsed():
  flags.FLAGS(['test'])
from experiments import memorized, scores  # Their flags come after those.

MADE = pathlib.Path(__file__).parents[2] / 'results' / 'shards' / 'cifar10'
N, HELD_OUT, MODELS = 90, 20, 64
RECIPE = recipes.Recipe(dataset='own', corrupt=0.0, forget=6, batch_size=8)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """A data set of random images, of which the last is a copy of the first."""
  rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp('own')
  image = rng.integers(0, 256, (N + HELD_OUT, 4, 4, 1), np.uint8)
  image[N - 1] = image[0]
  label = rng.integers(0, 3, N + HELD_OUT)
  np.savez(folder / 'own.npz', x_train=image[:N], y_train=label[:N],
           x_test=image[N:], y_test=label[N:])
  return folder


@pytest.fixture(scope='module')
def shard(folder):
  """Models that memorize rows 0 to 9 and understand the rest."""
  with np.load(folder / 'own.npz') as data:
    parts = [Images(data[f'x_{x}'], data[f'y_{x}']) for x in ('train', 'test')]
  rng = np.random.default_rng(1)
  inside = rng.random((MODELS, N)) < 0.7
  correct = inside | (np.arange(N) >= 10)
  level = np.where(correct, shards.LEVELS, 4).astype(np.uint8)
  pack = memorization.pack
  return shards.Shard(
      shards.identity(*parts, {'name': 'mlp', 'widths': (8, 4)},
                      {'epochs': 3, 'augmentation': 'none'}, {'share': 0.7}),
      0, pack(inside), pack(correct),
      pack(np.arange(HELD_OUT)[None] < np.full((MODELS, 1), 15)), level,
      {'parts': [{'models': MODELS, 'seconds': 3000.0, 'compile_seconds': 600.0,
                  'device': 'one device'}]})


@pytest.fixture(scope='module')
def file(shard, tmp_path_factory):
  path = tmp_path_factory.mktemp('scores') / 'own_mlp.npz'
  return path, packaging.package(shard, path, 5)


def test_the_card_says_what_the_scores_are(file, shard, tmp_path):
  path, card = file
  assert (card.name, card.first_model, card.models) == ('own_mlp', 0, MODELS)
  assert card.file_hash == digests.file_digest(path)
  assert card.identity == shard.identity
  assert [x.models for x in card.convergence] == [16, 32, 64]
  assert card.fit.mean == 1 and card.held_out_accuracy == 0.75
  assert card.work['one device'].models_an_hour == MODELS
  results.write(tmp_path / 'card.json', card)
  assert records.read(ScoresCard, tmp_path / 'card.json') == card
  text = markdown.scores(card, 'the command')
  for words in ('models 0 to 63 of mlp of widths 8, 4', '70% of 90 examples',
                '64 models took 1.0 hours on one device, 64.0 an hour',
                'about 75.0% of the test examples', card.file_hash[:12]):
    assert words in text
  assert 'do not measure memorization' not in text
  unfit = dataclasses.replace(card, fit=dataclasses.replace(card.fit, mean=0.9))
  assert 'do not measure memorization' in markdown.scores(unfit, '')


@pytest.mark.parametrize('changes', [
    {}, {'validation': 0.2}, {'examples': 30}, {'held_out': 'validation'}])
def test_any_part_of_the_data_gets_the_scores_of_its_rows(
    file, folder, changes):
  recipe = dataclasses.replace(RECIPE, scores=str(file[0]), **changes)
  data = context.load(recipe, str(folder))
  found = subset_models.read_scores(recipe, data, recipe.scores)
  row = data.source.row[:data.num_train]
  np.testing.assert_array_equal(found.score, np.where(row < 10, 1.0, 0.0))
  assert (found.models_in + found.models_out == MODELS).all()
  groups = refinement.by_score(found.score, 2, middle=0.5, seed=0)
  assert (row[groups[2]] < 10).all() and (row[groups[0]] >= 10).all()


def test_rows_without_a_score_are_named(file, folder, tmp_path):
  with np.load(file[0]) as arrays:
    part = {name: x[3:] if x.ndim else x for name, x in arrays.items()}
  np.savez(tmp_path / 'part.npz', **part)
  data = context.load(RECIPE, str(folder))
  with pytest.raises(ValueError, match='none of 3 of them, the first in row 0'):
    subset_models.read_scores(RECIPE, data, str(tmp_path / 'part.npz'))


def test_an_example_that_all_models_trained_on_has_no_group(
    shard, folder, tmp_path):
  """Its score is NaN, since no model is without it."""
  every = shard.inside.copy()
  every[:, 0] |= 1 << 3  # Row 4.
  path = tmp_path / 'all.npz'
  packaging.package(shard._replace(inside=every), path, 5)
  recipe = dataclasses.replace(RECIPE, scores=str(path))
  data = context.load(recipe, str(folder))
  found = subset_models.read_scores(recipe, data, str(path))
  assert np.isnan(found.score[4]) and np.isfinite(found.score).sum() == N - 1
  with pytest.raises(ValueError, match='none of 1 of them, the first in row 4'):
    forget_set.choose(recipe, data, found.score)


def test_recipes_of_cifar10_use_the_packaged_scores_once_they_are_there():
  there = 'cifar10_airbench' in score_files.names()
  for name in ('cifar10_airbench', 'cifar10_resnet18'):
    recipe = app.recipe_of(name)
    assert recipe.scores == ('cifar10_airbench' if there else ''), name


def test_scores_of_other_data_or_labels_are_refused(file, folder):
  digits = recipes.Recipe(corrupt=0.0)
  with pytest.raises(ValueError, match='belongs to another data set'):
    subset_models.read_scores(digits, context.load(digits, ''), str(file[0]))
  wrong = dataclasses.replace(RECIPE, corrupt=0.1)
  with pytest.raises(ValueError, match=r'corrupt=0\.1 to be 0'):
    subset_models.read_scores(wrong, context.load(wrong, str(folder)),
                              str(file[0]))
  data = context.load(RECIPE, str(folder))
  with pytest.raises(ValueError, match='belongs to another data set'):
    score_files.load(str(file[0]), N, data.hash)


def test_shards_that_are_there_become_scores(tmp_path, capsys):
  command = flagsaver.flagsaver(
      models_in=str(MADE), name='cifar10', folder=str(tmp_path), at_least=2,
      card=str(tmp_path / 'card.json'))
  with command:
    scores.main()
  assert 'of airbench of widths 32, 64, 128' in capsys.readouterr().out
  card = records.read(ScoresCard, tmp_path / 'card.json')
  assert card.fit.mean > 0.99 and card.held_out_accuracy > 0.8
  found = score_files.load_rows(
      str(tmp_path / 'cifar10.npz'), np.arange(49_000, 50_000),
      card.identity['data']['train'])
  assert np.nanmax(found.score) == 1 and found.score.shape == (1000,)
  with command, flagsaver.flagsaver(at_least=10**4):
    with pytest.raises(ValueError, match='at_least=10000 models'):
      scores.main()


def test_the_page_shows_the_most_memorized(file, folder, tmp_path):
  with flagsaver.flagsaver(
      dataset='own', corrupt=0.0, forget=6, batch_size=8, data_dir=str(folder),
      scores=str(file[0]), page=str(tmp_path / 'page.html'), top=5):
    memorized.main()
  text = (tmp_path / 'page.html').read_text()
  assert 'The 5 most memorized images of own' in text
  assert '10 of 90 training images have the lowest score' in text
  assert '1 of the images shown are exact copies' in text
  for row in (0, 4, N - 1):
    assert f'row {row}' in text
  assert 'row 5<' not in text
