"""Descriptions of models, from which saved weights can be used again.

A description is a dict that JSON can hold:

    text = json.dumps(models.describe(module, (32, 32, 3), mean=..., std=...))
    model = models.build(json.loads(text))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import difflib
import json
import types
from typing import Any

from flax import linen as nn
import jax.numpy as jnp

from rum_jax import _checks, tasks
from rum_jax.models.adapters import from_linen
from rum_jax.models.airbench import AirBench
from rum_jax.models.resnet import ResNet
from rum_jax.models.resnet9 import ResNet9
from rum_jax.models.small import MLP
from rum_jax.models.small import SmallCNN
from rum_jax.models.vgg import VGG
from rum_jax.models.vit import ViT
from rum_jax.types import AnyArray, Model

_VERSION = 1
_NETWORKS = types.MappingProxyType({
    network.__name__: network
    for network in (AirBench, MLP, ResNet, ResNet9, SmallCNN, VGG, ViT)})
_TASKS = types.MappingProxyType({'classification': tasks.classification})
_PRECISIONS = ('bfloat16', 'float16', 'float32', 'float64')
_ENTRIES = ('version', 'network', 'arguments', 'image_shape', 'mean', 'std',
            'classes', 'task', 'precision')


def describe(
    network: nn.Module,
    image_shape: Sequence[int],
    *,
    mean: Sequence[float] | AnyArray = (0.0,),
    std: Sequence[float] | AnyArray = (1.0,),
    classes: Sequence[str] | None = None,
    task: str = 'classification',
    precision: str | None = None,
) -> dict[str, Any]:
  """The description from which `build` makes a model, without its weights.

  Args:
    network: a Linen module. If it is not from this package, its name is
      `package.module:Class`, and `build` needs its class under this name.
    image_shape: `(H, W, C)`.
    mean: the mean of every channel, in units of the full range, as `from_linen`
      got it.
    std: the standard deviation of every channel, in the same units.
    classes: the names of the K classes in the order of their labels; `None` if
      they have no names.
    task: the name of a task of `rum_jax.tasks`.
    precision: the name of the type of products and activations, such as
      `'bfloat16'`.

  Returns:
    A dict of strings, numbers, lists and dicts, which `json.dumps` can write.
    Arguments that are tuples become lists.

  Raises:
    TypeError: if `network` is not a Linen module, or if JSON cannot hold one of
      its arguments, which the message names.
    ValueError: if the number of `classes` is not that of the network, if two
      classes have the same name, if the task or the precision is unknown, or if
      `from_linen` refuses an argument.
  """
  if not isinstance(network, nn.Module):
    raise TypeError('Expected network to be a Flax Linen module such as MLP(10)'
                    f', found {_checks.described(network)}.')
  arguments = {
      field.name: _plain(f'argument {field.name} of {type(network).__name__}',
                         getattr(network, field.name))
      for field in dataclasses.fields(network)
      if field.init and field.name not in ('parent', 'name')}
  names = None if classes is None else [str(x) for x in classes]
  description = {
      'version': _VERSION, 'network': _name(type(network)),
      'arguments': arguments, 'image_shape': [int(x) for x in image_shape],
      'mean': [float(x) for x in mean], 'std': [float(x) for x in std],
      'classes': names, 'task': task, 'precision': precision}
  build(description, networks={description['network']: type(network)})
  return description


def build(description: Mapping[str, Any], *,
          networks: Mapping[str, Callable[..., nn.Module]] | None = None
          ) -> Model:
  """The model of a description.

  A description is data and no code, so nothing is imported.

  Args:
    description: what `describe` returned, also after a round trip through JSON.
    networks: name, such as `package.module:Class`, to class, for networks that
      are not from this package.

  Returns:
    The model that `from_linen` returns.

  Raises:
    TypeError: if the description is not a dict of such entries.
    ValueError: that names the wrong entry, its value, and the allowed values or
      the nearest one.

  References:
    Mitchell et al., "Model cards for model reporting", 2019, on what should lie
    beside a model's weights.
  """
  network = described_network(description, networks=networks)
  _known('task', description['task'], _TASKS)
  precision = description['precision']
  if precision is not None:
    _known('precision', precision, _PRECISIONS)
  return from_linen(
      network, tuple(description['image_shape']), mean=description['mean'],
      std=description['std'], task=_TASKS[description['task']](),
      precision=None if precision is None else jnp.dtype(precision))


def described_network(
    description: Mapping[str, Any], *,
    networks: Mapping[str, Callable[..., nn.Module]] | None = None
) -> nn.Module:
  """The network of a description, for example for its `torch_names()`.

  Args:
    description: as for `build`.
    networks: as for `build`.

  Raises:
    TypeError: if the description is not a dict of such entries.
    ValueError: that names a wrong entry, as for `build`.
  """
  if not isinstance(description, Mapping):
    raise TypeError('Expected description to be a dict, found '
                    f'{_checks.described(description)}.')
  for entry in _ENTRIES:
    if entry not in description:
      found = ', '.join(map(str, description)) or 'nothing'
      raise ValueError(f'Expected the description of a model to hold {entry}, '
                       f'found {found}.')
  if description['version'] != _VERSION:
    raise ValueError(f'Expected version={description["version"]!r} of the '
                     f'description to be {_VERSION}.')
  name, arguments = description['network'], description['arguments']
  every = {**(networks or {}), **_NETWORKS}
  _known('network', name, every)
  if not isinstance(arguments, Mapping):
    raise TypeError('Expected arguments of the description to be a dict, found '
                    f'{_checks.described(arguments)}.')
  try:
    network = every[name](**{k: _frozen(x) for k, x in arguments.items()})
  except TypeError as error:
    raise ValueError(f'Expected arguments={dict(arguments)} to be those of a '
                     f'{name}: {error}.') from error
  _check_classes(description['classes'], getattr(network, 'classes', None))
  return network


def _check_classes(names: Any, count: int | None) -> None:
  if names is None:
    return
  if len(set(names)) < len(names):
    twice = next(x for x in names if names.count(x) > 1)
    raise ValueError(f'Expected classes of different names, found {twice!r} '
                     'twice.')
  if count is not None and len(names) != count:
    raise ValueError(f'Expected the names of {count} classes, as many as the '
                     f'network has, found {len(names)}.')


def _name(network: type) -> str:
  """A network's name in descriptions."""
  return (network.__name__ if _NETWORKS.get(network.__name__) is network else
          f'{network.__module__}:{network.__qualname__}')


def _plain(name: str, value: Any) -> Any:
  """The value after a round trip through JSON, or an error that names it."""
  try:
    return json.loads(json.dumps(value, allow_nan=False))
  except (TypeError, ValueError) as error:
    raise TypeError(f'Expected {name} to hold numbers, texts and lists, found '
                    f'{_checks.described(value)}.') from error


def _frozen(value: Any) -> Any:
  """Turns lists to tuples, because attributes of networks must be hashable."""
  return (tuple(map(_frozen, value)) if isinstance(value, list) else value)


def _known(name: str, value: Any, known: Any) -> None:
  if value not in known:
    near = difflib.get_close_matches(str(value), list(known), 1)
    nearest = f'; the nearest is {near[0]}' if near else ''
    raise ValueError(f'Expected {name}={value!r} to be one of '
                     f'{", ".join(known)}{nearest}.')
