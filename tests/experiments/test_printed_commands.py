"""Every command that an error or a note prints runs as it is printed."""

from __future__ import annotations

import json
import re
import shlex

import numpy as np
import pytest

from rum_jax import datasets, memorization, recipes
from rum_jax.memorization import score_files, shards
from rum_jax.pipeline import builders, inputs

pytestmark = pytest.mark.slow
TINY = ('--epochs=2', '--seeds=1', '--batch_size=32')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Somebody's own data of 240 training images, rows and scores of them."""
  folder = tmp_path_factory.mktemp('mine')
  digits = datasets.digits().dataset
  image, label = digits.image[:340].copy(), digits.label[:340] % 4
  image[210] = image[3]  # Row 3 has a copy that stays.
  image[250] = image[5]  # Row 5 has a copy in the test part.
  np.savez(folder / 'mine.npz', x_train=image[:240], y_train=label[:240],
           x_test=image[240:], y_test=label[240:])
  (folder / 'rows.json').write_text(json.dumps([3, 50, 200, 7, 90]))
  (folder / 'groups.json').write_text(json.dumps(
      {'low': [1, 20], 'medium': [2, 100], 'high': [5, 239]}))
  source = datasets.load('mine', str(folder))
  rng = np.random.default_rng(0)
  unknown = np.full((3, 240), np.nan)
  score_files.save(
      folder / 'scores.npz',
      memorization.Memorization(rng.random(240), *unknown),
      source.row[:240], published_hash=shards.published_hash(
          source.dataset._replace(image=source.dataset.image[:240],
                                  label=source.dataset.label[:240])))
  return folder


def printed(text: str) -> list[str]:
  """The flags of the one command of tuning that a text names."""
  command, = re.findall(r'This command finds them: (.*)', text)
  python, m, module, *rest = shlex.split(command)
  assert [python, m, module] == ['python', '-m', 'experiments.tune']
  return rest


def tune(run, flags, workdir):
  """Runs a printed command, small; returns the flag that it prints itself."""
  process = run('tune', *flags, '--budget=1', '--seeds=1', '--models=20',
                f'--workdir={workdir}')
  assert process.returncode == 0, process.stderr
  return process, shlex.split(process.stdout.strip().splitlines()[-1])[-1]


def test_own_rows_are_tuned_and_unlearned_and_reported(run, folder, tmp_path):
  mine = ('--dataset=mine', f'--data_dir={folder}', *TINY, '--method=finetune',
          f'--rows={folder}/rows.json')
  refused = run('unlearn', *mine, f'--workdir={tmp_path / "work"}')
  assert refused.returncode == 1 and not (tmp_path / 'work').exists()
  flags = printed(refused.stderr)
  assert f'--rows={folder}/rows.json' in flags and '--epochs=2' in flags
  _, settings = tune(run, flags, tmp_path / 'tune')
  process = run('unlearn', *mine, settings, f'--workdir={tmp_path / "work"}')
  assert process.returncode == 0, process.stderr
  assert 'tuned for these rows' in process.stdout
  named, _ = process.stdout.split('To forget: ')  # Before all else.
  assert ('1 of the training examples (5) has 1 exact copy among the examples '
          'of the test part') in named
  assert 'unlearning' in process.stderr  # It is not silent.
  found = json.loads((tmp_path / 'work' / 'results.json').read_text())
  assert found['rows'][-1]['tuning_seconds'] > 0
  copied, = (x for x in found['warnings'] if 'exact copy' in x)
  assert copied.startswith('1 of the rows to forget (3) has 1 exact copy')
  assert f'Warning: {copied}' in process.stdout
  report = run('report', f'--workdir={tmp_path / "work"}')
  assert report.returncode == 0, report.stderr
  page = (tmp_path / 'work' / 'report.html').read_text()
  assert 'made to forget 5 of them' in page and 'exact copy' in page
  assert 'nan' not in page
  # These settings are of one variant: the main job needs the others, too.
  refused = run('rum', '--dataset=mine', f'--data_dir={folder}', *TINY,
                '--methods=finetune', settings, f'--workdir={tmp_path / "rum"}')
  assert 'No tuned settings for finetune in' in refused.stderr
  assert settings in printed(refused.stderr)


def test_given_scores_and_groups_are_tuned_and_refined(
    run, folder, tmp_path, monkeypatch):
  monkeypatch.setattr(recipes, 'MAIN', ('finetune',))  # Of four, to be quick.
  mine = ('--dataset=mine', f'--data_dir={folder}', *TINY, '--forget=6',
          f'--scores={folder}/scores.npz')
  refused = run('rum', *mine, '--methods=l1_sparse', '--workdir=none')
  flags = printed(refused.stderr)
  assert f'--scores={folder}/scores.npz' in flags
  process, settings = tune(run, flags, tmp_path / 'tune')
  assert 'No stages of full RUM are in' in process.stdout
  process = run('rum', *mine, '--methods=l1_sparse', settings,
                f'--workdir={tmp_path / "rum"}')
  assert process.returncode == 0, process.stderr
  assert 'There is no row of full RUM' in process.stdout
  flags = printed(process.stdout)
  assert settings in flags
  tune(run, flags, tmp_path / 'tune again')  # It adds to the same file.
  given = tmp_path / 'given'
  process = run(
      'rum', *mine[:-1], '--methods=l1_sparse,finetune', settings,
      f'--groups={folder}/groups.json', f'--workdir={given}')
  assert process.returncode == 0, process.stderr
  assert 'no row of full RUM' not in process.stdout
  assert not (given / 'models').exists()  # Rows that are given need no models.
  found = json.loads((given / 'results.json').read_text())
  assert {(x['method'], x['variant']) for x in found['rows']} >= {
      ('l1_sparse', 'rum_f'), ('rum', 'rum')}
  assert found['groups']['high']['rows'] == [5, 239]
  page = (given / 'report.html').read_text()
  # Nobody's own images are shown unasked.
  assert 'nan' not in page and 'Examples of each group' not in page
  with np.load(given / 'figures.npz') as file:
    assert 'plane' in file.files and 'image' not in file.files


def test_own_groups_are_tuned_by_their_published_rows(folder):
  recipe = recipes.Recipe(
      dataset='mine', held_out='validation', groups=f'{folder}/groups.json')
  source = builders.load_source(recipe, str(folder))
  assert source.num_train == 192  # A fifth judges, and no row is among it.
  groups = inputs.read_groups(recipe.groups, source)
  assert [source.row[x].tolist() for x in groups] == [
      [1, 20], [2, 100], [5, 239]]
  apart = builders.load_validation(recipe, str(folder))
  assert len(apart.label) == 48
