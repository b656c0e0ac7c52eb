"""PyTorch's weights, in and out, through `.safetensors` files, without PyTorch.

    module = models.resnet18(10)
    state = models.read_safetensors('model.safetensors')
    model = models.from_linen(module, (32, 32, 3), mean=..., std=...)
    variables = models.from_torch(state, model, module.torch_names())
    ...
    state = models.to_torch(variables, model, module.torch_names(), like=state)
    models.write_safetensors('forgotten.safetensors', state)

A `.pth` file is a pickle, which can run any code and is never read here.
Whoever trusts one converts it where PyTorch and safetensors are installed:

    import torch
    from safetensors.torch import save_file
    state = torch.load('model.pth', map_location='cpu', weights_only=True)
    state = state.get('state_dict', state)
    state = {name: x.contiguous() for name, x in state.items()}
    save_file(state, 'model.safetensors')

and a file that was written here is loaded there by

    from safetensors.torch import load_file
    network.load_state_dict(load_file('forgotten.safetensors'), strict=True)

References:
  The format is documented at https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax.storage import files
from rum_jax.types import Model, Variables

_ENTRIES = {'kernel': 'weight', 'scale': 'weight', 'bias': 'bias',
            'mean': 'running_mean', 'var': 'running_var'}
# Axes of PyTorch's weights in ours: OIHW to HWIO, OI to IO. Arrays of three
# axes, such as a position embedding, are the same in both.
_AXES = {4: (2, 3, 1, 0), 3: (0, 1, 2), 2: (1, 0), 1: (0,)}
# What DataParallel, Lightning and torch.compile put into names.
_WRAPPERS = ('module', 'model', '_orig_mod')


def read_safetensors(path: str | pathlib.Path) -> dict[str, np.ndarray]:
  """Reads all tensors of a `.safetensors` file.

  Args:
    path: the path of the file.

  Returns:
    Name to array of the type that the file gives; `from_torch` widens it.

  Raises:
    OSError: if the file cannot be read.
    ValueError: naming the file and what is wrong, if it is not such a file, not
      all of one, or of a type that NumPy does not have.
  """
  import safetensors.numpy  # Needed by few.
  try:
    return safetensors.numpy.load_file(path)
  except OSError as error:
    raise type(error)(f'Cannot read {path}: {error}.') from error
  except safetensors.SafetensorError as error:
    raise ValueError(
        f'{path} is not a whole .safetensors file: {error}.') from error
  except AttributeError as error:
    raise ValueError(
        f'{path} holds a type that NumPy does not have: {error}.') from error


def write_safetensors(path: str | pathlib.Path,
                      state: Mapping[str, np.ndarray]) -> None:
  """Writes a `.safetensors` file, all of it or nothing.

  Args:
    path: the path of the file; an old one is replaced.
    state: name to array, from `to_torch`.

  Raises:
    OSError: naming the file, if it cannot be written.
    ValueError: naming an entry of a type that the format does not have.
  """
  import safetensors.numpy  # Needed by few.
  path, dense = pathlib.Path(path), {
      name: np.asarray(x, order='C') for name, x in state.items()}
  for name, x in dense.items():
    if x.dtype.kind in 'OSUMm':
      raise ValueError(f'Expected {name} to hold numbers, found {x.dtype}.')
  with files.replacing(path) as partial:
    partial.write_bytes(safetensors.numpy.save(dense, {'format': 'pt'}))


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
    shapes[_entry(path, names)] = _their_shape(ours.shape)

  jax.tree.map_with_path(note, tuple(_blank(model)))
  return shapes


def from_torch(state: Mapping[str, np.ndarray], model: Model,
               names: Mapping[str, str]) -> Variables:
  """Variables of a network from the state dict of its PyTorch twin.

  Entries `num_batches_tracked` have no use here. The released code normalises
  images in a layer `normalize`; here `from_linen` does, which should be given
  `mean=state['normalize.mean'], std=state['normalize.std']`.

  Args:
    state: name to array, from `read_safetensors`. The parts `module`, `model`
      and `_orig_mod`, which wrappers put into all names or into some, are
      overlooked.
    model: the network.
    names: path of a module, such as `'layer1_0/conv1/conv'`, or of an array at
      the top, such as `'cls_token'`, to its name in PyTorch: `torch_names()` of
      this package's networks.

  Returns:
    Arrays of the types that `model.init` gives.

  Raises:
    ValueError: naming the entry and its shapes, if one is missing, has another
      shape, is not expected, is there twice under the names of two wrappers, or
      holds whole numbers; or naming a module that has no name.
  """
  named = _named(state, torch_shapes(model, names))

  def take(path: tuple, ours: jax.ShapeDtypeStruct) -> jax.Array:
    value = np.asarray(state[named[_entry(path, names)]])
    return jnp.asarray(value.transpose(_AXES[value.ndim]), ours.dtype)

  return Variables(*jax.tree.map_with_path(take, tuple(_blank(model))))


def check_fits(state: Mapping[str, np.ndarray], model: Model,
               names: Mapping[str, str]) -> None:
  """Refuses a state dict that `from_torch` would refuse, and copies nothing.

  Args:
    state: as for `from_torch`.
    model: the network.
    names: as for `from_torch`.

  Raises:
    ValueError: as `from_torch`.
  """
  _named(state, torch_shapes(model, names))


def to_torch(variables: Variables, model: Model, names: Mapping[str, str],
             like: Mapping[str, np.ndarray] | None = None
             ) -> dict[str, np.ndarray]:
  """The state dict of a network's PyTorch twin: the inverse of `from_torch`.

  Args:
    variables: the variables of one network, without a leading axis of seeds.
    model: the network.
    names: as for `from_torch`.
    like: the state dict that `variables` came from. The result has its names
      with their wrappers, in its order, its types, and its values of all that
      the network does not have here, such as `num_batches_tracked`. By default
      the names are PyTorch's own and the types are those of `variables`;
      `load_state_dict(strict=True)` does not miss `num_batches_tracked`.

  Returns:
    Name to array. What went through `from_torch` and was not changed comes back
    bit by bit, unless it is of a wider type than `model.init` gives.

  Raises:
    ValueError: naming the entry and its shapes, if an array has another shape
      than the network's, or `like` is not of this network; naming the entry, if
      a finite value is infinite in the type that `like` gives it.
  """
  shapes, arrays = torch_shapes(model, names), {}

  def give(path: tuple, ours: np.ndarray) -> None:
    ours, entry = np.asarray(ours), _entry(path, names)
    if entry not in shapes or (
        ours.ndim not in _AXES or _their_shape(ours.shape) != shapes[entry]):
      raise ValueError(
          f'Expected variables of one network, with {entry} of shape '
          f'{shapes.get(entry, "none")} in the order of PyTorch; found '
          f'{ours.shape} in ours. Of stacked seeds take one.')
    arrays[entry] = ours.transpose(np.argsort(_AXES[ours.ndim]))

  jax.tree.map_with_path(give, tuple(variables))
  for entry in shapes:
    if entry not in arrays:
      raise ValueError(f'Expected variables to hold {entry}, found none.')
  if like is None:
    return {entry: np.ascontiguousarray(x) for entry, x in arrays.items()}
  entries = {name: entry for entry, name in _named(like, shapes).items()}
  return {
      name: _narrowed(name, arrays[entries[name]], x.dtype)
      if name in entries else x for name, x in like.items()}


def _narrowed(name: str, x: np.ndarray, dtype: np.dtype) -> np.ndarray:
  with np.errstate(over='ignore'):
    new = np.ascontiguousarray(x.astype(dtype))
  if (np.isinf(new) & np.isfinite(x)).any():
    raise ValueError(f'Expected {name} to fit into {dtype}, found values up to '
                     f'{np.abs(x).max():.3g}.')
  return new


def _blank(model: Model) -> Variables:
  return jax.eval_shape(model.init, jax.random.key(0))


def _their_shape(ours: tuple[int, ...]) -> tuple[int, ...]:
  return tuple(ours[i] for i in np.argsort(_AXES[len(ours)]))


def _entry(path: tuple, names: Mapping[str, str]) -> str:
  """PyTorch's name of the array at a path."""
  _, *parents, leaf = (str(getattr(part, 'key', part)) for part in path)
  module = '/'.join(parents)
  if not parents and leaf in names:
    return names[leaf]
  if module not in names:
    raise ValueError(
        f"Expected names to hold PyTorch's for {module or leaf}.")
  return f'{names[module]}.{_ENTRIES[leaf]}'


def _named(state: Mapping[str, np.ndarray],
           shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
  """Entry of the network to its name in a state dict that fits it."""
  entries, named = bare_names(shapes), {}
  for bare, name in bare_names(state).items():
    if not (bare.endswith('.num_batches_tracked')
            or bare.startswith('normalize.')):
      named[entries.get(bare, bare)] = name
  for entry, shape in shapes.items():
    found = state[named[entry]].shape if entry in named else 'none'
    if found != shape:
      raise ValueError(f'Expected {entry} of shape {shape}, found {found}.')
    if not jnp.issubdtype(state[named[entry]].dtype, jnp.floating):
      raise ValueError(f'Expected {entry} to be of a floating type, found '
                       f'{state[named[entry]].dtype}.')
  for entry, name in named.items():
    if entry not in shapes:
      raise ValueError(f'Expected no {entry}, found {state[name].shape}.')
  return named


def bare_names(names: Iterable[str]) -> dict[str, str]:
  """Names without what wrappers put into them, to the names as they are.

  Args:
    names: the names of tensors, from a state dict.

  Raises:
    ValueError: naming both, if two names differ in their wrappers alone.
  """
  bare: dict[str, str] = {}
  for name in names:
    short = '.'.join(x for x in name.split('.') if x not in _WRAPPERS)
    if short in bare:
      raise ValueError(f'Expected one array for {short}, found {bare[short]} '
                       f'and {name}.')
    bare[short] = name
  return bare
