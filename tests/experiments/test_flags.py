"""Wrong flags and input give one line with name and value, no traceback."""

import json
import subprocess

import numpy as np
import pytest

from rum_jax import recipes
from rum_jax.pipeline import context, forget_set, subset_models
from tests.experiments.conftest import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Files that are wrong in one way each."""
  folder = tmp_path_factory.mktemp('input')
  image, label = np.zeros((200, 8, 8, 1)), np.arange(200) % 10
  nan, low = image.copy(), label.copy()
  nan[3, 1, 1, 0], low[7] = np.nan, -1

  def write(name, image, label):
    np.savez(folder / f'{name}.npz', x_train=image, y_train=label,
             x_test=image, y_test=label)

  write('nan', nan, label)
  write('label', image, low)
  np.savez(folder / 'missing.npz', x_train=image)
  for name, groups in (
      ('overlap', [[0, 2], [2, 3], [4]]), ('empty', [[], [2], [4]]),
      ('outside', [[0], [2], [5000]])):
    (folder / f'{name}.json').write_text(
        json.dumps(dict(zip(('low', 'medium', 'high'), groups))))
  fields = ('score', 'standard_error', 'models_in', 'models_out')
  for name, count in (('short', 10), ('foreign', 1438)):
    np.savez(folder / f'{name}_scores.npz', data_hash='0' * 64,
             **{f: np.zeros(count) for f in fields})
  (folder / 'broken_scores.npz').write_bytes(b'PK\x03\x04 not a zip')
  (folder / 'file').write_text('')
  return folder


@pytest.mark.parametrize(('flags', 'code', 'message'), [
    ('--corrupt=1.5', 1, 'Expected corrupt=1.5 in [0, 1].'),
    ('--chunk=0', 1, 'Expected chunk=0 to be auto or a whole number'),
    ('--corrupt=much', 2, '--corrupt=much'),
    ('--bogus=1', 2, "Unknown command line flag 'bogus'"),
    ('extra', 2, "Expected flags only, found 'extra'."),
    ('--dataset=nan', 1,
     'Expected finite pixels, found nan in row 3 of x_train.'),
    ('--scores={}/foreign_scores.npz', 1, 'belongs to another data set'),
    ('--workdir={}/file', 1, 'file: File exists.'),
])
def test_one_clear_line(run, folder, tmp_path, flags, code, message):
  process = run('memorize', f'--data_dir={folder}', f'--workdir={tmp_path}',
                '--models=2', '--epochs=1', flags.format(folder))
  assert process.returncode == code
  lines = process.stderr.strip().splitlines()
  assert len(lines) == 1 and lines[0].startswith('Error: '), process.stderr
  assert message in lines[0]


@pytest.mark.parametrize(('fields', 'message'), [
    ({'forget': 100}, 'Expected forget=100 to be a multiple of 3.'),
    ({'subset': 1.0}, 'Expected subset=1.0 in (0, 1).'),
    ({'momentum': -1.0}, 'Expected momentum=-1.0 in [0, 1].'),
    ({'seeds': 0}, 'Expected seeds=0 to be at least 1.'),
    ({'models': 1}, 'Expected models=1 to be at least 2.'),
    ({'refine_by': 'magic'}, 'Expected refine_by=magic to be one of '
     'memorization, confidence, '),
    ({'network': 'vit'},
     'Expected network=vit to be one of mlp, cnn, airbench, resnet9'),
    ({'methods': 'magic'}, 'Expected methods=magic to be one of '),
    ({'forget': 3000}, 'Expected forget=3000 to leave a retain set of at '
     'least one batch, batch_size=64, of the 1438 training examples.'),
    ({'dataset': 'none'}, 'There is no data=none, '),
    ({'dataset': 'label'},
     'label.npz: Expected labels to be whole numbers of at least 0 and below '
     '2**53, found -1 in row 7 of y_train.'),
    ({'dataset': 'missing'}, 'missing.npz to hold y_train.'),
    ({'groups': 'overlap.json'},
     'overlap.json: Row 2 occurs 2 times.'),
    ({'groups': 'empty.json'},
     'empty.json, low: The list of rows to forget is empty.'),
    ({'groups': 'outside.json'},
     'outside.json, high: Row 5000 does not exist: '),
    ({'groups': 'none.json'}, 'none.json: No such file'),
    ({'scores': 'none.npz'}, 'No file scores='),
    ({'scores': 'short_scores.npz'}, 'to hold 1438 scores, found 10.'),
    ({'scores': 'broken_scores.npz'}, 'is not a memorization.npz'),
])
def test_name_and_value_are_said(folder, tmp_path, fields, message):
  for name in ('groups', 'scores'):
    if name in fields:
      fields = {**fields, name: str(folder / fields[name])}
  with pytest.raises((ValueError, OSError)) as error:
    recipe = recipes.Recipe(**fields)
    data = context.load(recipe, str(folder))
    subset_models.estimate(
        recipe, data, context.start(recipe, data, tmp_path))
  assert message in str(error.value)


def test_too_few_models_are_refused_before_they_are_trained(tmp_path):
  recipe = recipes.Recipe(models=10)
  data = context.load(recipe, '')
  runtime = context.start(recipe, data, tmp_path)
  with pytest.raises(ValueError, match='models=10 to be enough: .*about 41 of'):
    forget_set.difficulty(recipe, data, runtime)
  assert not list(tmp_path.iterdir())


def test_help_explains_every_flag(command):
  text = subprocess.run(
      command('rum', '--help'), cwd=ROOT, text=True, stdout=subprocess.PIPE,
      check=False).stdout
  for name in ('seeds', 'models', 'methods', 'chunk', 'workdir', 'data_dir',
               'corrupt', 'network', 'scores', 'groups', 'refine_by'):
    assert f'--{name}:' in text
