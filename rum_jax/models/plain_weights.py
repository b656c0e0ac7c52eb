"""Weights by the paths of arrays, for networks that PyTorch does not name.

An array of `params` at `Dense_0/kernel` is called `params.Dense_0.kernel`, one
of `stats` at `norm/mean` is called `stats.norm.mean`. Files that were written
elsewhere may leave the first part out, say `batch_stats` for `stats`, and write
`/` for `.`.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax.models import torch_weights
from rum_jax.types import Variables

_PARTS = {'params': ('params', ''), 'stats': ('stats', 'batch_stats', '')}


def from_plain(state: Mapping[str, np.ndarray], blank: Variables) -> Variables:
  """Variables from arrays that are named by their paths.

  Args:
    state: name to array, from `read_safetensors`.
    blank: variables of the network; only their shapes and types are used.

  Returns:
    Variables with the shapes and types of `blank`.

  Raises:
    ValueError: naming the array and its shapes, if one is missing, has another
      shape or is left over.
  """
  names = _names(state, blank)
  left = sorted({*state} - {*names.values()})
  if left:
    raise ValueError(f'Expected no {left[0]}, found {state[left[0]].shape}.')

  def take(path: tuple, like: jax.ShapeDtypeStruct) -> jax.Array:
    value = np.asarray(state[names[_path(path)]])
    if value.shape != like.shape:
      raise ValueError(f'Expected {names[_path(path)]} of shape {like.shape}, '
                       f'found {value.shape}.')
    return jnp.asarray(value, like.dtype)

  return Variables(**jax.tree.map_with_path(take, blank._asdict()))


def to_plain(variables: Variables,
             like: Mapping[str, np.ndarray] | None = None
             ) -> dict[str, np.ndarray]:
  """Arrays by their paths: the inverse of `from_plain`.

  Args:
    variables: the variables of one network, without a leading axis of seeds.
    like: what the variables came from; the result has its names, in its order,
      and its types.

  Raises:
    ValueError: naming an array that `like` lacks, or one with a finite value
      that is infinite in the type of `like`.
  """
  arrays = {_path(path): np.asarray(x)
            for path, x in jax.tree.leaves_with_path(variables._asdict())}
  if like is None:
    return arrays
  theirs = {name: path for path, name in _names(like, variables).items()}
  return {name: torch_weights.narrowed(name, arrays[theirs[name]], x.dtype)
          for name, x in like.items()}


def _path(path: tuple) -> str:
  return jax.tree_util.keystr(path, simple=True, separator='.')


def _names(state: Mapping[str, np.ndarray], blank: Variables) -> dict[str, str]:
  """Maps the path of every array of a network to its name in `state`."""
  dotted = {name.replace('/', '.'): name for name in state}
  names = {}
  for path, _ in jax.tree.leaves_with_path(blank._asdict()):
    full = _path(path)
    part, _, rest = full.partition('.')
    found = [dotted[x] for x in
             (f'{first}.{rest}' if first else rest for first in _PARTS[part])
             if x in dotted]
    if not found:
      known = ', '.join(list(state)[:4]) or 'nothing'
      raise ValueError(f'Expected an array {full}, found {known}'
                       f'{" …" if len(state) > 4 else ""}.')
    names[full] = found[0]
  return names
