"""The number of runs at a time, and runs that do not fit in memory."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax.pipeline import programs

# A recipe's network on two devices that share a run; prints the program.
SHARED = """
import pathlib
import jax
jax.config.update('jax_num_cpu_devices', 2)
from rum_jax import recipes
from rum_jax.pipeline import context, programs
mine = programs.Programs(None, 2)
recipe = recipes.Recipe(network='cnn')
data = context.load(recipe, '')
runtime = context.start(recipe, data, pathlib.Path(), mine)
assert runtime.programs is mine
images, model = jax.tree.map(lambda x: x[:6], data.examples), runtime.model
fn = lambda key: model.apply(model.init(key), images, train=True)
key = jax.random.split(jax.random.key(0), 1)
print(mine.ahead(fn, (0,), key).result().call.as_text())
"""


@pytest.fixture
def seeds(monkeypatch):
  """A map over runs that needs 100 bytes a run, and notes what it is asked."""
  asked = []

  def over_seeds(fn, *, chunk, in_axes, devices, devices_per_run):
    del fn, in_axes
    asked.append(chunk)
    over_seeds.devices = devices, devices_per_run

    def program(*args):
      if chunk in program.too_many:
        raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: out of memory')
      return args[0] + 1

    program.too_many = over_seeds.too_many
    program.memory_analysis = lambda: SimpleNamespace(
        temp_size_in_bytes=100 * chunk, argument_size_in_bytes=10,
        output_size_in_bytes=10, alias_size_in_bytes=10)
    program.input_shardings = (None, {})
    program.lower = lambda *args: SimpleNamespace(compile=lambda: program)
    return program

  over_seeds.too_many = ()
  monkeypatch.setattr(programs.seeds, 'over_seeds', over_seeds)
  monkeypatch.setattr(programs.jax, 'device_count', lambda: 1)
  return over_seeds, asked


def training(x):
  """What is run here; the map over runs is another one than ours."""
  return x


def limited(monkeypatch, limit):
  device = SimpleNamespace(memory_stats=lambda: {'bytes_limit': limit})
  monkeypatch.setattr(programs.jax, 'local_devices', lambda: [device])


@pytest.mark.parametrize(('limit', 'want'), [
    (10_000, [16]), (1000, [16, 8]), (50, [16, 8, 4, 2, 1])])
def test_auto_takes_what_the_analysis_says_fits(
    monkeypatch, seeds, limit, want):
  limited(monkeypatch, limit)
  result, _ = programs.Programs().run(training, (0,), jnp.zeros(16))
  np.testing.assert_array_equal(result, 1)
  assert seeds[1] == want


def test_out_of_memory_halves_and_says_so(monkeypatch, seeds, capsys):
  limited(monkeypatch, 10**9)
  seeds[0].too_many = (16, 8)
  mine = programs.Programs()
  mine.run(training, (0,), jnp.zeros(16))
  assert seeds[1] == [16, 8, 4]
  assert 'training: 16 runs at a time do not fit' in capsys.readouterr().err
  mine.run(training, (0,), jnp.zeros(16))
  assert seeds[1] == [16, 8, 4]  # What fitted is kept.


def test_a_given_chunk_is_taken_whatever_the_analysis_says(monkeypatch, seeds):
  limited(monkeypatch, 1)
  programs.Programs(5).run(training, (0,), jnp.zeros(16))
  assert seeds[1] == [5]


def test_one_run_that_does_not_fit_is_an_error(monkeypatch, seeds):
  limited(monkeypatch, 10**9)
  seeds[0].too_many = (2, 1)
  with pytest.raises(jax.errors.JaxRuntimeError, match='RESOURCE_EXHAUSTED'):
    programs.Programs().run(training, (0,), jnp.zeros(2))


def test_chunks_change_nothing():
  fn = lambda x, y: jnp.sin(x) @ y
  x, y = jnp.linspace(0, 1, 60).reshape(5, 3, 4), jnp.linspace(2, 3, 4)
  whole, _ = programs.Programs().run(fn, (0, None), x, y)
  for chunk in (1, 2, 5):
    part, _ = programs.Programs(chunk).run(fn, (0, None), x, y)
    np.testing.assert_array_equal(part, whole)


@dataclasses.dataclass(frozen=True)
class Plus:
  """Adds a number, which the program holds."""

  number: float

  def __call__(self, x):
    return x + self.number


def test_equal_functions_share_a_program_and_others_do_not(monkeypatch):
  built = []
  compile_once = programs.Programs._build
  monkeypatch.setattr(
      programs.Programs, '_build',
      lambda self, *args: built.append(args[0]) or compile_once(self, *args))
  mine, x = programs.Programs(), jnp.zeros(3)
  for number in (1.0, 2.0, 1.0):
    found, _ = mine.run(Plus(number), (0,), x)
    np.testing.assert_array_equal(found, number)
  assert built == [Plus(1.0), Plus(2.0)]
  mine.run(Plus(1.0), (0,), jnp.zeros(4))
  assert len(built) == 3


@pytest.mark.parametrize('groups', [1, 2])
def test_one_program_for_any_number_of_runs(monkeypatch, groups):
  mine, built = programs.Programs(), []
  monkeypatch.setattr(programs.jax, 'device_count', lambda: groups)
  monkeypatch.setattr(
      mine, '_build', lambda fn, in_axes, args, most: built.append(fn) or (
          programs._Program(
              jax.jit(jax.vmap(fn, in_axes)).lower(*args).compile(), 1, 0.5)))
  for count in (1, 3, 4):
    x = jnp.arange(float(count))
    found, taken = mine.run_alike(_sum, (0, None), {'a': x}, jnp.float32(2))
    np.testing.assert_array_equal(found, x + 2)
    assert taken['compile_seconds'] == (0.5 if count == 1 else 0.0)
  assert built == [_sum]


def _sum(x, y):
  return x['a'] + y


def test_programs_of_other_trees_are_other_programs():
  mine = programs.Programs()
  a, _ = mine.run(lambda x: x['a'] + 1, (0,), {'a': jnp.zeros(3)})
  b, _ = mine.run(lambda x: x['b'] + 2, (0,), {'b': jnp.zeros(3)})
  np.testing.assert_array_equal(a, 1)
  np.testing.assert_array_equal(b, 2)


@pytest.mark.parametrize('runs, share, want, chunk', [
    (1, 1, 'a', 1), (16, 1, 'abcde', 4), (1, 2, 'ab', 1), (16, 2, 'abcd', 8),
    (16, 5, 'abcde', 16)])
def test_groups_of_devices_share_runs(monkeypatch, seeds, runs, share, want,
                                      chunk):
  limited(monkeypatch, 10**9)
  monkeypatch.setattr(programs.jax, 'device_count', lambda: 5)
  monkeypatch.setattr(programs.jax, 'devices', lambda: list('abcde'))
  programs.Programs(None, share).run(training, (0,), jnp.zeros(runs))
  assert seeds[0].devices == (list(want), share)
  assert seeds[1] == [chunk]


def test_several_processes_leave_no_device_out(monkeypatch):
  monkeypatch.setattr(programs.jax, 'process_count', lambda: 2)
  monkeypatch.setattr(programs.jax, 'device_count', lambda: 4)
  monkeypatch.setattr(programs.jax, 'devices', lambda: list('abcd'))
  with pytest.raises(ValueError, match='devices_per_run=3 to divide the'):
    programs.Programs(None, 3)


def test_more_devices_a_run_than_there_are_is_refused():
  count = jax.device_count() + 1
  with pytest.raises(ValueError, match=f'Expected devices_per_run={count} to '):
    programs.Programs(None, count)


@pytest.mark.slow
def test_a_recipe_s_network_shares_its_batches(program):
  made = program(SHARED)
  assert 'all-reduce' in made and 'replica_groups={{0,1}}' in made
