"""Trained PyTorch weights, from a `.safetensors` file, without PyTorch.

    module = models.resnet18(10)
    state = models.read_safetensors('model.safetensors')
    model = models.from_linen(module, (32, 32, 3), mean=..., std=...)
    variables = models.from_torch(state, model, module.torch_names())

A `.pth` file is a pickle, which can run any code and is never read here.
Whoever trusts one converts it where PyTorch and safetensors are installed:

    import torch
    from safetensors.torch import save_file
    state = torch.load('model.pth', map_location='cpu', weights_only=True)
    state = state.get('state_dict', state)
    state = {name: x.contiguous() for name, x in state.items()}
    save_file(state, 'model.safetensors')

References:
  The format is documented at https://github.com/huggingface/safetensors: the
  header's length in 8 bytes, the header in JSON, then the tensors row by row.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax.types import Model, Variables

_TYPES = {
    'F64': '<f8', 'F32': '<f4', 'F16': '<f2', 'BF16': jnp.bfloat16,
    'I64': '<i8', 'I32': '<i4', 'I16': '<i2', 'I8': 'i1', 'U8': 'u1',
    'BOOL': '?'}
_ENTRIES = {'kernel': 'weight', 'scale': 'weight', 'bias': 'bias',
            'mean': 'running_mean', 'var': 'running_var'}
# Axes of PyTorch's weights in ours: OIHW to HWIO, OI to IO.
_AXES = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
# What wrappers put in front of every name.
_WRAPPERS = ('module.', 'model.', '_orig_mod.')


def read_safetensors(path: str | pathlib.Path) -> dict[str, np.ndarray]:
  """Reads all tensors of a `.safetensors` file.

  Args:
    path: of the file.

  Returns:
    Name to array.

  Raises:
    ValueError: naming the file and what is wrong, if it is not such a file or
      not all of one.
  """
  data = pathlib.Path(path).read_bytes()
  try:
    return _parsed(data)
  except (AttributeError, KeyError, TypeError, ValueError, RecursionError
          ) as error:
    raise ValueError(
        f'{path} is not a whole .safetensors file: {error!r}') from error


def _parsed(data: bytes) -> dict[str, np.ndarray]:
  start = 8 + int.from_bytes(data[:8], 'little')
  if not 8 < start <= len(data):
    raise ValueError(f'a header of {start - 8} bytes in {len(data)} bytes')
  header = json.loads(data[8:start])
  header.pop('__metadata__', None)
  arrays, end = {}, 0
  # The tensors lie end to end, so that no byte has two meanings or none.
  for name in sorted(header, key=lambda name: header[name]['data_offsets']):
    shape, (low, high) = header[name]['shape'], header[name]['data_offsets']
    dtype, size = np.dtype(_TYPES[header[name]['dtype']]), math.prod(shape)
    if min(shape, default=0) < 0 or [low, high] != [
        end, end + size * dtype.itemsize] or start + high > len(data):
      raise ValueError(f'{name} of shape {shape} at bytes {low} to {high}')
    arrays[name] = np.frombuffer(data, dtype, size, start + low).reshape(shape)
    end = high
  if start + end != len(data):
    raise ValueError(f'{len(data) - start - end} bytes that belong to no name')
  return arrays


def torch_shapes(model: Model, names: Mapping[str, str]
                 ) -> dict[str, tuple[int, ...]]:
  """Name and shape, in PyTorch's order, of all that `from_torch` reads.

  Args:
    model: the network.
    names: as for `from_torch`.

  Raises:
    ValueError: naming a module that has no name.
  """
  shapes = {}

  def note(path: tuple, ours: jax.ShapeDtypeStruct) -> None:
    axes = _AXES[len(ours.shape)]
    shapes[_entry(path, names)] = tuple(
        ours.shape[axes.index(i)] for i in range(len(axes)))

  for tree in jax.eval_shape(model.init, jax.random.key(0)):
    jax.tree.map_with_path(note, tree)
  return shapes


def from_torch(state: Mapping[str, np.ndarray], model: Model,
               names: Mapping[str, str]) -> Variables:
  """Variables of a network from the state dict of its PyTorch twin.

  Entries `num_batches_tracked` have no use here. The released code normalises
  images in a layer `normalize`; here `from_linen` does, which should be given
  `mean=state['normalize.mean'], std=state['normalize.std']`.

  Args:
    state: name to array, from `read_safetensors`; `module.` and the like in
      front of every name is dropped.
    model: the network.
    names: path of a module, such as `'layer1_0/conv1/conv'`, to its name in
      PyTorch: `torch_names()` of this package's networks.

  Returns:
    Arrays of the types that `model.init` gives.

  Raises:
    ValueError: naming the entry and its shapes, if one is missing, has another
      shape or is not expected; or naming a module that has no name.
  """
  state, shapes = _unwrapped(state), torch_shapes(model, names)
  for name, shape in shapes.items():
    found = state[name].shape if name in state else 'none'
    if name not in state or state[name].shape != shape:
      raise ValueError(f'Expected {name} of shape {shape}, found {found}.')
  for name in state:
    if name not in shapes:
      raise ValueError(f'Expected no {name}, found {state[name].shape}.')

  def take(path: tuple, ours: jax.ShapeDtypeStruct) -> jax.Array:
    value = state[_entry(path, names)]
    return jnp.asarray(value.transpose(_AXES[value.ndim]), ours.dtype)

  return Variables(*(
      jax.tree.map_with_path(take, tree)
      for tree in jax.eval_shape(model.init, jax.random.key(0))))


def _entry(path: tuple, names: Mapping[str, str]) -> str:
  """PyTorch's name of the array at a path."""
  *parents, leaf = (part.key for part in path)
  module = '/'.join(parents)
  if module not in names:
    raise ValueError(f"Expected names to hold PyTorch's for {module}.")
  return f'{names[module]}.{_ENTRIES[leaf]}'


def _unwrapped(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Without what all names begin with, and without what has no use."""
  for prefix in _WRAPPERS * 2:
    if all(name.startswith(prefix) for name in state):
      state = {name.removeprefix(prefix): x for name, x in state.items()}
  return {name: x for name, x in state.items()
          if not name.endswith('.num_batches_tracked')
          and not name.startswith('normalize.')}
