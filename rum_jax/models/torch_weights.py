"""Reads and writes weights of PyTorch as `.safetensors`, without PyTorch.

    module = models.resnet18(10)
    state = models.read_safetensors('model.safetensors')
    model = models.from_linen(module, (32, 32, 3), mean=..., std=...)
    variables = models.from_torch(state, model, module.torch_names())
    ...
    state = models.to_torch(variables, model, module.torch_names(), like=state)
    models.write_safetensors('forgotten.safetensors', state)

A `.pth` file is a pickle, which can run any code, so it is never read here. If
you trust a file, convert it where PyTorch and safetensors are installed:

    import torch
    from safetensors.torch import save_file
    state = torch.load('model.pth', map_location='cpu', weights_only=True)
    state = state.get('state_dict', state)
    state = {name: x.contiguous() for name, x in state.items()}
    save_file(state, 'model.safetensors')

PyTorch loads a file that was written here by

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
# Parts of names that DataParallel, Lightning and torch.compile add.
_WRAPPERS = ('module', 'model', '_orig_mod')


def read_safetensors(path: str | pathlib.Path) -> dict[str, np.ndarray]:
  """Reads all tensors of a `.safetensors` file.

  Args:
    path: the path of the file.

  Returns:
    Name to array, in the types of the file.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if it is not such a file, if it is truncated, or if it has a
      type that NumPy lacks; the message names the file and the fault.
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
    OSError: that names the file, if it cannot be written.
    ValueError: that names an entry whose type the format lacks.
  """
  content = packed(state)
  with files.replacing(pathlib.Path(path)) as partial:
    partial.write_bytes(content)


def packed(state: Mapping[str, np.ndarray]) -> bytes:
  """The content of a `.safetensors` file, as for `write_safetensors`."""
  import safetensors.numpy  # Needed by few.
  dense = {name: np.asarray(x, order='C') for name, x in state.items()}
  for name, x in dense.items():
    if x.dtype.kind in 'OSUMm':
      raise ValueError(f'Expected {name} to hold numbers, found {x.dtype}.')
  return safetensors.numpy.save(dense, {'format': 'pt'})


def torch_shapes(model: Model, names: Mapping[str, str]
                 ) -> dict[str, tuple[int, ...]]:
  """Names and shapes, in PyTorch's order, of the arrays of `from_torch`.

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

  Entries `num_batches_tracked` are ignored. The released code normalises images
  in a layer `normalize`. Here `from_linen` normalises them; give it
  `mean=state['normalize.mean'], std=state['normalize.std']`.

  Args:
    state: name to array, from `read_safetensors`. The parts `module`, `model`
      and `_orig_mod` of names, which wrappers add, are ignored.
    model: the network.
    names: path of a module, such as `'layer1_0/conv1/conv'`, or of an array of
      the network itself, such as `'cls_token'`, to its name in PyTorch. The
      networks of this package return it from `torch_names()`.

  Returns:
    The variables, in the types of `model.init`.

  Raises:
    ValueError: if an entry is missing, has another shape, is not expected,
      occurs twice under the names of two wrappers, or holds whole numbers; the
      message names the entry and its shapes. Also if a module has no name.
  """
  named = _named(state, torch_shapes(model, names))

  def take(path: tuple, ours: jax.ShapeDtypeStruct) -> jax.Array:
    value = np.asarray(state[named[_entry(path, names)]])
    return jnp.asarray(value.transpose(_AXES[value.ndim]), ours.dtype)

  return Variables(*jax.tree.map_with_path(take, tuple(_blank(model))))


def check_fits(state: Mapping[str, np.ndarray], model: Model,
               names: Mapping[str, str]) -> None:
  """Refuses a state dict that `from_torch` would refuse, without a copy.

  Args:
    state: as for `from_torch`.
    model: the network.
    names: as for `from_torch`.

  Raises:
    ValueError: if `from_torch` would raise one.
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
      with their wrappers, its order and its types. Entries that the network
      does not have here, such as `num_batches_tracked`, keep their values. By
      default the names are those of PyTorch and the types those of `variables`;
      `load_state_dict(strict=True)` accepts that `num_batches_tracked` is
      missing.

  Returns:
    Name to array. An array that came from `from_torch` and was not changed has
    the same bits as before, unless its type was wider than that of
    `model.init`.

  Raises:
    ValueError: if an array has another shape than in the network, if `like` is
      not of this network, or if a finite value is infinite in the type of
      `like`; the message names the entry.
  """
  shapes, arrays = torch_shapes(model, names), {}

  def give(path: tuple, ours: np.ndarray) -> None:
    ours, entry = np.asarray(ours), _entry(path, names)
    if entry not in shapes or (
        ours.ndim not in _AXES or _their_shape(ours.shape) != shapes[entry]):
      raise ValueError(
          f'Expected variables of one network, with {entry} of shape '
          f'{shapes.get(entry, "none")} in the order of PyTorch; found '
          f'{ours.shape} in ours. If seeds are stacked, give one of them.')
    arrays[entry] = ours.transpose(np.argsort(_AXES[ours.ndim]))

  jax.tree.map_with_path(give, tuple(variables))
  for entry in shapes:
    if entry not in arrays:
      raise ValueError(f'Expected variables to hold {entry}, found none.')
  if like is None:
    return {entry: np.ascontiguousarray(x) for entry, x in arrays.items()}
  entries = {name: entry for entry, name in _named(like, shapes).items()}
  return {
      name: narrowed(name, arrays[entries[name]], x.dtype)
      if name in entries else x for name, x in like.items()}


def narrowed(name: str, x: np.ndarray, dtype: np.dtype) -> np.ndarray:
  """An array in another type.

  Raises:
    ValueError: that names it, if a finite value is infinite in that type.
  """
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
  """Names without the parts that wrappers add, to the original names.

  Args:
    names: the names of tensors, from a state dict.

  Raises:
    ValueError: that names two names which differ only in their wrappers.
  """
  bare: dict[str, str] = {}
  for name in names:
    short = '.'.join(x for x in name.split('.') if x not in _WRAPPERS)
    if short in bare:
      raise ValueError(f'Expected one array for {short}, found {bare[short]} '
                       f'and {name}.')
    bare[short] = name
  return bare
