"""Networks that are divided among devices: the same results, less memory."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest

import rum_jax
from rum_jax import sharding

# SCRUB in double precision, and the memory of fine-tuning.
PROGRAM = """
import json
import jax
jax.config.update('jax_num_cpu_devices', 8)
jax.config.update('jax_enable_x64', True)
import jax.numpy as jnp
import numpy as np
import rum_jax
from rum_jax import models, sharding
rng = np.random.default_rng(0)
data = rum_jax.Images(
    rng.integers(0, 256, (24, 8, 8, 1), 'uint8'), rng.integers(0, 3, 24))
rows = np.arange(24)
split = rum_jax.Split(rows[:8], rows[8:])
model = models.from_linen(models.SmallCNN(3, (4, 8)), (8, 8, 1))
key = jax.random.key(0)
variables = jax.tree.map(lambda x: x.astype(float), model.init(key))
tx = rum_jax.sgd(0.1, weight_decay=1e-3)
scrub = lambda model, tx: rum_jax.scrub(
    model, tx, epochs=1, msteps=1, batch_size=8)
one, _ = jax.jit(scrub(model, tx))(key, variables, data, split)
many, _ = rum_jax.sharded(scrub, model, tx, devices_per_batch=2)(
    key, variables, data, split)
largest = lambda old, new: max(float(abs(np.asarray(a) - np.asarray(b)).max())
    for a, b in zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True))
found = {'moved': largest(variables, one), 'difference': largest(one, many),
         'shares': sorted({x.size // x.addressable_shards[0].data.size
                           for x in jax.tree.leaves(many)})}

jax.config.update('jax_enable_x64', False)
wide = models.from_linen(models.MLP(8, (256,) * 6), (16, 16, 1))
data = rum_jax.Images(np.zeros((24, 16, 16, 1), 'uint8'), np.zeros(24, int))
shapes = jax.eval_shape(wide.init, key)
tune = lambda model, tx: rum_jax.finetune(model, tx, epochs=1, batch_size=8)

def memory(fn, variables):
  use = jax.jit(fn).lower(
      key, variables, data, split).compile().memory_analysis()
  return [use.argument_size_in_bytes, use.temp_size_in_bytes,
          use.output_size_in_bytes]

found['one'] = memory(tune(wide, tx), shapes)
for per_batch in (1, 2):
  place = sharding.mesh(devices_per_batch=per_batch)
  divided = jax.tree.map(
      lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where),
      shapes, sharding.spread(shapes, place))
  found[f'shared by {per_batch}'] = memory(rum_jax.sharded(
      tune, wide, tx, devices_per_batch=per_batch), divided)
print(json.dumps(found))
"""


@pytest.fixture(scope='module')
def found(program) -> dict:
  return json.loads(program(PROGRAM))


@pytest.mark.slow
def test_devices_change_nothing_but_the_order_of_sums(found):
  assert found['moved'] > 1e-2
  # Double precision: sums of some hundred terms, through three steps.
  assert found['difference'] < 1e-12
  assert found['shares'] == [1, 4]  # Three classes do not divide by 4.


@pytest.mark.slow
def test_a_device_holds_an_eighth_of_everything(found):
  """Weights as they come in, in training, momentum, gradients, results."""
  one, eighth, quarter = (found[x] for x in (
      'one', 'shared by 1', 'shared by 2'))
  assert sum(eighth) < 1.25 / 8 * sum(one)
  assert sum(quarter) < 1.5 / 4 * sum(one)
  for whole, part in zip(one, eighth):
    assert part < whole / 4


def test_the_longest_axis_that_fits_is_divided():
  place = sharding.mesh(jax.devices()[:1])
  shapes = [jax.ShapeDtypeStruct(x, np.float32) for x in (
      (), (3,), (2, 5), (7, 2, 7))]
  specs = [tuple(x.spec) for x in sharding.spread(shapes, place)]
  assert specs == [(), ('weights',), (None, 'weights'),
                   ('weights', None, None)]


@pytest.mark.parametrize('count', [0, 2])
def test_devices_per_batch_must_fit(count):
  with pytest.raises(ValueError, match=f'devices_per_batch={count}'):
    rum_jax.sharded(None, *rum_jax.testing.example()[:2],
                    devices=jax.devices()[:1], devices_per_batch=count)


def test_stages_and_what_starts_from_scratch():
  """On one device, for their shapes alone."""
  model, tx, (key, variables, data, split) = rum_jax.testing.example()
  short = {'epochs': 1, 'batch_size': 4}

  def sharded(factory):
    return rum_jax.sharded(factory, model, tx, devices=jax.devices()[:1])

  train = sharded(lambda model, tx: rum_jax.retrain(model, tx, **short))
  found, _ = jax.eval_shape(train, key, None, data, split)
  assert jax.tree.structure(found) == jax.tree.structure(variables)
  twice = sharded(lambda model, tx: rum_jax.sequential(
      *[rum_jax.finetune(model, tx, **short)] * 2))
  _, infos = jax.eval_shape(twice, key, variables, data, (split, split))
  assert [x.loss.shape for x in infos] == [(2,), (2,)]
  wrong = split._replace(forget=np.array([12]))
  with pytest.raises(ValueError, match=r'in \[0, 12\), found 12'):
    twice(key, variables, data, (split, wrong))
