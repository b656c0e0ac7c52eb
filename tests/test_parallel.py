"""Shared batches give the same results as batches on one device."""

from __future__ import annotations

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rum_jax
from rum_jax import parallel

# All of it once with the network and once with its batches divided in two.
PROGRAM = """
import sys
import jax
jax.config.update('jax_num_cpu_devices', 4)
jax.config.update('jax_enable_x64', True)
import jax.numpy as jnp
import numpy as np
import types
import rum_jax
from rum_jax import batch_norm, evaluation, gradients, models, recipes, training
from rum_jax.pipeline import results
from rum_jax.storage.artefacts import Artefact
rng = np.random.default_rng(0)
data = jax.tree.map(jnp.asarray, rum_jax.Images(
    rng.integers(0, 256, (21, 8, 8, 1), 'uint8'), rng.integers(0, 3, 21)))
plain = models.from_linen(models.SmallCNN(3, (4,)), (8, 8, 1))
sizes = set()

def spy(variables, examples, **how):
  sizes.add(len(examples.image))
  return plain.apply(variables, examples, **how)

keys = jax.random.split(jax.random.key(7), 3)
mask = jnp.asarray([1, 1, 0, 1, 1, 1, 1])
rows = jnp.asarray(rng.permuted(np.tile(np.arange(21), (3, 1)), axis=1))
tx = rum_jax.sgd(0.1)

def look(model, key, split):
  variables = jax.tree.map(lambda x: x.astype(float), model.init(key))
  some = jax.tree.map(lambda x: x[:7], data)

  def loss(params, how=mask):
    outputs, stats = model.apply(
        variables._replace(params=params), some, train=True, mask=how)
    logs = jax.nn.log_softmax(outputs.prediction)
    return -(logs[jnp.arange(7), some.label] * mask).sum(), (outputs, stats)

  def steepness(params):
    slopes = jax.grad(lambda p: loss(p)[0])(params)
    return sum((x**2).sum() for x in jax.tree.leaves(slopes))

  again = jax.grad(steepness)(variables.params)
  value, slopes = jax.value_and_grad(loss, has_aux=True)(variables.params)
  methods = {
      'scrub': rum_jax.scrub(model, tx, epochs=2, msteps=1, batch_size=5),
      'salun': rum_jax.salun(model, tx, epochs=1, batch_size=5),
      'ssd': rum_jax.ssd(model, alpha=1.5, batch_size=4),
      'cf_k': rum_jax.cf_k(model, tx, epochs=1, k=2, batch_size=5),
      'recalibrated': batch_norm.recalibrated(rum_jax.identity(), model, 5)}
  return {
      'training': (value, slopes), 'second': again,
      'unmasked': loss(variables.params, None),
      'evaluation': training.predict(model, variables, data, 5),
      'examples': gradients.per_example(model, variables, data, rows[0, :3]),
      **{name: method(key, variables, data, split)
         for name, method in methods.items()}}

def save(path, model, devices_per_run):
  split = rum_jax.Split(rows[:, :5], rows[:, 5:])
  result = rum_jax.over_seeds(
      lambda key, split: look(model, key, split),
      devices_per_run=devices_per_run)(keys, split)
  np.savez(path, **{
      f'{name}{jax.tree_util.keystr(path)}': np.asarray(x)
      for name, tree in result.items()
      for path, x in jax.tree.leaves_with_path(tree)})

folder = sys.argv[1]
# Whole in the forms for other platforms, which compile sooner.
own = jax.lax.platform_dependent
jax.lax.platform_dependent = lambda *args, default, **others: default(*args)
save(f'{folder}/whole.npz', plain, 1)
jax.lax.platform_dependent = own
shared = rum_jax.data_parallel(plain._replace(apply=spy))
save(f'{folder}/shared.npz', shared, 2)
np.save(f'{folder}/sizes.npy', sorted(sizes))

def seen(key):
  return evaluation.signals(plain, plain.init(key), data, features=True)

four = jax.random.split(jax.random.key(3), 4)
groups = {'low': np.arange(3), 'high': np.arange(3, 8)}
about = types.SimpleNamespace(
    source=types.SimpleNamespace(row=np.arange(21)), corrupted=np.arange(2))
for count in (1, 2, 4):
  found = rum_jax.over_seeds(seen, devices=jax.devices()[:count])(four)
  original = Artefact({'features': np.asarray(found.features)})
  written = results.describe_groups(
      recipes.Recipe(), about, groups, np.arange(8, 21), original, None)
  np.savez(f'{folder}/es{count}.npz', **{
      name: group.es.values for name, group in written.items()})
"""
PARTS = ('training', 'unmasked', 'second', 'evaluation', 'examples', 'scrub',
         'salun', 'ssd', 'cf_k', 'recalibrated')


@pytest.fixture(scope='module')
def folder(program, tmp_path_factory) -> pathlib.Path:
  place = tmp_path_factory.mktemp('shared')
  program(PROGRAM, str(place))
  return place


@pytest.mark.slow
@pytest.mark.parametrize('part', PARTS)
def test_devices_that_share_batches_change_nothing(folder, part):
  with np.load(folder / 'whole.npz') as whole, np.load(
      folder / 'shared.npz') as shared:
    assert whole.files == shared.files
    names = [name for name in whole.files if name.startswith(part)]
    assert any(np.ptp(whole[name], 0).any() for name in names)
    for name in names:
      # Double precision, through some steps of training.
      np.testing.assert_allclose(
          shared[name], whole[name], rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.slow
def test_every_device_has_its_part_of_each_batch(folder):
  """Of 7 and 5; a single one stays whole, for gradients of examples."""
  assert np.load(folder / 'sizes.npy').tolist() == [1, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize('count', [2, 4])
def test_entanglement_of_groups_has_the_same_bits_on_every_number_of_devices(
    folder, count):
  with np.load(folder / 'es1.npz') as alone, np.load(
      folder / f'es{count}.npz') as shared:
    assert alone.files == shared.files == ['low', 'high']
    for name in alone.files:
      assert alone[name].shape == (4,) and np.ptp(alone[name]) > 0
      np.testing.assert_array_equal(shared[name], alone[name])


def test_alone_it_is_the_network(toy, cnn):
  model, variables = cnn
  want, got = ([*jax.tree.leaves(m.apply(variables, toy, train=True))]
               for m in (model, rum_jax.data_parallel(model)))
  for a, b in zip(want, got, strict=True):
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize('count', [2, 3])
def test_devices_that_do_not_come_out_even_are_refused(count):
  with pytest.raises(ValueError, match=(
      f'devices_per_run={count} to divide the number of devices, 1')):
    rum_jax.over_seeds(jnp.sin, devices=jax.devices()[:1],
                       devices_per_run=count)


def test_devices_per_run_is_a_count():
  with pytest.raises(ValueError, match='Expected devices_per_run=0'):
    parallel.mesh(jax.devices(), 0)
