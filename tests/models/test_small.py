"""The small networks, layer by layer."""

from __future__ import annotations

import chex
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rum_jax import models, trees
from rum_jax.types import Images, Variables


def random_images(*shape: int):
  return jnp.asarray(np.random.default_rng(0).integers(
      0, 256, shape, dtype=np.uint8))


def filled(model):
  """Variables of a model in double precision, none of them 0 or 1."""
  rng = np.random.default_rng(1)
  shapes = jax.eval_shape(model.init, jax.random.key(0))
  return Variables(
      jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)),
                   shapes.params),
      jax.tree.map(lambda x: jnp.asarray(rng.uniform(0.2, 0.9, x.shape)),
                   shapes.stats))


@pytest.mark.parametrize('module, shape, features', [
    (models.MLP(7, (11, 5)), (4, 4, 3), 5), (models.MLP(2, (3,)), (8, 8, 1), 3),
    (models.SmallCNN(7, (4, 6, 5)), (8, 8, 3), 5),
    (models.SmallCNN(10, (4, 3)), (6, 10, 1), 3)])
@pytest.mark.parametrize('train', [True, False])
def test_shapes(module, shape, features, train):
  model = models.from_linen(module, shape)
  variables = jax.eval_shape(model.init, jax.random.key(0))
  images = jax.ShapeDtypeStruct((9, *shape), jnp.uint8)
  outputs, stats = jax.eval_shape(
      lambda v, x: model.apply(v, Images(x, None), train=train),
      variables, images)
  assert outputs.prediction.shape == (9, module.classes)
  assert outputs.features.shape == (9, features)
  chex.assert_trees_all_equal_shapes_and_dtypes(stats, variables.stats)


def test_mlp_by_hand(float64):
  model = models.from_linen(models.MLP(3, (6, 4)), (2, 2, 1))
  variables = filled(model)
  images = random_images(5, 2, 2, 1)
  x = np.asarray(images).reshape(5, 4) / 255
  for i in range(2):
    layer = variables.params[f'Dense_{i}']
    x = np.maximum(x @ layer['kernel'] + layer['bias'], 0)
  last = variables.params['Dense_2']
  outputs, stats = model.apply(variables, Images(images, None), train=True)
  assert (x == 0).any() and (x > 0).any()  # ReLU has work to do.
  np.testing.assert_allclose(outputs.features, x, rtol=1e-13, atol=1e-13)
  np.testing.assert_allclose(
      outputs.prediction, x @ last['kernel'] + last['bias'], rtol=1e-12,
      atol=1e-13)
  assert stats == variables.stats == {}


def test_cnn_is_convolutions_norms_and_pools_of_xla(float64):
  model = models.from_linen(models.SmallCNN(3, (4, 5, 6)), (8, 8, 2))
  variables = filled(model)
  images = random_images(5, 8, 8, 2)
  window = (1, 2, 2, 1)

  @jax.jit
  def reference(params, stats):
    x = jnp.asarray(images) / 255.0
    for i in range(3):
      x = lax.conv_general_dilated(
          x, params[f'Conv_{i}']['kernel'], (1, 1), 'SAME',
          dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
      norm, moments = params[f'BatchNorm_{i}'], stats[f'BatchNorm_{i}']
      x = (x - moments['mean']) / jnp.sqrt(moments['var'] + 1e-5)
      x = jnp.maximum(x * norm['scale'] + norm['bias'], 0)
      if i < 2:
        x = lax.reduce_window(x, -jnp.inf, lax.max, window, window, 'VALID')
    assert x.shape == (5, 2, 2, 6)
    features, last = x.mean((1, 2)), params['Dense_0']
    return features @ last['kernel'] + last['bias'], features

  logits, features = reference(*variables)
  outputs, _ = jax.jit(lambda v: model.apply(
      v, Images(images, None), train=False))(variables)
  np.testing.assert_allclose(outputs.features, features, rtol=1e-11)
  np.testing.assert_allclose(outputs.prediction, logits, rtol=1e-11, atol=1e-11)


def test_the_size_of_a_network_by_hand():
  model = models.from_linen(models.SmallCNN(3, (4, 5)), (8, 8, 2))
  variables = jax.tree.map(
      lambda x: np.zeros(x.shape), jax.eval_shape(
          model.init, jax.random.key(0)))
  want = 9 * 2 * 4 + 2 * 4 + 9 * 4 * 5 + 2 * 5 + 5 * 3 + 3
  assert optax.tree.size(variables.params) == want
  assert optax.tree.size(variables.stats) == 2 * 4 + 2 * 5


def test_models_of_many_seeds_are_those_of_each(float64, cnn, toy):
  model, variables = cnn
  stacked = jax.tree.map(lambda x: jnp.stack([x, 2 - x, x**2]), variables)
  toy = jax.tree.map(jnp.asarray, toy)
  apply = jax.jit(lambda v: model.apply(v, toy, train=True))
  got = jax.vmap(apply)(stacked)
  for i in range(3):
    chex.assert_trees_all_close(
        trees.take(got, i), apply(trees.take(stacked, i)), rtol=1e-11,
        atol=1e-12)
