"""A current report is not written again; an outdated one is."""

import pytest

import rum_jax
from rum_jax import evaluation, recipes
from rum_jax.evaluation import Summary
from rum_jax.pipeline import context, results

NONE = Summary(mean=float('nan'), ci95=float('nan'), values=())
OTHER = evaluation.summary([1.0, 2.0])


def test_a_report_stands_while_it_was_drawn_from_these_results(tmp_path):
  found = NONE
  assert not results.is_current(tmp_path, found)
  results.write(tmp_path / 'results.json', found)
  (tmp_path / 'figures.npz').write_bytes(b'1')
  (tmp_path / 'report.html').write_text('a')
  assert not results.is_current(tmp_path, found)  # Killed before the mark.
  results.mark_current(tmp_path)
  assert results.is_current(tmp_path, found)
  assert not results.is_current(tmp_path, OTHER)


@pytest.mark.parametrize(
    'name', ['results.json', 'figures.npz', 'report.html', '.drawn.json'])
def test_nothing_that_was_altered_stands(tmp_path, name):
  results.write(tmp_path / 'results.json', OTHER)
  (tmp_path / 'figures.npz').write_bytes(b'1')
  (tmp_path / 'report.html').write_text('a')
  results.mark_current(tmp_path)
  (tmp_path / name).write_bytes(b'\x8d')
  assert not results.is_current(tmp_path, OTHER)
  (tmp_path / name).unlink()
  assert not results.is_current(tmp_path, OTHER)


def test_the_origin_says_what_was_done(tmp_path):
  recipe = recipes.Recipe()
  data = context.load(recipe, 'data')
  runtime = context.start(recipe, data, tmp_path)
  given = results.origin(recipe, data, runtime, 120)
  assert given.recipe.rest['forget'] == 120
  assert results.origin(recipe, data, runtime).recipe.rest['forget'] == 144
  assert given.environment.commit == results.commit()
  assert given.environment.versions.rest['rum-jax'] == rum_jax.__version__


def test_the_commit_is_that_of_the_build(tmp_path, monkeypatch):
  # A repository around the package may be another's.
  monkeypatch.setattr(
      results.importlib.resources, 'files', lambda package: tmp_path)
  assert results.environment().commit is None
  (tmp_path / 'COMMIT').write_text('0123456789ab+\n')
  assert results.environment().commit == '0123456789ab+'
