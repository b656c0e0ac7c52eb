"""The command for a GPU, tiny and on a CPU: what it leaves and goes on from."""

from __future__ import annotations

import json
import re
import time

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest

from rum_jax import datasets, recipes, records
from rum_jax.commands import app
from rum_jax.evaluation import Results
from rum_jax.memorization import shards
from rum_jax.memorization.reliability import ScoresCard
from rum_jax.pipeline import context
from rum_jax.pipeline import shards as pipeline
from rum_jax.reporting.speed import Speed

if 'workdir' not in flags.FLAGS:
  app.define(recipes.Recipe())
if not flags.FLAGS.is_parsed():
  flags.FLAGS(['test'])
from experiments import gpu, gpu_wheels  # Their flags come after those.

N, HELD_OUT = 120, 20
TRAINING = '''--dataset=own
--network=mlp
--widths=8
--corrupt=0
--epochs=2
--batch_size=32
--forget=6
'''
MODELS = TRAINING + '''--learning_rate=0.1
--models=24
'''
TABLE = TRAINING + '''--validation=0.1
--methods=finetune
--settings={}/settings.json
'''


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Data in two parts, recipes, settings, and room for what is written."""
  folder = tmp_path_factory.mktemp('gpu')
  rng = np.random.default_rng(0)
  label = rng.integers(0, 3, N + HELD_OUT)
  image = (60 * label[:, None, None, None] + rng.integers(
      0, 60, (N + HELD_OUT, 4, 4, 3))).astype(np.uint8)
  np.savez(folder / 'own.npz', x_train=image[:N], y_train=label[:N],
           x_test=image[N:], y_test=label[N:])
  datasets.parts.split(folder / 'own.npz', folder / 'data', 2)
  setting = {'learning_rate': 0.01, 'epochs': 1}
  (folder / 'settings.json').write_text(json.dumps({
      'methods': {'finetune': dict.fromkeys(
          ('vanilla', 'matched', 'shuffle', 'rum_f'), setting)},
      'rum': [['finetune', setting]] * 3}))
  (folder / 'models.flags').write_text(MODELS)
  (folder / 'table.flags').write_text(TABLE.format(folder))
  return folder


def run(folder, **changes):
  values = {
      'out': str(folder / 'out'), 'data_dir': str(folder / 'data'),
      'models_recipe': str(folder / 'models.flags'),
      'table_recipe': str(folder / 'table.flags'),
      'table_precision': 'float32', 'known_models': str(folder / 'none'),
      'least_models': 24, 'table_seeds': 1,
      'speed': ['mlp/8/float32/8', 'mlp/8/float32/8/2/2'], **changes}
  with flagsaver.flagsaver(**values):
    gpu.main()
  return json.loads((folder / 'out' / 'progress.json').read_text())


@pytest.fixture(scope='module')
def first(folder):
  """All parts, once."""
  return run(folder)


def test_data_in_parts_are_put_together(folder, first):
  with np.load(folder / 'own.npz') as one, np.load(
      folder / 'data' / 'own.npz') as other:
    for name in one:
      np.testing.assert_array_equal(one[name], other[name])


def test_every_part_says_how_it_ended(first):
  assert list(first) == ['speed', 'models', 'table']
  assert [re.sub(r', [0-9,]+ an hour', '', x['how'])
          for x in first.values()] == [
      '2 steps measured', '24 models trained, 24 of 24 there',
      '1 seeds ended, 1 there']


def test_steps_are_measured_with_and_without_others_beside_them(folder, first):
  found = records.read(Speed, folder / 'out' / 'speed_float32.json')
  assert [x.what for x in found.steps] == ['1 seed', '2 seeds, 2 at a time']
  assert all(x.microseconds > 0 and x.batch == 8 for x in found.steps)


def test_models_are_those_of_the_recipe(folder, first):
  """However many at a time, on whatever machine."""
  (path,) = (folder / 'out').glob('models-*.npz')
  found = shards.read(path)
  assert (found.first, found.models) == (0, 24)
  recipe = app.recipe_of(str(folder / 'models.flags'))
  data = context.load(recipe, str(folder / 'data'), forgets=False)
  identity = pipeline.identity_of(recipe, data)
  assert found.identity == identity
  assert [x['models'] for x in found.notes['parts']] == [16, 8]


def test_the_package_has_the_recipe_of_the_models_there_are(folder, first):
  made = shards.merged(
      (gpu_wheels.ROOT / 'results' / 'shards' / 'cifar10').glob('*.npz'))
  data = context.load(app.recipe_of(str(folder / 'models.flags')),
                      str(folder / 'data'), forgets=False)
  found = pipeline.identity_of(app.recipe_of(gpu.MODELS_RECIPE.default), data)
  assert {**found, 'data': ''} == {**made.identity, 'data': ''}
  for name in (gpu.TABLE_RECIPE.default, 'cifar10_airbench'):
    assert app.recipe_of(name).dataset == 'cifar10'
  with pytest.raises(FileNotFoundError, match='No file of flags nowhere'):
    app.recipe_of('nowhere')


def test_the_table_forgets_by_the_scores_of_these_models(folder, first):
  out = folder / 'out'
  card = records.read(ScoresCard, out / 'scores.json')
  assert card.models == 24 and sum(x.models for x in card.work.values()) == 24
  found = records.read(Results, out / 'table.json')
  assert found.seeds == (0,) and found.examples.train == 108
  assert {(x.method, x.variant) for x in found.rows[2:]} == {
      ('rum', 'rum'), *(('finetune', x) for x in recipes.VARIANTS)}
  assert all(0 <= x.tow.mean <= 1 for x in found.rows)
  assert found.groups['high'].mean_memorization >= (
      found.groups['low'].mean_memorization)


def test_it_goes_on_from_what_came_back(folder, first, tmp_path):
  """Without the workdir: the next seed, and no model twice."""
  for path in (folder / 'out').iterdir():
    if path.is_file():
      (folder / 'back').mkdir(exist_ok=True)
      (folder / 'back' / path.name).write_bytes(path.read_bytes())
  with flagsaver.flagsaver(workdir=str(tmp_path)):
    run(folder, out=str(folder / 'back'), run_parts=['models', 'table'])
  said = json.loads((folder / 'back' / 'progress.json').read_text())
  assert said['models']['how'] == '0 models trained, 24 of 24 there'
  assert said['table']['how'] == '1 seeds ended, 2 there'
  found = records.read(Results, folder / 'back' / 'table.json')
  assert found.seeds == (0, 1) and found.recipe.seeds == 2
  alone = records.read(Results, folder / 'out' / 'table.json')
  for one, both in zip(alone.rows, found.rows, strict=True):
    assert both.tow.values[0] == one.tow.values[0]
    assert len(both.tow.values) == 2 and np.isfinite(both.tow.ci95)


def test_a_part_that_fails_or_is_late_does_not_end_the_next(
    folder, first, tmp_path, monkeypatch):
  def late(*_):
    raise gpu.TimeUp

  monkeypatch.setattr(gpu.single_steps, 'steps', late)
  run(folder, out=str(tmp_path), least_models=25,
      known_models=str(folder / 'out'), from_model=8)
  said = json.loads((tmp_path / 'progress.json').read_text())
  assert said['speed']['how'] == 'stopped at its limit of 150 s'
  assert said['models']['how'] == '0 models trained, 24 of 24 there'
  assert said['table']['how'] == (
      'failed: Expected least_models=25 memorization models from number 0 on, '
      'found 24.')


def test_no_part_begins_after_the_limit_of_all(folder, tmp_path, monkeypatch):
  monkeypatch.setattr(gpu.single_steps, 'steps', lambda *_: time.sleep(1.1))
  with flagsaver.flagsaver(out=str(tmp_path), total_seconds=1,
                           run_parts=['speed', 'models']):
    gpu.main()
  said = json.loads((tmp_path / 'progress.json').read_text())
  assert said['speed']['how'] == 'stopped at its limit of 1 s'
  assert said['models']['how'] == 'not begun: total_seconds=1 were over'


def test_a_limit_of_time_is_kept():
  with pytest.raises(gpu.TimeUp), gpu.limited(0.01):
    while True:
      pass
  with pytest.raises(gpu.TimeUp), gpu.limited(0):
    pass


@pytest.mark.parametrize('changes, words', [
    ({'seconds': ['500', '1', '1']}, 'seconds=500 of speed'),
    ({'run_parts': ['all']}, 'parts=all'),
    ({'speed': ['cnn']}, 'speed=cnn')])
def test_wrong_flags_are_named(folder, changes, words, tmp_path):
  with flagsaver.flagsaver(out=str(tmp_path), **changes):
    if 'speed' in changes:
      with flagsaver.flagsaver(run_parts=['speed']):
        gpu.main()
      assert words in (tmp_path / 'progress.json').read_text()
    else:
      with pytest.raises(ValueError, match=words):
        gpu.main()


def test_packages_are_those_of_the_lock_file_for_the_other_machine():
  lock = (gpu_wheels.ROOT / 'requirements.lock').read_text()
  names = [*gpu_wheels.PURE, *gpu_wheels.COMPILED]
  lines = gpu_wheels.pinned(lock, names, '3.12').splitlines()
  assert [x.partition('==')[0] for x in lines] == names
  assert all(lock.count(h) for x in lines for h in x.split()[1:])
  some = """one==1.0 ; python_full_version < '3.12' \\
    --hash=sha256:aa
one==2.0 ; python_full_version >= '3.12' \\
    --hash=sha256:bb \\
    --hash=sha256:cc
two==3.0 ; sys_platform == 'win32' \\
    --hash=sha256:dd
"""
  assert gpu_wheels.pinned(some, ['one'], '3.12') == (
      'one==2.0 --hash=sha256:bb --hash=sha256:cc\n')
  with pytest.raises(ValueError, match='packages=two'):
    gpu_wheels.pinned(some, ['two'], '3.12')


def test_no_folder_of_somebody_is_emptied_for_wheels(tmp_path):
  into = tmp_path / 'wheels'
  gpu_wheels.clear(into)
  (into / 'flax.py').write_text('')
  gpu_wheels.clear(into)
  assert not (into / 'flax.py').exists()
  (tmp_path / 'thesis.txt').write_text('')
  for other in (tmp_path, tmp_path / 'thesis.txt'):
    with pytest.raises(ValueError, match='into=.* to be new, empty'):
      gpu_wheels.clear(other)
  assert (tmp_path / 'thesis.txt').exists() and into.exists()
