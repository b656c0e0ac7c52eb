"""Every recipe that is shipped can be read, and says where it comes from."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import warnings

from absl import flags
import jax
import numpy as np
import pytest

from rum_jax import datasets, models, recipes, records
from rum_jax.pipeline import builders

FLAGS = sorted(pathlib.Path(recipes.__file__).parent.glob('*.flags'))
TUNED = sorted(recipes.TUNED.glob('*.json'))
TYPES = {'str': str, 'int': int, 'float': float,
         'bool': lambda text: {'true': True, 'false': False}[text]}


def read(path: pathlib.Path) -> tuple[recipes.Recipe, dict[str, str]]:
  """The recipe of a file of flags, and the flags that are not of a recipe."""
  lines = flags.FlagValues().read_flags_from_files([f'--flagfile={path}'])
  found = dict(x.removeprefix('--').partition('=')[::2] for x in lines)
  fields = {f.name: f.type for f in dataclasses.fields(recipes.Recipe)}
  given = {k: TYPES[fields[k]](found.pop(k) or 'true')
           for k in list(found) if k in fields}
  return recipes.Recipe(**given), found


@pytest.mark.parametrize('path', FLAGS, ids=lambda p: p.stem)
def test_a_file_of_flags_gives_a_recipe(path):
  recipe, rest = read(path)
  assert path.stem.startswith(recipe.dataset)
  assert set(rest) <= {'method'}
  if rest:
    method = rest['method']
    assert method in recipes.MAIN and path.stem.endswith(method)
    assert recipes.tuned(recipe).methods[method]['vanilla']
  text = path.read_text().lower()
  assert any(x in text for x in ('paper', 'released code', 'ours'))


@pytest.mark.parametrize('path', TUNED, ids=lambda p: p.stem)
def test_settings_are_taken_by_their_methods_and_have_a_source(path):
  found = json.loads(path.read_text())
  model = models.from_linen(models.MLP(10), (8, 8, 1))
  stages = [(m, s) for m, v in found['methods'].items() for s in v.values()]
  for method, setting in [*stages, *found['rum']]:
    builders.build(recipes.Recipe(), model, method, setting)
  for method in (*found['methods'], 'rum'):
    assert {'command', 'source'} & set(found['searched'][method])


@pytest.mark.parametrize('path', TUNED, ids=lambda p: p.stem)
def test_settings_are_read_and_written_without_a_loss(path):
  found = json.loads(path.read_text())
  record = recipes.read_settings(path)
  written = records.as_json(record)
  assert records.from_json(recipes.TunedSettings, written) == record
  assert (written['methods'], written['rum']) == (
      found['methods'], found['rum'])
  for method, search in found['searched'].items():
    assert search.items() <= written['searched'][method].items()


def test_the_papers_settings_are_those_of_the_released_code():
  recipe, _ = read(next(p for p in FLAGS if p.stem == 'cifar10_resnet18'))
  assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (
      30, 256, 0.1)
  assert (recipe.momentum, recipe.weight_decay) == (0.9, 5e-4)
  assert (recipe.forget, recipe.validation, recipe.augment) == (
      3000, 0.1, 'crop_and_flip')
  assert [x[0] for x in recipes.tuned(recipe).rum] == [
      'identity', 'finetune', 'salun']


@pytest.mark.parametrize(('methods', 'lacks'), [
    ('finetune,salun', ()), ('salun,finetune,scrub', ()),
    ('finetune', ('salun',)), ('scrub', ('finetune', 'salun'))])
def test_full_rum_takes_no_method_that_was_not_asked_for(methods, lacks):
  settings = recipes.TunedSettings(methods={}, rum=(
      ('identity', {}), ('finetune', {}), ('salun', {})))
  recipe = recipes.Recipe(methods=methods)
  assert recipes.unasked(recipe, settings) == lacks
  assert recipes.full_rum(recipe, settings) == (
      () if lacks else settings.rum)


def test_milestones_divide_the_rate_by_five():
  recipe = recipes.Recipe(learning_rate=0.1, epochs=9, milestones='3,6')
  rate = builders.schedule(recipe, 10)
  found = [float(rate(10 * epoch + 5)) for epoch in range(9)]
  assert found == pytest.approx([0.1] * 3 + [0.02] * 3 + [0.004] * 3)


@pytest.mark.parametrize(('fields', 'message'), [
    ({'milestones': '3,x'}, 'Expected milestones=3,x to be epochs by commas.'),
    ({'examples': -1}, 'Expected examples=-1 to be at least 0.'),
    ({'methods': ''}, 'Expected methods= to name at least one algorithm'),
    ({'methods': 'ssd,ssd'}, 'Expected methods=ssd,ssd to name at least one'),
    ({'batch_norm': 'x'}, 'Expected batch_norm=x to be one of update, freeze'),
    ({'validation': 1.0}, r'Expected validation=1.0 in \[0, 0.9\].')])
def test_bad_values_are_named(fields, message):
  with pytest.raises(ValueError, match=message):
    recipes.Recipe(**fields)


def test_the_training_part_is_the_same_whoever_judges():
  both = [builders.load_source(recipes.Recipe(
      validation=0.1, examples=500, held_out=judge), '')
          for judge in ('test', 'validation')]
  rows = [source.row[source.train].tolist() for source in both]
  assert rows[0] == rows[1] and len(rows[0]) == pytest.approx(500, abs=5)
  held_out = [set(source.row[source.test]) for source in both]
  assert not held_out[0] & held_out[1]
  assert not held_out[1] & set(rows[0])


@pytest.mark.parametrize('network', recipes.NETWORKS)
def test_every_network_of_a_recipe_is_built(network):
  recipe = recipes.Recipe(network=network, dataset='mine')
  source = datasets.from_arrays(
      np.zeros((2, 32, 32, 3), np.uint8), np.arange(2), 'mine')
  model = builders.build_model(recipe, source)
  variables = jax.eval_shape(model.init, jax.random.key(0))
  shapes = {x.shape[-1] for x in jax.tree.leaves(variables.params)}
  assert 2 in shapes  # The classes.
  if 'vit' in network:
    assert 8 * 8 + 1 in variables.params['pos_embed'].shape  # Of 4 pixels.


def test_more_examples_than_there_are_is_an_error():
  with pytest.raises(ValueError, match='Expected examples=5000 to be fewer'):
    builders.load_source(recipes.Recipe(examples=5000), '')


def test_a_setting_may_change_what_the_recipe_offers():
  model = models.from_linen(models.MLP(10), (8, 8, 1))
  for batch_norm in recipes.BATCH_NORM:
    assert callable(builders.build(
        recipes.Recipe(batch_norm=batch_norm), model, 'scrub',
        {'batch_size': 8, 'learning_rate': 0.1}))
  with pytest.raises(ValueError, match='batch_size=0'):
    builders.build(recipes.Recipe(), model, 'scrub', {'batch_size': 0})


def test_the_command_that_finds_settings_has_what_they_depend_on(tmp_path):
  recipe = recipes.Recipe(
      dataset='own', epochs=3, seeds=2, first_seed=5, methods='salun,ssd')
  with pytest.raises(FileNotFoundError) as error:
    recipes.tuned(recipe, ' --data_dir=mine')
  assert str(error.value).endswith(
      'finds them: python -m experiments.tune --methods=salun,ssd '
      '--dataset=own --epochs=3 --data_dir=mine')
  recipe = recipes.Recipe(settings=str(tmp_path / 'none.json'))
  with pytest.raises(FileNotFoundError, match='No file settings=.*none.json'):
    recipes.tuned(recipe)


def test_a_method_without_settings_is_refused_with_the_command_for_it():
  recipe = recipes.Recipe(network='cnn', methods='finetune,ssd,scrub')
  with pytest.raises(ValueError, match=re.escape(
      'No tuned settings for scrub,ssd in ') + r'.*digits_cnn\.json\. This '
      'command finds them: python -m experiments.tune --methods=scrub,ssd '
      '--network=cnn --data_dir=mine'):
    recipes.tuned(recipe, ' --data_dir=mine')


def test_spaces_after_commas_are_no_names():
  names = recipes.Recipe(methods='finetune, salun').method_names
  assert names == ('finetune', 'salun')


def test_settings_that_were_searched_under_another_recipe_are_named(tmp_path):
  searched = {'finetune': {'recipe': {
      'epochs': 40, 'network': 'mlp', 'seeds': 4, 'batch_size': 32}}}
  variants = dict.fromkeys(recipes.VARIANTS, {'epochs': 3})
  path = tmp_path / 'settings.json'
  path.write_text(json.dumps({
      'methods': {'finetune': variants}, 'rum': [], 'searched': searched}))
  recipe = recipes.Recipe(methods='finetune', settings=str(path), epochs=10)
  with pytest.warns(UserWarning, match=re.escape(
      f'The settings of finetune in {path} were searched with epochs=40, '
      'batch_size=32.')):
    recipes.tuned(recipe)
  with pytest.warns(UserWarning, match='searched with augment=none.$'):
    recipes.tuned(dataclasses.replace(  # Which the file is older than.
        recipe, epochs=40, batch_size=32, augment='crop_and_flip'))
  with warnings.catch_warnings(action='error'):
    recipes.tuned(dataclasses.replace(recipe, epochs=40, batch_size=32))


def test_a_difference_of_settings_is_said_once_whoever_asks():
  recipe = recipes.Recipe(methods='finetune', epochs=10)
  with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter('default')
    recipes.tuned(recipe)
    recipes.tuned(recipe)  # Another line, as another module would be.
  assert [str(x.message).split()[-1] for x in said] == ['epochs=40.']


def test_settings_of_a_wrong_form_are_named(tmp_path):
  path = tmp_path / 'settings.json'
  path.write_text(json.dumps({'methods': {'finetune': {}}, 'rum': []}))
  with pytest.raises(ValueError, match='to be what experiments.tune writes'):
    recipes.tuned(recipes.Recipe(methods='finetune', settings=str(path)))
