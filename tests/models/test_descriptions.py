"""Models are built again from their descriptions."""

from __future__ import annotations

import json

import chex
from flax import linen as nn
import jax
import numpy as np
import pytest

from rum_jax import models
from rum_jax.types import Images, Outputs

NETWORKS = (
    models.MLP(3, (5,)), models.SmallCNN(3, (4, 5)),
    models.ResNet(3, (1, 1), (2, 4), True, True),
    models.VGG(3, (3, 4), (1, 2), (6, 5), bias=True),
    models.ResNet9(3, (2, 3, 4, 5), 0.5), models.AirBench(3, (4, 5, 6)),
    models.ViT(3, 4, 6, 2, 2, 5, 0.25))
SHAPE = (12, 12, 3)


class Own(nn.Module):
  classes: int
  widths: tuple[int, ...] = (2, 3)
  kernel_init: object = None

  @nn.compact
  def __call__(self, x, *, train, mask):
    x = x.reshape(len(x), -1)
    for width in self.widths:
      x = nn.Dense(width)(x)
    return Outputs(nn.Dense(self.classes)(x), x)


def through_json(description):
  return json.loads(json.dumps(description, allow_nan=False))


@pytest.mark.parametrize('network', NETWORKS)
def test_every_network_comes_back(network):
  description = models.describe(network, SHAPE, classes=('a', 'b', 'c'))
  assert through_json(description) == description
  assert description['network'] == type(network).__name__
  assert models.described_network(through_json(description)) == network


def test_the_model_that_comes_back_gives_the_same():
  network, how = models.SmallCNN(3, (4,)), {
      'mean': np.float32([0.1, 0.2, 0.3]), 'std': np.float32([0.5, 0.25, 2])}
  description = models.describe(
      network, SHAPE, precision='bfloat16', **how)
  assert description['classes'] is None
  assert description['task'] == 'classification'
  want = models.from_linen(network, SHAPE, precision=jax.numpy.bfloat16, **how)
  found = models.build(through_json(description))
  key = jax.random.key(0)
  variables = want.init(key)
  chex.assert_trees_all_equal(found.init(key), variables)
  examples = Images(np.random.default_rng(0).integers(
      0, 256, (4, *SHAPE), np.uint8), np.arange(4, dtype=np.int32) % 3)
  outputs = [model.apply(variables, examples, train=True)
             for model in (want, found)]
  chex.assert_trees_all_equal(*outputs)
  chex.assert_trees_all_equal(*(
      model.task.loss(outputs[0][0], examples) for model in (want, found)))


def test_networks_of_others_are_given_again():
  description = through_json(models.describe(Own(3, (4,)), SHAPE))
  name = description['network']
  assert name.endswith('test_descriptions:Own')
  assert models.described_network(
      description, networks={name: Own}) == Own(3, (4,))
  with pytest.raises(ValueError, match=f'network={name!r} to be one of'):
    models.build(description)


def test_what_cannot_be_described_is_named():
  with pytest.raises(TypeError, match='network to be a Flax Linen module'):
    models.describe(models.MLP, SHAPE)
  with pytest.raises(TypeError, match='argument kernel_init of Own to hold'):
    models.describe(Own(3, kernel_init=nn.initializers.ones), SHAPE)
  with pytest.raises(TypeError, match='argument scale of AirBench to hold'):
    models.describe(models.AirBench(3, scale=float('nan')), SHAPE)
  with pytest.raises(ValueError, match='names of 3 classes, .* found 2'):
    models.describe(models.MLP(3), SHAPE, classes=('a', 'b'))
  with pytest.raises(ValueError, match="different names, found 'a' twice"):
    models.describe(models.MLP(3), SHAPE, classes=('a', 'a', 'b'))
  with pytest.raises(ValueError, match='std=.* to be positive'):
    models.describe(models.MLP(3), SHAPE, std=(0,))
  with pytest.raises(ValueError, match='image_shape='):
    models.describe(models.MLP(3), (8, 8))


@pytest.mark.parametrize('changes, message', [
    ({'network': 'ResNet8'}, "network='ResNet8' to be .*the nearest is ResNet"),
    ({'task': 'clasification'}, "task='clasification' .* is classification"),
    ({'precision': 'int8'}, "precision='int8' to be one of bfloat16, float16"),
    ({'version': 2}, 'version=2 of the description to be 1'),
    ({'arguments': {'classes': 3, 'width': 4}}, 'those of a MLP: .*width'),
    ({'classes': ['a']}, 'Expected the names of 3 classes'),
    ({'mean': [0.5, 0.5]}, 'mean='), ({'image_shape': [3]}, 'image_shape=')])
def test_a_description_that_was_changed_is_refused(changes, message):
  description = models.describe(models.MLP(3), SHAPE) | changes
  with pytest.raises(ValueError, match=message):
    models.build(description)


def test_a_description_that_lacks_something_is_refused():
  description = models.describe(models.MLP(3), SHAPE)
  for entry in description:
    with pytest.raises(ValueError, match=f'to hold {entry}, found '):
      models.build({k: x for k, x in description.items() if k != entry})
  with pytest.raises(TypeError, match='description to be a dict, found 3'):
    models.build(3)
  with pytest.raises(TypeError, match='arguments of the description to be a d'):
    models.build(description | {'arguments': [3]})
