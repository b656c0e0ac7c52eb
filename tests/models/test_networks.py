"""The paper's networks: sizes, padding, seeds, gradients, modules."""

from __future__ import annotations

import functools
import json
import pathlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import batch_norm, models, subspaces
from rum_jax.models.torch_weights import torch_shapes
from rum_jax.types import Images, Variables

SHAPES = json.loads(
    (pathlib.Path(__file__).parent / 'goldens' / 'shapes.json').read_text())
# As the golden's, at full width.
WHOLE = {
    'resnet18': models.resnet18, 'resnet50': models.resnet50,
    'resnet18_imagenet': functools.partial(
        models.resnet18, imagenet_stem=True),
    'resnet34': models.resnet34,
    'vit_small': functools.partial(models.vit_small, patch=4),
    'vgg16': models.vgg16,
    'vgg16_imagenet': functools.partial(
        models.VGG, hidden=(4096, 4096), pooled=7, bias=True,
        imagenet_head=True, dropout=0.5),
    'vgg16_lth': functools.partial(
        models.VGG, hidden=(), pooled=1, bias=True),
    'resnet9': models.ResNet9}
# Narrow and shallow, but with every kind of part.
SMALL = {
    'resnet': models.ResNet(3, (1, 2), (3, 4)),
    'bottleneck': models.ResNet(3, (1, 1), (2, 2), True, True),
    'vgg': models.VGG(3, (3, 4), (1, 2), (6, 5)),
    'resnet9': models.ResNet9(3, (2, 3, 4, 5)),
    'airbench': models.AirBench(3, (4, 5, 6)),
    'vit': models.ViT(3, 4, 6, 2, 2, 5)}
FEATURES = {'resnet': 4, 'bottleneck': 8, 'vgg': 5, 'resnet9': 5,
            'airbench': 6, 'vit': 6}
SCALES = {'resnet9': 0.2, 'airbench': 1 / 9}  # Of what the head gives.
ORDER = {
    'resnet': ('stem', 'layer1_0', 'layer2_0', 'layer2_1', 'head'),
    'bottleneck': ('stem', 'layer1_0', 'layer2_0', 'head'),
    'vgg': ('conv1_1', 'conv2_1', 'conv2_2', 'hidden1', 'hidden2', 'head'),
    'resnet9': ('unit1', 'unit2', 'residual1', 'unit3', 'residual2', 'unit4',
                'head'),
    'airbench': ('whiten', 'group1', 'group2', 'group3', 'head'),
    'vit': ('patch_embed', 'cls_token', 'pos_embed', 'blocks_0', 'blocks_1',
            'norm', 'head')}
SHAPE = (12, 12, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (6, *SHAPE), dtype=np.uint8)
EXAMPLES = Images(IMAGES, None)
# Single precision, a dozen layers, means of six examples.
CLOSE = {'rtol': 2e-3, 'atol': 2e-4}
each = pytest.mark.parametrize('name', SMALL)
quick_jit = functools.partial(
    jax.jit, compiler_options={'xla_backend_optimization_level': 0})


@functools.cache
def small(name: str):
  """A network and variables that are neither 0 nor 1."""
  model = models.from_linen(SMALL[name], SHAPE)
  shapes = jax.eval_shape(model.init, jax.random.key(0))
  rng = np.random.default_rng(1)

  def draw(x):
    fan_in = np.prod(x.shape[:-1]) if x.ndim > 1 else 1
    return np.float32(rng.normal(0.2, 1, x.shape) / np.sqrt(fan_in))

  return model, Variables(
      jax.tree.map(draw, shapes.params),
      jax.tree.map(lambda x: np.float32(rng.uniform(0.3, 0.9, x.shape)),
                   shapes.stats))


def training_pass(model):
  """Outputs, new moments, and gradients of all parameters."""
  def run(variables, images):
    def total(params):
      outputs, stats = model.apply(
          variables._replace(params=params), Images(images, None), train=True)
      total = (jnp.arange(1.0, 4) * outputs.prediction**2).sum()
      return total, (outputs, stats)

    gradient, (outputs, stats) = jax.grad(total, has_aux=True)(
        variables.params)
    return outputs, stats, gradient

  return run


@functools.cache
def passed(name: str):
  model, variables = small(name)
  return quick_jit(training_pass(model))(variables, IMAGES)


@pytest.fixture
def cpu_pass(name):
  """A training pass in a CPU's own forms; to be named before `plain`."""
  return passed(name)


@pytest.mark.parametrize('name', WHOLE)
def test_names_shapes_and_count_are_those_of_pytorch(plain, name):
  golden = SHAPES[name]
  module = WHOLE[name](golden['classes'])
  model = models.from_linen(module, (32, 32, 3))
  want = {entry: tuple(shape) for entry, shape in golden['shapes'].items()
          if not entry.startswith('normalize.')
          and not entry.endswith('num_batches_tracked')}
  assert torch_shapes(model, module.torch_names()) == want
  params = jax.eval_shape(model.init, jax.random.key(0)).params
  assert sum(x.size for x in jax.tree.leaves(params)) == golden['parameters']


@pytest.mark.parametrize('name, features, side', [
    ('resnet18', 512, 64), ('resnet50', 2048, 32),
    ('resnet18_imagenet', 512, 32), ('resnet18_imagenet', 512, 64),
    ('resnet34', 512, 32), ('vit_small', 384, 64), ('vit_small', 384, 32),
    ('vgg16', 256, 32), ('vgg16', 256, 64), ('vgg16_lth', 512, 64),
    ('resnet9', 128, 32), ('resnet9', 128, 64)])
def test_logits_and_features(request, name, features, side):
  if side == 32 or name not in ('resnet18_imagenet', 'vgg16'):
    # Shapes of a CPU's forms are in two networks; to trace them takes seconds.
    request.getfixturevalue('plain')
  model = models.from_linen(WHOLE[name](7), (side, side, 3))
  variables = jax.eval_shape(model.init, jax.random.key(0))
  outputs, stats = jax.eval_shape(
      lambda v, x: model.apply(v, Images(x, None), train=True), variables,
      jax.ShapeDtypeStruct((5, side, side, 3), jnp.uint8))
  assert outputs.prediction.shape == (5, 7)
  assert outputs.features.shape == (5, features)
  chex.assert_trees_all_equal_shapes_and_dtypes(stats, variables.stats)


@each
def test_padding_is_left_out(plain, name):
  model, variables = small(name)
  mask = np.array([1.0, 1, 0, 1, 0, 1])
  kept = np.flatnonzero(mask)
  run = quick_jit(functools.partial(model.apply, train=True))
  got, stats = run(variables, EXAMPLES, mask=mask)
  want = run(variables, Images(IMAGES[kept], None), mask=None)
  chex.assert_trees_all_close(
      (jax.tree.map(lambda x: x[kept], got), stats), want, **CLOSE)


@each
def test_many_are_as_each_and_platforms_agree(cpu_pass, plain, name):
  model, variables = small(name)
  both = jax.tree.map(lambda x: np.stack([0.9 * x, x]), variables)
  got = quick_jit(jax.vmap(training_pass(model), (0, None)))(both, IMAGES)
  chex.assert_trees_all_close(
      jax.tree.map(lambda x: x[1], got), cpu_pass, **CLOSE)


@each
def test_every_parameter_learns_and_every_moment_moves(cpu_pass, name):
  outputs, stats, gradient = cpu_pass
  assert outputs.prediction.shape == (6, 3)
  assert outputs.features.shape == (6, FEATURES[name])
  assert all(jnp.abs(x).max() > 1e-6 for x in jax.tree.leaves(gradient))
  before = dict(jax.tree.leaves_with_path(small(name)[1].stats))
  for path, now in jax.tree.leaves_with_path(stats):
    moves = path[-1].key in ('mean', 'var')
    assert ((now != before[path]) == moves).all()


@each
def test_modules_in_forward_order(name):
  assert subspaces.forward_order(*small(name), EXAMPLES) == ORDER[name]


@each
def test_hidden_layers_end_with_the_logits(plain, name):
  model, variables = small(name)
  look = models.hidden_layers(SMALL[name], SHAPE)
  layers, (outputs, _) = quick_jit(lambda variables: (
      look(variables, IMAGES),
      model.apply(variables, EXAMPLES, train=False)))(variables)
  assert all(x.ndim == 2 and len(x) == len(IMAGES) for x in layers)
  assert len(layers) >= sum(
      isinstance(variables.params[part], dict) for part in ORDER[name])
  np.testing.assert_allclose(
      SCALES.get(name, 1) * layers[-1], outputs.prediction, **CLOSE)


def test_a_hidden_layer_by_hand():
  network = models.MLP(2, (3,))
  model = models.from_linen(network, (2, 1, 1), mean=(0.5,), std=(0.25,))
  variables = model.init(jax.random.key(0))
  image = np.array([[[[51]], [[255]]]], np.uint8)
  first, _ = models.hidden_layers(
      network, (2, 1, 1), mean=(0.5,), std=(0.25,))(variables, image)
  want = np.array([[-1.2, 2.0]]) @ variables.params['Dense_0']['kernel']
  np.testing.assert_allclose(first, want, rtol=1e-5)


@each
def test_frozen_and_held(plain, name):
  model, variables = small(name)

  def pair(variables):
    still = batch_norm.frozen(model)
    moving = subspaces.held(model, ORDER[name][-3:])
    return (still.apply(variables, EXAMPLES, train=True),
            model.apply(variables, EXAMPLES, train=False),
            moving.apply(variables, EXAMPLES, train=True))

  got, want, (_, stats) = quick_jit(pair)(variables)
  chex.assert_trees_all_equal(got, want)
  same = [name for name in stats if all(
      (a == b).all() for a, b in zip(*map(
          jax.tree.leaves, (stats[name], variables.stats[name]))))]
  assert set(same) == set(stats) - set(ORDER[name][-3:])


def test_a_start_like_pytorchs():
  model = models.from_linen(models.ResNet(10, (1, 1), (16, 16)), (8, 8, 3))
  params, stats = model.init(jax.random.key(0))
  block = params['layer2_0']['conv2']
  np.testing.assert_allclose(
      block['conv']['kernel'].std(), (2 / (9 * 16))**0.5, rtol=0.1)
  np.testing.assert_array_equal(block['norm']['scale'], 1)
  np.testing.assert_array_equal(block['norm']['bias'], 0)
  np.testing.assert_array_equal(stats['stem']['conv1']['norm']['var'], 1)
  assert 0.2 < jnp.abs(params['head']['kernel']).max() <= 16**-0.5
  np.testing.assert_array_equal(params['head']['bias'], 0)


def test_resnet9_needs_twelve_pixels():
  model = models.from_linen(models.ResNet9(10), (8, 8, 3))
  with pytest.raises(ValueError, match='at least 3×3 pixels, found 2×2'):
    jax.eval_shape(model.init, jax.random.key(0))


def test_half_precision_is_of_products_alone():
  model = models.from_linen(SMALL['resnet'], SHAPE, precision=jnp.bfloat16)
  program = quick_jit(training_pass(model)).lower(small('resnet')[1], IMAGES)
  logits = []
  for found in (passed('resnet'),
                program.compile()(small('resnet')[1], IMAGES)):
    kinds = {x.dtype for x in jax.tree.leaves(found)}
    assert kinds == {jnp.dtype('float32')}
    logits.append(found[0].prediction)
  error = abs(logits[1] - logits[0]).max() / abs(logits[0]).max()
  assert 1e-5 < error < 0.1  # Three digits, some of them lost on the way.
  assert 'xbf16>' in program.as_text()


def test_half_precision_of_a_vit_is_of_products_alone():
  model = models.from_linen(SMALL['vit'], SHAPE, precision=jnp.bfloat16)
  exact, variables = small('vit')
  want, got = (quick_jit(functools.partial(each_model.apply, train=False))(
      variables, EXAMPLES)[0].prediction for each_model in (exact, model))
  assert got.dtype == jnp.float32
  error = abs(got - want).max() / abs(want).max()
  assert 1e-5 < error < 0.1
  text = jax.jit(functools.partial(model.apply, train=True)).lower(
      variables, EXAMPLES).as_text()
  products = [line for line in text.splitlines() if 'dot_general' in line]
  assert products and all('bf16' in line for line in products)


@pytest.mark.parametrize('module', [
    SMALL['vit'].clone(dropout=0.5), SMALL['vgg'].clone(dropout=0.5)])
def test_dropout_takes_the_key(plain, module):
  model = models.from_linen(module, SHAPE)
  variables = small('vit' if isinstance(module, models.ViT) else 'vgg')[1]
  run = quick_jit(functools.partial(model.apply, train=True))
  one, same, other = (
      run(variables, EXAMPLES, key=jax.random.key(i))[0].prediction
      for i in (1, 1, 2))
  np.testing.assert_array_equal(one, same)
  assert (one != other).any()
  still, _ = quick_jit(functools.partial(model.apply, train=False))(
      variables, EXAMPLES)
  want, _ = quick_jit(functools.partial(
      models.from_linen(module.clone(dropout=0.0), SHAPE).apply, train=False))(
          variables, EXAMPLES)
  np.testing.assert_array_equal(still.prediction, want.prediction)
  with pytest.raises(ValueError, match='Expected a key for V'):
    jax.eval_shape(functools.partial(model.apply, train=True), variables,
                   EXAMPLES)


@pytest.mark.parametrize('changed, message', [
    ({'patch': 5}, 'patch=5 to divide the sides of the images, found 12×12'),
    ({'heads': 4}, 'heads=4 to divide width=6'),
    ({'depth': 0}, 'depth=0 to be at least 1'),
    ({'dropout': 1.5}, 'dropout=1.5 in')])
def test_sizes_of_a_vit_that_do_not_fit_are_named(changed, message):
  model = models.from_linen(SMALL['vit'].clone(**changed), SHAPE)
  with pytest.raises(ValueError, match=message):
    jax.eval_shape(model.init, jax.random.key(0))
