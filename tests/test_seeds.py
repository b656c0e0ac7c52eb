"""Mapping over runs changes nothing but the time it takes."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import seeds, trees

RUNS = 5
# A whole training, mapped over seeds; the last line is a hash of every bit.
PROGRAM = """
import sys
import jax
devices, process, processes, port = map(int, sys.argv[1:])
jax.config.update('jax_num_cpu_devices', devices)
if processes > 1:
  jax.distributed.initialize(f'localhost:{port}', processes, process)
assert jax.device_count() == devices * processes
import jax.numpy as jnp
import numpy as np
import rum_jax
from rum_jax import models
from rum_jax.storage import artefacts
rng = np.random.default_rng(0)
data = jax.tree.map(jnp.asarray, rum_jax.Images(
    rng.integers(0, 256, (20, 4, 4, 1), 'uint8'), rng.integers(0, 3, 20)))
model = models.from_linen(models.MLP(3, (16,)), (4, 4, 1))
fit = rum_jax.retrain(model, rum_jax.sgd(0.1), epochs=2, batch_size=8)
def run(key, retain, data):
  return fit(key, None, data, rum_jax.Split(retain[:0], retain))
keys = jax.random.split(jax.random.key(7), 11)
retain = jax.vmap(lambda k: jax.random.permutation(k, 20)[:15])(keys)
mapped = rum_jax.over_seeds(run, in_axes=(0, 0, None))
result = mapped.lower(keys, retain, data).compile()(keys, retain, data)
again = mapped(keys, retain, data)
leaves = [np.asarray(x) for x in jax.tree.leaves(result)]
assert all(len(x) == 11 and np.isfinite(x).all() for x in leaves)
assert len({x.tobytes() for x in leaves[0]}) == 11
assert all(map(np.array_equal, leaves, jax.tree.leaves(again)))
print(artefacts.array_digest(*leaves))
"""


def one(key, x, shared):
  """A run of a few steps in which every argument tells."""
  def step(w, key):
    w = jnp.tanh(w @ shared['w'] + jax.random.normal(key, w.shape))
    return w, w.sum()

  end, sums = jax.lax.scan(step, x['start'], jax.random.split(key, 3))
  return {'end': end, 'sums': sums, 'sign': end > 0}


def arguments(runs: int = RUNS):
  keys = jax.random.split(jax.random.key(0), 8)[:runs]
  start = np.random.default_rng(1).normal(size=(8, 4))[:runs]
  shared = {'w': np.random.default_rng(2).normal(size=(4, 4))}
  return keys, {'start': jnp.asarray(start)}, jax.tree.map(jnp.asarray, shared)


def in_a_loop(fn, keys, x, shared):
  return jax.tree.map(lambda *xs: jnp.stack(xs), *(
      jax.jit(fn)(key, trees.take(x, i), shared) for i, key in enumerate(keys)))


@pytest.mark.parametrize('chunk, vectorise', [
    (None, True), (2, True), (3, True), (100, True), (None, False), (2, False)])
def test_mapping_is_a_loop(float64, chunk, vectorise):
  args = arguments()
  mapped = seeds.over_seeds(
      one, chunk=chunk, in_axes=(0, 0, None), vectorise=vectorise)
  # Double precision: sums of four terms, three times over.
  chex.assert_trees_all_close(
      mapped(*args), in_a_loop(one, *args), rtol=1e-13, atol=1e-13)


def test_a_run_has_the_same_bits_among_however_many():
  mapped = seeds.over_seeds(one, in_axes=(0, 0, None), vectorise=False)
  want = mapped(*arguments(8))
  for runs in (1, 2, 5):
    got = mapped(*arguments(runs))
    chex.assert_trees_all_equal(got, trees.take(want, slice(0, runs)))


def test_a_device_takes_a_chunk_at_a_time():
  widths = []

  @jax.custom_batching.custom_vmap
  def spy(x):
    return x

  @spy.def_vmap
  def _(size, batched, x):
    widths.append(size)
    return x, batched[0]

  for chunk in (None, 2):
    seeds.over_seeds(spy, chunk=chunk, vectorise=True)(jnp.arange(6.0))
  seeds.over_seeds(spy, chunk=2, vectorise=False)(jnp.arange(6.0))
  assert widths == [6, 2]


def test_arguments_without_an_axis_are_shared(float64):
  keys, x, shared = arguments()
  mapped = seeds.over_seeds(
      lambda shared, x, key: one(key, x, shared), in_axes=(None, None, 0))
  got = mapped(shared, trees.take(x, 0), keys)
  first = trees.take(x, 0)
  want = in_a_loop(
      lambda key, _, shared: one(key, first, shared), keys, x, shared)
  chex.assert_trees_all_close(got, want, rtol=1e-13, atol=1e-13)


def test_all_arguments_are_mapped_by_default():
  got = seeds.over_seeds(lambda a, b: a * b['c'])(
      jnp.arange(3.0), {'c': jnp.arange(1.0, 4.0)})
  np.testing.assert_array_equal(got, [0, 2, 6])


def test_another_call_compiles_nothing():
  traced = []

  def fn(x):
    traced.append(x)
    return x + 1

  mapped = seeds.over_seeds(fn)
  for start in (0.0, 5.0):
    np.testing.assert_array_equal(
        mapped(start + jnp.arange(3.0)), start + np.arange(1, 4))
  assert len(traced) == 1


@pytest.mark.parametrize('chunk, message', [
    (0, 'Expected chunk=0 to be at least 1'), (-1, 'Expected chunk=-1'),
    (2.5, 'chunk, found 2.5')])
def test_chunk_is_checked_at_once(chunk, message):
  with pytest.raises(ValueError, match=message):
    seeds.over_seeds(one, chunk=chunk)


def test_lengths_that_differ_are_named():
  mapped = seeds.over_seeds(lambda a, b: a, in_axes=(0, 0))
  with pytest.raises(ValueError, match=r'found lengths \[3, 4\]'):
    mapped(jnp.zeros(4), {'x': jnp.zeros((3, 2))})
  with pytest.raises(ValueError, match=r'found lengths \[\]'):
    seeds.over_seeds(lambda a: a, in_axes=(None,))(jnp.zeros(4))
  with pytest.raises(ValueError, match=r'found lengths \[0\]'):
    seeds.over_seeds(lambda a: a)(jnp.zeros((0, 2)))


@pytest.mark.parametrize('axes', [(0,), (0, None, 0), (0, 1), (0, -1)])
def test_axes_that_do_not_fit_are_named(axes):
  mapped = seeds.over_seeds(lambda a, b: a + b, in_axes=axes)
  with pytest.raises(ValueError, match='Expected in_axes=.* 2 arguments') as e:
    mapped(jnp.zeros(3), jnp.zeros(3))
  assert str(axes) in str(e.value)


def start(devices: int, process: int = 0, processes: int = 1, port: int = 0):
  """The program in a process of its own, one thread a device."""
  root = str(pathlib.Path(__file__).parents[1])
  environment = {
      **os.environ, 'JAX_PLATFORMS': 'cpu', 'PYTHONPATH': root,
      'XLA_FLAGS': '--xla_cpu_multi_thread_eigen=false'}
  numbers = map(str, (devices, process, processes, port))
  return subprocess.Popen(
      [sys.executable, '-c', PROGRAM, *numbers], env=environment, text=True,
      stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def result(program: subprocess.Popen) -> str:
  out, error = program.communicate(timeout=240)
  assert program.returncode == 0, error[-2000:]
  return out.split()[-1]


@pytest.fixture(scope='module')
def on_one_device() -> str:
  return result(start(1))


@pytest.mark.slow
def test_eight_devices_give_the_bits_of_one(on_one_device):
  assert result(start(8)) == on_one_device


@pytest.mark.slow
def test_two_processes_give_the_bits_of_one(on_one_device):
  with socket.socket() as free:
    free.bind(('localhost', 0))
    port = free.getsockname()[1]
  programs = [start(2, process, 2, port) for process in range(2)]
  try:
    assert [result(p) for p in programs] == [on_one_device] * 2
  finally:
    for program in programs:
      program.kill()
