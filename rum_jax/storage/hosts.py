"""Several processes that do one job: who writes, and what all agree on.

Joined by `jax.distributed`, every process runs the same program on the same
arguments, so whatever the clock or a disk decides must be decided by one.
Alone, a process is the first, agrees with itself and waits for nobody.
"""

from __future__ import annotations

import pathlib
import platform

import jax
from jax.experimental import multihost_utils
import jax.numpy as jnp
import numpy as np

from rum_jax.types import Array, PyTree


def first() -> bool:
  """Whether this process is the one that writes and prints."""
  return jax.process_index() == 0


def device_name() -> str:
  """What computes here: the kind of device, or of a CPU its processor."""
  device, path = jax.devices()[0], pathlib.Path('/proc/cpuinfo')
  if device.platform != 'cpu':
    return device.device_kind
  lines = path.read_text().splitlines() if path.exists() else []
  named = [line.split(':')[1].strip() for line in lines
           if line.startswith('model name')]
  return named[0] if named else platform.processor() or platform.machine()


def agree(value: float) -> float:
  """The value that the first process gives; all must call this.

  Args:
    value: a number or a truth value; only the first process's counts. Between
      processes it is a float32.

  Returns:
    That value, in every process.
  """
  if jax.process_count() == 1:
    return value
  return float(multihost_utils.broadcast_one_to_all(np.float32(value)))


def least(value: float) -> float:
  """The smallest value that a process gives, as `agree`."""
  if jax.process_count() == 1:
    return value
  return float(multihost_utils.process_allgather(np.float32(value)).min())


def wait(what: str) -> None:
  """Waits until every process is here.

  Args:
    what: has just been done; the same in all processes, or they fail.
  """
  multihost_utils.sync_global_devices(what)


def put(tree: PyTree, shardings: PyTree) -> PyTree:
  """Puts arrays where a compiled program wants them.

  Args:
    tree: arrays; those that live in this process alone hold the same numbers in
      every process.
    shardings: the sharding of each array, over devices of all processes; `None`
      for one that is not used.

  Returns:
    The arrays, each as one array of all processes.
  """
  if jax.process_count() == 1:
    return jax.device_put(tree, shardings)
  return jax.tree.map(_put, tree, shardings)


def _put(x: Array, sharding: jax.sharding.Sharding | None) -> Array:
  if sharding is None:  # The program makes no use of it.
    return x
  if isinstance(x, jax.Array) and not x.is_fully_addressable:
    return jax.jit(_same, out_shardings=sharding)(x)
  here = x if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else np.asarray(x)
  return jax.make_array_from_callback(
      here.shape, sharding, lambda index: here[index])


def _same(x: Array) -> Array:
  return x
