"""A pair of pure functions becomes a model."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rum_jax
from rum_jax import models
from rum_jax.types import Images, Outputs, Split

IMAGE = np.random.default_rng(0).integers(0, 256, (12, 2, 2, 1), np.uint8)
EXAMPLES = Images(IMAGE, np.arange(12, dtype=np.int32) % 3)


def init(key):
  return {'head': jax.random.normal(key, (4, 3))}


def logits(params, images):
  return images.reshape(len(images), -1) @ params['head']


def test_logits_by_hand():
  model = models.from_functions(init, logits, (2, 2, 1), mean=(0.5,),
                                std=(0.25,))
  variables = model.init(jax.random.key(0))
  assert variables.stats == {}
  want = ((IMAGE / 255 - 0.5) / 0.25).reshape(12, -1) @ variables.params['head']
  for train in (True, False):
    outputs, stats = model.apply(
        variables, EXAMPLES, train=train, key=jax.random.key(1),
        mask=jnp.ones(12))
    np.testing.assert_allclose(outputs.prediction, want, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(outputs.features, outputs.prediction)
    assert stats == {}


def test_features_may_be_given():

  def both(params, images):
    return Outputs(logits(params, images), images.reshape(len(images), -1))

  model = models.from_functions(init, both, (2, 2, 1))
  outputs, _ = model.apply(
      model.init(jax.random.key(0)), EXAMPLES, train=False)
  np.testing.assert_allclose(outputs.features, IMAGE.reshape(12, -1) / 255,
                             rtol=1e-6)


def test_it_unlearns():
  model = models.from_functions(init, logits, (2, 2, 1))
  variables = model.init(jax.random.key(0))
  split = Split(np.arange(3, dtype=np.int32), np.arange(3, 12, dtype=np.int32))
  new, info = rum_jax.finetune(
      model, rum_jax.sgd(0.5), epochs=4, batch_size=3)(
          jax.random.key(1), variables, EXAMPLES, split)
  assert info.loss[-3:].mean() < info.loss[:3].mean()
  assert (new.params['head'] != variables.params['head']).any()


def test_what_does_not_fit_is_named():
  with pytest.raises(TypeError, match='Expected init to be callable, found 3'):
    models.from_functions(3, logits, (2, 2, 1))
  with pytest.raises(TypeError, match='Expected apply to be callable'):
    models.from_functions(init, None, (2, 2, 1))
  with pytest.raises(ValueError, match='image_shape='):
    models.from_functions(init, logits, (2, 2))
  variables = models.from_functions(init, logits, (2, 2, 1)).init(
      jax.random.key(0))

  def run(apply, examples=EXAMPLES):
    models.from_functions(init, apply, (2, 2, 1)).apply(
        variables, examples, train=False)

  with pytest.raises(TypeError, match='rum_jax.Images'):
    run(logits, IMAGE)
  with pytest.raises(ValueError, match='Expected images of shape'):
    run(logits, Images(IMAGE[:, :1], None))

  def flat(params, images):
    return logits(params, images)[0]

  def listed(params, images):
    return [logits(params, images)]

  with pytest.raises(ValueError, match=r'flat to return prediction \[12, K\]'):
    run(flat)
  with pytest.raises(TypeError, match='listed to return Outputs'):
    run(listed)
