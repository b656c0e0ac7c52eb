"""Networks are recognised by their state dicts."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from rum_jax import models
from rum_jax.models.torch_weights import torch_shapes
from tests.models.test_torch_weights import FOLDER, TWINS

pytestmark = pytest.mark.usefixtures('plain')  # Only shapes matter.

# What the tensors cannot tell: the heads of a narrow ViT and the dropout.
TOLD = {'vit': {'heads': 4}}
UNTOLD = {'vgg16_imagenet': {'dropout': 0.5}}


def state_of(name: str):
  return models.read_safetensors(FOLDER / f'{name}.safetensors')


@pytest.mark.parametrize('name', TWINS)
def test_every_golden_is_recognised(name):
  found = models.recognise(state_of(name), **TOLD.get(name, {}))
  assert found == TWINS[name].clone(**UNTOLD.get(name, {}))


def blank_state(module, side: int = 32, channels: int = 3):
  """Zeros with the names and shapes of a network's tensors."""
  model = models.from_linen(module, (side, side, channels))
  return {name: np.broadcast_to(np.float32(0), shape) for name, shape in
          torch_shapes(model, module.torch_names()).items()}


@pytest.mark.parametrize('module', [
    models.resnet34(7), models.resnet50(100, imagenet_stem=True),
    models.vgg16(3), models.VGG(4, hidden=(), pooled=1, bias=True),
    models.VGG(1000, hidden=(4096, 4096), pooled=7, bias=True,
               imagenet_head=True, dropout=0.5),
    models.ResNet9(2), models.AirBench(10, scale=1 / 128),
    models.vit_small(5, 4), models.vit_base(9, 8),
    models.ViT(2, 8, 1280, 1, 16, 64)])
def test_whole_networks_are_recognised(module):
  assert models.recognise(blank_state(module)) == module


@pytest.mark.parametrize('channels', [1, 4])
def test_the_channels_of_an_image_are_read(channels):
  for module in (models.ResNet(2, (1, 1), (2, 4)),
                 models.ViT(2, 8, 64, 1, 1, 64)):
    assert models.recognise(blank_state(module, 16, channels)) == module


def test_wrappers_and_counts_are_overlooked():
  state = state_of('resnet34')
  wrapped = {f'module._orig_mod.{name}': x for name, x in state.items()}
  assert models.recognise(wrapped) == TWINS['resnet34']


@pytest.mark.parametrize('dtype', [np.float16, np.float64])
def test_any_floating_type_will_do(dtype):
  state = {k: x.astype(dtype) for k, x in state_of('vit').items()}
  assert models.recognise(state, heads=4) == TWINS['vit']


def test_another_network_is_refused_with_what_was_looked_for():
  state = {f'encoder.{i}.weight': np.zeros((2, 2)) for i in range(9)}
  with pytest.raises(ValueError) as error:
    models.recognise(state)
  message = str(error.value)
  for part in ('found encoder.0.weight, ', 'encoder.3.weight and 5 more',
               'ResNet of torchvision, but there is no conv1.weight',
               'VGG with batch-norm', 'no features.1.running_mean',
               'ResNet-9 of FFCV', 'AirBench', 'ViT of timm',
               'no blocks.0.attn.qkv.weight'):
    assert part in message
  with pytest.raises(ValueError, match='found none. Looked for'):
    models.recognise({})


@pytest.mark.parametrize('name, entry, value, message', [
    ('resnet34', 'fc.weight', None, 'torchvision, but there is no fc.weight;'),
    ('resnet34', 'layer2.1.bn1.bias', None,
     r'Expected layer2.1.bn1.bias of shape \(3,\), found none'),
    ('resnet34', 'layer1.0.se.weight', np.zeros(3),
     'Expected no layer1.0.se.weight'),
    ('resnet34', 'fc.bias', np.zeros(9), r'fc.bias of shape \(5,\), found'),
    ('resnet34', 'conv1.weight', np.zeros((2, 3, 5, 5)), 'found 5×5'),
    ('resnet34', 'fc.weight', np.zeros(3), 'fc.weight .* to have 2 axes'),
    ('vit', 'blocks.1.ls1.gamma', np.zeros(3), 'no blocks.1.ls1.gamma'),
    ('vit', 'cls_token', None, 'Expected cls_token of shape'),
    ('vit', 'pos_embed', np.zeros((1, 18, 16)),
     r'pos_embed of shape \(1, 17, 16\), found \(1, 18, 16\)'),
    ('vgg16', 'classifier.0.weight', None, 'classifier.0.weight')])
def test_what_does_not_fit_is_named(name, entry, value, message):
  state = {k.removeprefix('module.'): x for k, x in state_of(name).items()}
  state.pop(entry, None)
  if value is not None:
    state[entry] = value
  with pytest.raises(ValueError, match=message):
    models.recognise(state, **TOLD.get(name, {}))


def test_heads_are_asked_for_where_nobody_knows_them():
  with pytest.raises(ValueError, match='heads for a ViT of width 16, found No'):
    models.recognise(state_of('vit'))
  with pytest.raises(ValueError, match='heads=3 to divide the width 16'):
    models.recognise(state_of('vit'), heads=3)


def test_what_is_recognised_runs():
  state = state_of('vit')
  module = models.recognise(state, heads=4)
  model = models.from_linen(module, (16, 16, 3))
  variables = models.from_torch(state, model, module.torch_names())
  want = jax.eval_shape(model.init, jax.random.key(0))
  assert jax.tree.structure(variables) == jax.tree.structure(want)
