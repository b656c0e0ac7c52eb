"""Training in segments gives, bit for bit, what it gives in one go."""

from __future__ import annotations

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import recipes, resumable
from rum_jax.pipeline import context, fitting
from rum_jax.types import Split

RECIPE = recipes.Recipe(network='cnn', epochs=7, batch_size=128, models=2)


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
  data = context.load(RECIPE, '')
  return data, context.start(RECIPE, data, tmp_path_factory.mktemp('work'))


@pytest.fixture
def train(prepared, monkeypatch):
  """`(folder, seconds of a segment, seconds between saves) -> run`."""

  def start(folder, call=0.0, save=1e9, watch=lambda variables: 'fine',
            observer=resumable.NO_OBSERVER):
    monkeypatch.setattr(fitting, '_CALL', call)
    monkeypatch.setattr(fitting, '_SAVE', save)
    monkeypatch.setattr(fitting, '_WORTH', 0)
    rows, (data, runtime) = jnp.arange(300), prepared
    return fitting.train(
        'models' if observer is resumable.NO_OBSERVER else 'observed',
        folder / 'models', {'of': 'a test'},
        fitting.Course(RECIPE, runtime.model, len(rows), observer),
        runtime.programs, jax.random.split(jax.random.key(0), 2), data.examples,
        Split(rows[:0], rows), watch)

  return start


def assert_same_bits(a, b):
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    np.testing.assert_array_equal(x, y)


def test_segments_are_one_run(train, tmp_path):
  run, notes = train(tmp_path, call=1e9)
  assert_same_bits(train(tmp_path, call=0.0)[0], run)
  assert run.loss.shape == (2, 7 * 3) and np.isfinite(run.loss).all()
  assert (run.loss > 0).all()  # Each step's is recorded in its place.
  assert (run.state.epoch == 7).all()
  assert notes['seconds'] > 0
  assert not list(tmp_path.iterdir())


def test_what_a_kill_left_is_gone_on_from(train, tmp_path, capsys):
  run, _ = train(tmp_path)
  calls = itertools.count(1)

  def dies(variables):
    if next(calls) == 4:
      raise KeyboardInterrupt
    return 'fine'

  with pytest.raises(KeyboardInterrupt):
    train(tmp_path, save=0.0, watch=dies)
  state, = tmp_path.iterdir()
  assert state.name == '.models.epoch00003'
  assert_same_bits(train(tmp_path)[0], run)
  assert re.search(r'models +7/7 .*loss \d', capsys.readouterr().err)


def test_what_an_observer_keeps_survives_a_kill(train, tmp_path):
  def bias(variables):
    return jax.tree.leaves(variables.params)[0].mean()

  observer = resumable.Observer(
      lambda variables: (jnp.zeros((7,)), bias(variables)),
      lambda kept, state, dataset: (
          kept[0].at[state.epoch - 1].set(bias(state.variables)), kept[1]))
  run, _ = train(tmp_path, call=1e9, observer=observer)
  after, before = run.seen
  assert after.shape == (2, 7) and (after != before[:, None]).all()
  assert (np.diff(after) != 0).all()
  np.testing.assert_allclose(
      after[:, -1], jax.vmap(bias)(run.state.variables), rtol=1e-5, atol=1e-7)
  calls = itertools.count(1)

  def dies(variables):
    if next(calls) == 4:
      raise KeyboardInterrupt
    return 'fine'

  with pytest.raises(KeyboardInterrupt):
    train(tmp_path, save=0.0, watch=dies, observer=observer)
  assert_same_bits(train(tmp_path, observer=observer)[0], run)
  assert_same_bits(train(tmp_path / 'blind')[0].state, run.state)


def test_a_damaged_state_is_named_and_not_used(train, tmp_path):
  run, _ = train(tmp_path, save=0.0)
  state, = tmp_path.iterdir()
  (state / 'arrays.npz').write_bytes(b'')
  with pytest.warns(UserWarning, match='arrays.npz is not what was written'):
    again, _ = train(tmp_path)
  assert_same_bits(again, run)
  fitting.forget_states(tmp_path / 'models')
  assert not list(tmp_path.iterdir())
