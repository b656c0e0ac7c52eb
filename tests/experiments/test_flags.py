"""Bad flags and bad input: one line with name and value, no traceback."""

import json

import numpy as np
import pytest

from rum_jax import recipes
from rum_jax.pipeline import proxies, stages, subset_models

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
      ('overlap', [[1, 2], [2, 3], [5]]), ('empty', [[], [2], [5]]),
      ('outside', [[1], [2], [5000]])):
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
    ('--dataset=nan', 1, 'Expected finite pixels, found nan in row 3.'),
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
    ({'network': 'vit'}, 'Expected network=vit to be one of mlp, cnn, resnet9'),
    ({'methods': 'magic'}, 'Expected methods=magic to be one of '),
    ({'forget': 3000}, 'Expected forget=3000 to leave a retain set of at '
     'least one batch, batch_size=64, of the 1438 training examples.'),
    ({'dataset': 'none'}, 'No data set dataset=none: there is no file '),
    ({'dataset': 'label'},
     'label.npz: Expected labels to be whole numbers in [0, 10), found -1 in '
     'row 7.'),
    ({'dataset': 'missing'}, 'missing.npz to hold y_train.'),
    ({'groups': 'overlap.json'},
     'overlap.json: Expected every row once, found row 2 twice'),
    ({'groups': 'empty.json'},
     'rows as low, medium and high: low is missing or empty.'),
    ({'groups': 'outside.json'}, 'found 5000 in group 3 of 3.'),
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
    setup = stages.prepare(
        recipes.Recipe(**fields), tmp_path, str(folder), None)
    subset_models.estimate(setup)
  assert message in str(error.value)


def test_too_few_models_are_refused_before_they_are_trained(tmp_path):
  setup = stages.prepare(recipes.Recipe(models=10), tmp_path, '', None)
  with pytest.raises(ValueError, match='models=10 to be enough: .*about 41 of'):
    proxies.difficulty(setup)
  assert not list(tmp_path.iterdir())


def test_help_explains_every_flag(run):
  text = run('rum', '--help').stdout
  for name in ('seeds', 'models', 'methods', 'chunk', 'workdir', 'data_dir',
               'corrupt', 'network', 'scores', 'groups', 'refine_by'):
    assert f'--{name}:' in text
