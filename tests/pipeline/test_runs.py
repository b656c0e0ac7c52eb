"""A workdir belongs to one command and one recipe."""

import json

import pytest

import rum_jax
from rum_jax.pipeline import runs
from rum_jax.recipes import Recipe


@pytest.fixture
def used(tmp_path):
  """A workdir of the main job with results."""
  runs.enter(tmp_path, 'rum', Recipe(epochs=2))
  (tmp_path / 'results.json').write_text('{}')
  return tmp_path


def test_it_is_written_down_at_the_start(used):
  found = json.loads((used / 'recipe.json').read_text())
  assert (found['schema'], found['command']) == (1, 'rum')
  assert Recipe(**found['recipe']) == Recipe(epochs=2)
  assert found['versions']['rum-jax'] == rum_jax.__version__


def test_the_same_run_goes_on(used):
  before = (used / 'recipe.json').stat().st_mtime_ns
  runs.enter(used, 'rum', Recipe(epochs=2))
  assert (used / 'recipe.json').stat().st_mtime_ns == before


@pytest.mark.parametrize(('command', 'fields', 'message'), [
    ('memorize', {}, 'holds a run of rum, and this is memorize, and nothing'),
    ('rum', {'epochs': 3}, 'rum with epochs=2, and this is one with epochs=3'),
    ('rum', {'models': 300}, 'models=256, and this is one with models=300')])
def test_another_run_is_refused(used, command, fields, message):
  before = (used / 'recipe.json').read_bytes()
  with pytest.raises(ValueError, match='give another workdir') as error:
    runs.enter(used, command, Recipe(**{'epochs': 2, **fields}))
  assert f'workdir={used} ' in str(error.value) and message in str(error.value)
  assert (used / 'recipe.json').read_bytes() == before


def test_flags_of_the_command_are_written_down_and_some_must_stay(used):
  enter = lambda parts, target: runs.enter(
      used, 'rum', Recipe(epochs=2), options={'parts': parts},
      varying={'target': target}, by_rule={'epochs': 'few steps'})
  enter(15, 0.8)  # The folder is of an older version, which kept no flags.
  enter(15, 0.9)
  found = json.loads((used / 'recipe.json').read_text())
  assert found['options'] == {'parts': 15, 'target': 0.9}
  assert found['by_rule'] == {'epochs': 'few steps'}
  with pytest.raises(ValueError, match='parts=15, and this is one with parts='):
    enter(10, 0.9)


def test_what_may_grow_grows_and_does_not_shrink(used):
  runs.enter(used, 'rum', Recipe(epochs=2, models=300), ('models',))
  found = json.loads((used / 'recipe.json').read_text())
  assert found['recipe']['models'] == 300
  with pytest.raises(ValueError, match='models=300, and this is one with mod'):
    runs.enter(used, 'rum', Recipe(epochs=2), ('models',))


def test_where_nothing_was_done_yet_another_run_may_begin(tmp_path):
  runs.enter(tmp_path, 'rum', Recipe())
  (tmp_path / '.lock').write_text('')
  runs.enter(tmp_path, 'unlearn', Recipe(epochs=2))
  found = json.loads((tmp_path / 'recipe.json').read_text())
  assert (found['command'], found['recipe']['epochs']) == ('unlearn', 2)


def test_a_damaged_file_is_named(used):
  (used / 'recipe.json').write_text('{')
  with pytest.raises(ValueError, match='recipe.json is not a file of this'):
    runs.enter(used, 'rum', Recipe(epochs=2))
