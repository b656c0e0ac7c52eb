"""Recognises the network of a PyTorch state dict by its names and shapes.

A file of PyTorch becomes a model in four steps:

    state = models.read_safetensors('model.safetensors')
    module = models.recognise(state)
    model = models.from_linen(module, (32, 32, 3), mean=..., std=...)
    variables = models.from_torch(state, model, module.torch_names())
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import itertools
import math
from typing import NamedTuple

from flax import linen as nn
import numpy as np

from rum_jax import _checks
from rum_jax.models import torch_weights
from rum_jax.models.adapters import from_linen
from rum_jax.models.airbench import AirBench
from rum_jax.models.resnet import ResNet
from rum_jax.models.resnet9 import ResNet9
from rum_jax.models.vgg import VGG
from rum_jax.models.vit import ViT

_SIDE = 32  # Width of images; it fits all networks except ViTs.
_HEAD = 64  # Channels of a head of timm's ViTs, up to the large ones.
_FEW_HEADS = {1280: 16, 1408: 16, 1664: 16}  # Huge, giant, gigantic.
_SHOWN = 4  # Number of names of tensors in an error message.


class _Family(NamedTuple):
  """How a kind of network is recognised and built.

  Attributes:
    name: the name of the network in messages.
    marks: tensors that every network of this kind has, with their number of
      axes.
    build: the function from a state dict without wrappers to the network.
    first: the tensor whose shape gives the number of channels of an image.
  """

  name: str
  marks: Mapping[str, int]
  build: Callable[[Mapping[str, np.ndarray]], nn.Module]
  first: str


def recognise(state: Mapping[str, np.ndarray], *, heads: int | None = None
              ) -> nn.Module:
  """The network of a PyTorch state dict.

  Classes, depths and widths are read from the tensors. A ResNet whose `conv1`
  has 7×7 pixels gets ImageNet's stem with its max-pool; with 3×3 pixels it gets
  the stem for small images. Values that tensors do not show are those of the
  released networks. The scale of the logits is 0.2 for ResNet-9, and one over
  the last width for AirBench. A VGG of torchvision has a dropout of 0.5.

  Args:
    state: name to array, from `read_safetensors`; prefixes of wrappers, such as
      `module.`, are ignored.
    heads: the number of attention heads of a ViT, which its tensors do not
      show. The default is that of timm: one head for 64 channels, and 16 heads
      in the huge, giant and gigantic networks. Other networks ignore it.

  Returns:
    A module for `from_linen`: a `ResNet` (torchvision's names: ResNet-18, -34,
    -50 and other depths), a `VGG` with batch-norm (of torchvision or of the
    released code of RUM), a `ResNet9` (FFCV's names), an `AirBench` or a `ViT`
    (timm's names). `from_torch` needs its `torch_names()`.

  Raises:
    ValueError: if the network is none of these, with the tensors that were
      looked for; if a tensor, which the message names, is missing, unexpected
      or of another shape; or if `heads` is missing or does not divide the
      width.

  References:
    He et al., 2016; Simonyan and Zisserman, 2015; Leclerc et al., 2023; Jordan,
    2024; Dosovitskiy et al., 2021: see the networks.
  """
  bare = {short: np.asarray(state[name])
          for short, name in torch_weights.bare_names(state).items()}
  family = _family_of(bare)
  for name, axes in family.marks.items():
    if bare[name].ndim != axes or 0 in bare[name].shape:
      raise ValueError(f'Expected {name} of {family.name} to have {axes} axes, '
                       f'found shape {bare[name].shape}.')
  module, side = family.build(bare), _SIDE
  if isinstance(module, ViT):
    module = module.clone(heads=_heads(module.width, heads))
    side = module.patch * _squares(bare['pos_embed'].shape[1] - 1)
  model = from_linen(module, (side, side, bare[family.first].shape[1]))
  torch_weights.check_fits(state, model, module.torch_names())
  return module


def image_channels(state: Mapping[str, np.ndarray]) -> int:
  """How many channels the images of a network of PyTorch have.

  Args:
    state: as for `recognise`.

  Raises:
    ValueError: as `recognise`, if the network is none of the known ones.
  """
  bare = {short: np.asarray(state[name])
          for short, name in torch_weights.bare_names(state).items()}
  return bare[_family_of(bare).first].shape[1]


def _family_of(state: Mapping[str, np.ndarray]) -> _Family:
  """The first kind of network of which no mark is missing."""
  lacking = {}
  for family in _FAMILIES:
    missing = [name for name in family.marks if name not in state]
    if not missing:
      return family
    lacking[family.name] = missing
  names = ', '.join(list(state)[:_SHOWN]) or 'none'
  more = f' and {len(state) - _SHOWN} more' if len(state) > _SHOWN else ''
  looked = '; '.join(f'{name}, but there is no {" and no ".join(missing)}'
                     for name, missing in lacking.items())
  raise ValueError(f'Expected the tensors of a known network, found {names}'
                   f'{more}. Looked for {looked}.')


def _resnet(state: Mapping[str, np.ndarray]) -> ResNet:
  size = state['conv1.weight'].shape[2:]
  if size not in ((3, 3), (7, 7)):
    raise ValueError('Expected conv1.weight of 3×3 pixels (for small images) '
                     f'or 7×7 (ImageNet), found {size[0]}×{size[1]}.')
  stages = _numbers(state, 'layer{}.0.conv1.weight', 1)
  return ResNet(
      len(state['fc.weight']),
      tuple(len(_numbers(state, f'layer{i}.{{}}.conv1.weight', 0))
            for i in stages),
      tuple(len(state[f'layer{i}.0.conv1.weight']) for i in stages),
      'layer1.0.conv3.weight' in state, size == (7, 7))


def _vgg(state: Mapping[str, np.ndarray]) -> VGG:
  places = sorted(
      int(parts[1]) for name, x in state.items()
      if (parts := name.split('.'))[::2] == ['features', 'weight']
      and parts[1].isdigit() and x.ndim == 4)
  stages = [[places[0]]]
  for before, place in itertools.pairwise(places):
    if place - before > 3:  # A max-pool lies between.
      stages.append([])
    stages[-1].append(place)
  widths = tuple(len(state[f'features.{x[0]}.weight']) for x in stages)
  step = 3 if 'classifier.6.weight' in state else 2
  dense = (['classifier'] if 'classifier.weight' in state else
           [f'classifier.{i}' for i in _numbers(
               state, 'classifier.{}.weight', 0, step)])
  if not dense:
    raise ValueError('Expected classifier.0.weight or classifier.weight of VGG '
                     'with batch-norm, found none.')
  sizes = [len(state[f'{name}.weight']) for name in dense]
  wide = math.prod(state[f'{dense[0]}.weight'].shape[1:])
  return VGG(
      sizes[-1], widths, tuple(map(len, stages)), tuple(sizes[:-1]),
      _squares(wide // widths[-1]), 'features.0.bias' in state,
      imagenet_head=step == 3, dropout=0.5 if step == 3 else 0.0)


def _resnet9(state: Mapping[str, np.ndarray]) -> ResNet9:
  return ResNet9(len(state['9.weight']), tuple(
      len(state[f'{i}.0.weight']) for i in (0, 1, 3, 6)))


def _airbench(state: Mapping[str, np.ndarray]) -> AirBench:
  widths = tuple(len(state[f'layers.{i}.conv1.weight'])
                 for i in _numbers(state, 'layers.{}.conv1.weight', 1))
  return AirBench(len(state['head.weight']), widths, 1 / widths[-1])


def _vit(state: Mapping[str, np.ndarray]) -> ViT:
  width, _, patch, _ = state['patch_embed.proj.weight'].shape
  blocks = _numbers(state, 'blocks.{}.attn.qkv.weight', 0)
  return ViT(len(state['head.weight']), patch, width, len(blocks),
             hidden=len(state['blocks.0.mlp.fc1.weight']))


def _heads(width: int, heads: int | None) -> int:
  """The number of heads of a ViT of this width."""
  if heads is None:
    heads = _FEW_HEADS.get(width, width // _HEAD)
    if width % _HEAD:
      raise ValueError(f'Expected heads for a ViT of width {width}, found '
                       f'None: they are known for multiples of {_HEAD} alone.')
  _checks.check_count('heads', heads, 1)
  if width % heads:
    raise ValueError(f'Expected heads={heads} to divide the width {width}.')
  return heads


def _numbers(state: Mapping[str, np.ndarray], pattern: str, start: int,
             step: int = 1) -> list[int]:
  """The numbers from `start` on for which the pattern gives a name."""
  return list(itertools.takewhile(
      lambda i: pattern.format(i) in state, itertools.count(start, step)))


def _squares(count: int) -> int:
  """The side of the largest square of at most `count` parts."""
  return max(1, math.isqrt(max(count, 0)))


_FAMILIES = (
    _Family('a ResNet of torchvision',
            {'conv1.weight': 4, 'bn1.running_mean': 1,
             'layer1.0.conv1.weight': 4, 'fc.weight': 2},
            _resnet, 'conv1.weight'),
    _Family('a VGG with batch-norm',
            {'features.0.weight': 4, 'features.1.running_mean': 1},
            _vgg, 'features.0.weight'),
    _Family('a ResNet-9 of FFCV',
            {'0.0.weight': 4, '1.0.weight': 4, '3.0.weight': 4, '6.0.weight': 4,
             '9.weight': 2}, _resnet9, '0.0.weight'),
    _Family('an AirBench network',
            {'whiten.weight': 4, 'layers.1.conv1.weight': 4, 'head.weight': 2},
            _airbench, 'whiten.weight'),
    _Family('a ViT of timm',
            {'patch_embed.proj.weight': 4, 'pos_embed': 3,
             'blocks.0.attn.qkv.weight': 2, 'blocks.0.mlp.fc1.weight': 2,
             'head.weight': 2}, _vit, 'patch_embed.proj.weight'))
