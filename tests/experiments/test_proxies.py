"""Proxies: their cost, their agreement, and groups chosen by a proxy."""

import json
import shutil

import numpy as np
import pytest

from rum_jax import recipes, refinement
from rum_jax.memorization import learning_events
from rum_jax.pipeline import builders, context, forget_set, proxies, results
from rum_jax.pipeline import trained_models
from rum_jax.types import GROUPS

pytestmark = pytest.mark.slow

TINY = ('--epochs=8', '--forget=15', '--models=64', '--seeds=2',
        '--validation=0.2')


@pytest.fixture(scope='module')
def scored(run, tmp_path_factory):
  """An estimate and then all proxies: the workdir and the second run."""
  workdir = tmp_path_factory.mktemp('scored')
  process = run('memorize', *TINY, f'--workdir={workdir}')
  assert process.returncode == 0, process.stderr
  return workdir, run('memorize', *TINY, '--proxy=all', f'--workdir={workdir}')


def test_all_proxies_are_written_and_compared(scored):
  workdir, process = scored
  assert process.returncode == 0, process.stderr
  found = json.loads((workdir / 'proxies.json').read_text())
  assert set(found['proxies']) == set(recipes.PROXIES)
  assert found['runs'] == 2 and found['group_size'] == 5
  for row in found['proxies'].values():
    assert 0 < row['seconds'] and 0 < row['spearman'] < 1
    assert row['share'] == pytest.approx(
        row['seconds'] / found['estimate_seconds'])
  # Early looks do not wait for the end of the run.
  assert found['proxies']['el2n']['seconds'] < found['proxies']['loss'][
      'seconds'] < found['proxies']['held_out_retraining']['seconds']
  for name in recipes.PROXIES:
    assert f'\n{name} ' in process.stdout


def test_wrong_labels_score_high_on_every_proxy(scored):
  data = context.load(recipes.Recipe(validation=0.2), 'data')
  with (np.load(scored[0] / 'proxies.npz', allow_pickle=False) as file,
        np.load(scored[0] / 'memorization.npz', allow_pickle=False) as truth):
    for name in ('row', 'data_hash'):
      np.testing.assert_array_equal(file[name], truth[name])
    for name in recipes.PROXIES:
      score = file[name]
      assert score.shape == (1151,) and np.isfinite(score).all()
      rank = score.argsort().argsort() / len(score)
      # The mean of 58 uniform ranks errs by 0.29 / √58 = 0.04; 3 of them.
      assert rank[data.corrupted].mean() > 0.62, name


def test_groups_are_those_of_a_proxy_and_take_no_models(scored, tmp_path):
  recipe = recipes.Recipe(epochs=8, forget=15, seeds=2, validation=0.2,
                          refine_by='confidence')
  data = context.load(recipe, 'data')
  runtime = context.start(recipe, data, tmp_path)
  score = forget_set.difficulty(recipe, data, runtime).score
  assert not (tmp_path / 'models').exists()
  with np.load(scored[0] / 'proxies.npz', allow_pickle=False) as file:
    np.testing.assert_array_equal(score, file['confidence'])
  groups, retain = forget_set.choose(recipe, data, score)
  want = refinement.by_score(score, 5, middle=None, seed=refinement.TIES)
  found = results.describe_groups(
      recipe, data, dict(zip(GROUPS, groups)), retain,
      trained_models.originals(recipe, data, runtime), score)
  for rows, about in zip(want, found.values(), strict=True):
    assert about.positions == tuple(rows.tolist())
    assert about.rows == tuple(
        data.source.row[rows].tolist())
    assert about.refined_by == 'confidence'
    assert about.mean_score == pytest.approx(score[rows].mean())
    assert np.isnan(about.mean_memorization)


def test_a_second_run_computes_nothing(scored, run, tmp_path):
  workdir = tmp_path / 'copy'
  shutil.copytree(scored[0], workdir)
  before = {p: p.stat().st_mtime_ns for p in workdir.glob('proxies/*/*')}
  assert len(before) > 4
  (workdir / 'memorization.npz').unlink()
  process = run('memorize', *TINY, '--proxy=grand,loss', f'--workdir={workdir}')
  assert process.returncode == 0, process.stderr
  after = {p: p.stat().st_mtime_ns for p in workdir.glob('proxies/*/*')}
  assert after == before
  found = json.loads((workdir / 'proxies.json').read_text())
  assert list(found['proxies']) == ['grand', 'loss']
  assert found['proxies']['loss']['spearman'] is None
  assert found['proxies']['loss']['share'] > 0


def test_nobody_retrains_on_the_test_set(tmp_path, capsys):
  recipe = recipes.Recipe(epochs=1, seeds=1)
  names = proxies.chosen_names(recipe, ['all'])
  assert set(recipes.PROXIES) - set(names) == {'held_out_retraining'}
  assert '--validation' in capsys.readouterr().out
  data = context.load(recipe, 'data')
  runtime = context.start(recipe, data, tmp_path)
  with pytest.raises(ValueError, match='Expected validation=0.0 to be above 0'):
    proxies.scored(recipe, data, runtime, ['held_out_retraining'])
  # What is set apart is neither trained on nor tested on.
  recipe = recipes.Recipe(validation=0.2)
  validation = builders.load_validation(recipe, 'data')
  apart = {x.tobytes() for x in validation.image}
  assert len(validation.label) == 1797 - 359 - 1151
  trained_on = context.load(recipe, 'data').source.dataset
  assert not apart & {x.tobytes() for x in trained_on.image}


def test_names_are_checked_before_anything_is_done():
  with pytest.raises(ValueError, match='Expected proxy=magic to be one of all'):
    proxies.chosen_names(recipes.Recipe(), ['loss', 'magic'])
  assert proxies.chosen_names(recipes.Recipe(), []) == []
  assert recipes.PROXIES[:6] == learning_events.NAMES


@pytest.mark.parametrize('binary', ['entangle', 'difficulty'])
def test_what_is_about_memorization_takes_no_proxy(run, tmp_path, binary):
  process = run(binary, '--refine_by=loss', f'--workdir={tmp_path / "none"}')
  assert process.returncode == 1
  assert 'Expected refine_by=loss to be one of memorization.' in process.stderr
  assert not list(tmp_path.iterdir())
