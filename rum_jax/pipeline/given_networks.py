"""Reads and writes the weights of a person's own trained network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import importlib
import os
import pathlib
from typing import Any, NamedTuple
import zipfile

import jax
import numpy as np

import rum_jax
from rum_jax import _checks, datasets, models, recipes
from rum_jax.models import torch_weights
from rum_jax.pipeline import builders
from rum_jax.storage import artefacts
from rum_jax.types import Model, Variables

_PICKLES = ('.pth', '.pt', '.bin', '.ckpt', '.pkl', '.pickle')
# Fields that networks of one name must have in common; others may differ.
_DEPTHS = ('depths', 'depth', 'bottleneck')
_CLASSES = 'classes'  # The attribute of the number of classes.
CONVERT = (
    "python -c \"import torch, safetensors.torch as s; d = torch.load('{}', "
    "map_location='cpu', weights_only=True); d = d.get('state_dict', d); "
    "s.save_file({{k: v.contiguous() for k, v in d.items()}}, "
    "'{}.safetensors')\"")


class Weights(NamedTuple):
  """The content of a file or folder of weights.

  Attributes:
    path: the path of the file or folder.
    digest: SHA-256 of the file, or of all arrays of a folder.
    state: name to array, as in the file; for a folder, as by `models.to_plain`.
    description: the description of the network, if a folder has one.
  """

  path: pathlib.Path
  digest: str
  state: Mapping[str, np.ndarray]
  description: Mapping[str, Any] | None = None


class Network(NamedTuple):
  """A given network and its weights.

  Attributes:
    model: the network.
    variables: its weights.
    name: its name in messages.
    classes: the number of its classes.
    image_shape: `(H, W, C)` of the images that it takes.
    named: `variables -> name to array`, as in the file that they came from.
    read: `name to array -> variables`, the inverse.
    feeding: the `mean` and `std` that images are normalised with.
    source: SHA-256 of the code that made a network of somebody's own.
  """

  model: Model
  variables: Variables
  name: str
  classes: int
  image_shape: tuple[int, ...]
  named: Callable[[Variables], dict[str, np.ndarray]]
  read: Callable[[Mapping[str, np.ndarray]], Variables]
  feeding: Mapping[str, Sequence[float]]
  source: str = ''

  @property
  def size(self) -> int:
    """The number of parameters."""
    return sum(x.size for x in jax.tree.leaves(self.variables.params))


def read(path: str | os.PathLike[str], name: str = 'weights') -> Weights:
  """Reads a file of weights.

  Args:
    path: the path of a `.safetensors` file, or of a folder of models that a
      command saved, the first of which is read.
    name: the name of the argument, for messages.

  Raises:
    OSError: if it cannot be read.
    ValueError: that names the file, if it is a pickle, truncated, or of another
      format.
  """
  path = pathlib.Path(path)
  if not path.exists():
    raise FileNotFoundError(f'There is no {name}={path}.')
  if path.is_dir():
    return _saved(path, name)
  if path.suffix.lower() in _PICKLES or _looks_pickled(path):
    raise ValueError(
        f'{name}={path} is a pickle, which can run any code when it is read, '
        'so it is not read here. Whoever trusts it converts it where PyTorch '
        f'is installed: {CONVERT.format(path, path.with_suffix(""))}')
  try:
    state = models.read_safetensors(path)
  except (OSError, ValueError) as error:
    raise type(error)(f'{name}={path}: {error}') from error
  return Weights(path, artefacts.file_digest(path), state)


def network_of(
    weights: Weights,
    network: str,
    source: datasets.Source,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    heads: int | None = None,
) -> Network:
  """The network of the given weights.

  Args:
    weights: the weights, as they were read.
    network: `package.module:factory` for `models.from_factory`; or the name of
      the network that the tensors must belong to; or empty to recognise it.
    source: the data set, whose images and classes must fit.
    mean: the mean of every channel, in units of the full range; by default that
      in a layer `normalize` of the weights or in their description, or else 0.
    std: the standard deviation of every channel; the default is found in the
      same way, or else 1.
    heads: the number of attention heads of a ViT, as for `models.recognise`.

  Raises:
    ValueError: that names what does not fit: a tensor, the images, the classes,
      or the name of the network.
  """
  shape = source.dataset.image.shape[1:]
  how = _feeding(weights, mean, std)
  if ':' in network:
    made = _of_factory(weights, network, source, how)
  elif weights.description is not None:
    made = _described(weights, how)
  else:
    made = _recognised(weights, network, shape, how, heads)
  if tuple(made.image_shape) != tuple(shape):
    raise ValueError(
        f'Expected images of {_size(made.image_shape)}, as the network in '
        f'weights={weights.path} takes them, found {_size(shape)} in '
        f'{source.name}.')
  return made._replace(model=rum_jax.data_parallel(made.model))


def channels_of(weights: Weights, network: str) -> int | None:
  """The number of channels of images; `None` if the weights do not show it."""
  if ':' in network:
    return None
  if weights.description is not None:
    return int(weights.description['image_shape'][-1])
  try:
    return models.image_channels(weights.state)
  except ValueError as error:
    raise ValueError(f'weights={weights.path}: {error} A network of your own '
                     'goes by network=package.module:factory.') from error


def packed(network: Network, variables: Variables) -> bytes:
  """Weights as a `.safetensors` file, with the names of the given file.

  Raises:
    ValueError: if a value does not fit into the type of the given array.
  """
  return torch_weights.packed(network.named(variables))


def _feeding(weights: Weights, mean: Sequence[float] | None,
             std: Sequence[float] | None) -> dict[str, Sequence[float]]:
  """`mean` and `std`, as they were given or as the weights define them."""
  found: dict[str, Any] = {'mean': mean, 'std': std}
  described = weights.description or {}
  bare = torch_weights.bare_names(
      name for name in weights.state if 'normalize' in name.split('.'))
  for name, default in (('mean', 0.0), ('std', 1.0)):
    own = weights.state.get(bare.get(f'normalize.{name}', ''))
    if found[name] is None:
      found[name] = (own.ravel().tolist() if own is not None else
                     described.get(name, (default,)))
  return found


def _recognised(weights: Weights, network: str, shape: Sequence[int],
                how: Mapping[str, Any], heads: int | None) -> Network:
  state = weights.state
  try:
    module = models.recognise(state, heads=heads)
    if network:
      _check_name(network, module)
    model = models.from_linen(module, shape, **how)
    names = module.torch_names()
    variables = models.from_torch(state, model, names)
  except ValueError as error:
    raise ValueError(f'weights={weights.path}: {error}') from error
  return Network(
      model, variables, type(module).__name__, module.classes, tuple(shape),
      lambda new: models.to_torch(new, model, names, like=state),
      lambda given: models.from_torch(given, model, names), how)


def _check_name(network: str, module: Any) -> None:
  """Refuses tensors of another network than the one that was named."""
  if network not in recipes.NETWORKS:
    known = ', '.join(recipes.NETWORKS)
    raise ValueError(f'Expected network={network} to be one of {known}, or '
                     f'package.module:factory.')
  wanted = recipes.NETWORKS[network](module.classes)
  differ = [x for x in _DEPTHS if getattr(wanted, x, None) != (
      getattr(module, x, None))]
  if type(wanted) is not type(module) or differ:
    found = type(module).__name__ + ''.join(
        f', {x}={getattr(module, x)}' for x in _DEPTHS if hasattr(module, x))
    raise ValueError(f'Expected the tensors of network={network}, found those '
                     f'of {found}.')


def _described(weights: Weights, how: Mapping[str, Any]) -> Network:
  description: dict[str, Any] = {
      **(weights.description or {}), **{k: list(v) for k, v in how.items()}}
  try:
    model = models.build(description)
    variables = models.from_plain(weights.state, _blank(model))
  except (TypeError, ValueError) as error:
    raise ValueError(f'weights={weights.path}: {error}') from error
  module = models.described_network(description)
  return Network(
      model, variables, type(module).__name__, getattr(module, _CLASSES),
      tuple(description['image_shape']), models.to_plain,
      lambda given: models.from_plain(given, _blank(model)), how)


def _of_factory(weights: Weights, network: str, source: datasets.Source,
                how: Mapping[str, Any]) -> Network:
  shape, classes = source.dataset.image.shape[1:], len(source.classes)
  module, name = network.split(':', 1)
  try:
    factory = getattr(importlib.import_module(module), name)
    _checks.check_callable('network', factory)
    model, made = models.from_factory(factory, shape, classes, **how)
  except (ImportError, AttributeError, TypeError, ValueError) as error:
    raise ValueError(f'Cannot use network={network}: {error}') from error
  state, names = weights.state, getattr(made, 'torch_names', None)
  try:
    if names is not None and weights.description is None:
      reads = lambda given: models.from_torch(given, model, names())
      named = lambda new: models.to_torch(new, model, names(), like=state)
    else:
      reads = lambda given: models.from_plain(given, _blank(model))
      named = lambda new: models.to_plain(new, state)
    variables = reads(state)
  except ValueError as error:
    raise ValueError(f'weights={weights.path}: {error}') from error
  outputs = jax.eval_shape(
      lambda v, x: model.apply(v, x, train=False)[0].prediction, variables,
      jax.tree.map(lambda x: x[:1], source.dataset))
  return Network(model, variables, network, outputs.shape[-1], tuple(shape),
                 named, reads, how, builders.source_hash(network))


def _blank(model: Model) -> Variables:
  return jax.eval_shape(model.init, jax.random.key(0))


def _size(shape: Sequence[int]) -> str:
  height, width, channels = shape
  return (f'{height}×{width} pixels with {channels} '
          f'channel{"s" * (channels != 1)}')


def _saved(path: pathlib.Path, name: str) -> Weights:
  """The first of the models that a command saved in a folder."""
  try:
    found = models.load_saved(path, seed=0)
  except (OSError, ValueError) as error:
    raise type(error)(f'{name}={path}: {error}') from error
  state = models.to_plain(found.variables)
  return Weights(path, artefacts.array_digest(*state.values()), state,
                 found.description)


def _looks_pickled(path: pathlib.Path) -> bool:
  """Whether the content of a file looks like that of `torch.save`."""
  with path.open('rb') as file:
    start = file.read(2)
  return start[:1] == b'\x80' or start == b'PK' and zipfile.is_zipfile(path)
