"""Linen modules become models."""

from __future__ import annotations

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import models
from rum_jax.models import layers
from rum_jax.types import Images, Outputs, Variables


class Echo(nn.Module):
  """Returns what it is given: images as logits, the mask as features."""

  @nn.compact
  def __call__(self, x, *, train, mask):
    self.param('unused', nn.initializers.ones, (1,))
    seen = jnp.zeros(len(x)) if mask is None else mask
    return Outputs(x.reshape(len(x), -1), (seen + 100 * train)[:, None])


def test_images_are_normalised_channel_by_channel(float64):
  mean, std = (0.5, 0.25), (0.1, 2.0)
  model = models.from_linen(Echo(), (2, 1, 2), mean=mean, std=std)
  image = np.array([[[[0, 51]], [[255, 102]]]], np.uint8)
  outputs, _ = model.apply(
      model.init(jax.random.key(0)), Images(jnp.asarray(image), None),
      train=False)
  want = [-0.5 / 0.1, (0.2 - 0.25) / 2, 0.5 / 0.1, (0.4 - 0.25) / 2]
  np.testing.assert_allclose(outputs.prediction[0], want, rtol=1e-14)


def test_images_are_only_scaled_by_default():
  model = models.from_linen(Echo(), (1, 1, 3))
  outputs, _ = model.apply(
      model.init(jax.random.key(0)),
      Images(jnp.array([[[[0, 51, 255]]]], jnp.uint8), None), train=False)
  np.testing.assert_allclose(outputs.prediction[0], [0, 0.2, 1], rtol=1e-6)


def test_mode_and_mask_reach_the_module():
  model = models.from_linen(Echo(), (1, 1, 1))
  variables = model.init(jax.random.key(0))
  assert variables.stats == {}
  images = Images(jnp.zeros((2, 1, 1, 1), jnp.uint8), None)
  mask = jnp.array([1.0, 0.0])
  for train in (False, True):
    outputs, stats = model.apply(variables, images, train=train, mask=mask)
    np.testing.assert_array_equal(outputs.features[:, 0], mask + 100 * train)
    assert stats == {}


def test_only_training_moves_the_stats(cnn, toy):
  model, variables = cnn
  images = jax.tree.map(jnp.asarray, toy)
  _, same = model.apply(variables, images, train=False)
  chex.assert_trees_all_equal(same, variables.stats)
  _, new = model.apply(variables, images, train=True)
  chex.assert_trees_all_equal_shapes_and_dtypes(new, variables.stats)
  for a, b in zip(*map(jax.tree.leaves, (new, variables.stats)), strict=True):
    assert (a != b).all()


def test_padding_is_not_seen_in_training(cnn, toy):
  model, variables = cnn
  images = Images(jnp.asarray(toy.image[:6]), None)
  mask = jnp.array([1.0] * 4 + [0.0] * 2)
  outputs, stats = model.apply(variables, images, train=True, mask=mask)
  changed = Images(images.image.at[4:].set(255 - images.image[4:]), None)
  others, again = model.apply(variables, changed, train=True, mask=mask)
  chex.assert_trees_all_equal(stats, again)
  np.testing.assert_array_equal(outputs.prediction[:4], others.prediction[:4])
  assert (outputs.prediction[4:] != others.prediction[4:]).any()


def test_init_is_a_function_of_the_key(float32_cnn):
  model, variables = float32_cnn
  chex.assert_trees_all_equal(model.init(jax.random.key(1)), variables)
  other = model.init(jax.random.key(2))
  kernel = lambda v: v.params['Conv_0']['kernel']
  assert (kernel(other) != kernel(variables)).all()
  chex.assert_trees_all_equal(other.stats, variables.stats)
  for name, want in (('mean', 0.0), ('var', 1.0)):
    np.testing.assert_array_equal(other.stats['BatchNorm_0'][name], want)


@pytest.mark.parametrize('shape', [(8, 8, 3), (8, 9, 1), (64,)])
def test_images_of_another_shape_are_refused(float32_cnn, shape):
  model, variables = float32_cnn
  with pytest.raises(ValueError) as error:
    model.apply(variables, Images(jnp.zeros((2, *shape), jnp.uint8), None),
                train=False)
  assert str(error.value) == (
      f'Expected images of shape (8, 8, 1), found {shape}.')


def test_examples_that_are_no_images_are_refused(float32_cnn, toy):
  model, variables = float32_cnn
  with pytest.raises(TypeError, match='rum_jax.Images, found an array'):
    model.apply(variables, toy.image, train=False)


@pytest.mark.parametrize('name', ['mean', 'std'])
@pytest.mark.parametrize('values', [(), (0.5, 0.2, 0.1)])
def test_there_is_one_value_a_channel_or_one_for_all(name, values):
  with pytest.raises(ValueError) as error:
    models.from_linen(Echo(), (1, 1, 2), **{name: values})
  assert str(error.value) == (
      f'Expected {name}={values} to hold 1 or 2 values, one a channel.')


@pytest.mark.parametrize('std', [(0.0,), (0.2, -0.1)])
def test_a_spread_that_is_not_positive_is_refused(std):
  with pytest.raises(ValueError, match='Expected std=.* to be positive'):
    models.from_linen(Echo(), (1, 1, 2), mean=(0.0, 0.0), std=std)


class Plain(nn.Module):
  """As a tutorial has it: neither mode nor mask, and logits alone."""

  @nn.compact
  def __call__(self, x):
    return nn.Dense(3)(x.reshape(len(x), -1))


class Bare(Plain):

  @nn.compact
  def __call__(self, x, *, train, mask):
    return super().__call__(x)


def test_a_module_of_another_form_is_refused():
  with pytest.raises(TypeError, match=(
      r'Expected Plain to take \(images, \*, train, mask\), found \(x\)')):
    models.from_linen(Plain(), (2, 2, 1))
  model = models.from_linen(Bare(), (2, 2, 1))
  bare = r'Expected Bare to return Outputs\(.*\), found an array'
  with pytest.raises(TypeError, match=bare):
    model.init(jax.random.key(0))
  dense = {'Dense_0': {'kernel': jnp.ones((4, 3)), 'bias': jnp.ones(3)}}
  with pytest.raises(TypeError, match=bare):
    blank = jnp.zeros((1, 2, 2, 1), jnp.uint8)
    model.apply(Variables(dense, {}), Images(blank, None), train=False)


class Odd(nn.Module):
  """Right but for one thing."""

  wrong: str = ''

  @nn.compact
  def __call__(self, x, *, train, mask):
    if self.wrong == 'norm':
      x = nn.BatchNorm(use_running_average=not train)(x)
    if self.wrong == 'masked':
      seen = None if mask is None else mask[:, None, None, None] > 0
      x = nn.BatchNorm()(x, not train, mask=seen)
    if self.wrong in ('ours', 'ours, masked'):
      seen = mask if self.wrong == 'ours, masked' else None
      x = layers.BatchNorm()(x, train=train, mask=seen)
    if self.wrong == 'still':
      x = nn.BatchNorm(use_running_average=True)(x)
    flat = x.reshape(len(x), -1)
    logits = nn.Dense(3)(flat)
    return Outputs(logits[:, None] if self.wrong == 'logits' else logits,
                   x if self.wrong == 'features' else flat)


@pytest.mark.parametrize('wrong, message', [
    ('logits',
     r'return prediction \[{}, K\], found an array of .* \({}, 1, 3\)'),
    ('features', r'return features \[{}, D\], found .*\({}, 2, 2, 1\)')])
def test_outputs_of_another_shape_are_refused(wrong, message):
  model = models.from_linen(Odd(wrong), (2, 2, 1))
  with pytest.raises(ValueError, match=message.format(1, 1)):
    model.init(jax.random.key(0))
  variables = models.from_linen(Odd(), (2, 2, 1)).init(jax.random.key(0))
  with pytest.raises(ValueError, match=message.format(5, 5)):
    blank = jnp.zeros((5, 2, 2, 1), jnp.uint8)
    model.apply(variables, Images(blank, None), train=False)


@pytest.mark.parametrize('wrong, warned', [
    ('', 0), ('masked', 0), ('still', 0), ('norm', 1), ('ours, masked', 0),
    ('ours', 1)])
def test_batch_norm_that_counts_padding_is_warned_of(recwarn, wrong, warned):
  model = models.from_linen(Odd(wrong), (2, 2, 1))
  variables = model.init(jax.random.key(0))
  images = Images(jnp.zeros((3, 2, 2, 1), jnp.uint8), None)
  for train, mask in ((False, None), (True, None), (False, jnp.ones(3))):
    model.apply(variables, images, train=train, mask=mask)
  assert not recwarn
  model.apply(variables, images, train=True, mask=jnp.ones(3))
  assert len(recwarn) == warned
  for warning in recwarn:
    assert 'BatchNorm_0 was not given the mask' in str(warning.message)


@pytest.mark.parametrize('shape', [8, (8, 8), (1, 8, 8, 1)])
def test_the_shape_of_an_image_has_three_axes(shape):
  with pytest.raises(ValueError) as error:
    models.from_linen(Odd(), shape)
  assert str(error.value) == (
      f'Expected image_shape={shape} to be (height, width, channels).')


@pytest.mark.parametrize('module, found', [
    (models.MLP, 'the class MLP'), (lambda x: x, 'the function <lambda>'),
    (3, '3')])
def test_what_is_no_module_is_refused(module, found):
  with pytest.raises(TypeError, match=(
      f'to be a Flax module such as .*, found {found}.')):
    models.from_linen(module, (2, 2, 1))
