"""Helps several processes to share one job.

Processes that `jax.distributed` joined all run the same program on the same
arguments. So they must agree on every value that depends on a clock or on a
disk: the first process decides. A single process is the first process, and
never waits.
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
  """The name of the device, or of the processor if the device is a CPU."""
  device, path = jax.devices()[0], pathlib.Path('/proc/cpuinfo')
  if device.platform != 'cpu':
    return device.device_kind
  lines = path.read_text().splitlines() if path.exists() else []
  named = [line.split(':')[1].strip() for line in lines
           if line.startswith('model name')]
  return named[0] if named else platform.processor() or platform.machine()


def agree(value: float) -> float:
  """The value of the first process; all processes must call this.

  Args:
    value: a number or a boolean; only that of the first process is used. It is
      sent as a float32.

  Returns:
    That value, in every process.
  """
  if jax.process_count() == 1:
    return value
  return float(multihost_utils.broadcast_one_to_all(np.float32(value)))


def least(value: float) -> float:
  """The smallest value of all processes; all of them must call this."""
  if jax.process_count() == 1:
    return value
  return float(multihost_utils.process_allgather(np.float32(value)).min())


def wait(what: str) -> None:
  """Waits until every process calls this.

  Args:
    what: a text that says what has just been done; it must be the same in all
      processes.
  """
  multihost_utils.sync_global_devices(what)


def put(tree: PyTree, shardings: PyTree) -> PyTree:
  """Puts arrays on the devices that a compiled program expects.

  Args:
    tree: arrays. An array that is local to this process must hold the same
      numbers in every process.
    shardings: the sharding of each array, over devices of all processes; `None`
      for one that is not used.

  Returns:
    The arrays, each of them as one array of all processes.
  """
  if jax.process_count() == 1:
    return jax.device_put(tree, shardings)
  return jax.tree.map(_put, tree, shardings)


def _put(x: Array, sharding: jax.sharding.Sharding | None) -> Array:
  if sharding is None:  # The program does not use it.
    return x
  if isinstance(x, jax.Array) and not x.is_fully_addressable:
    return jax.jit(_same, out_shardings=sharding)(x)
  here = x if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else np.asarray(x)
  return jax.make_array_from_callback(
      here.shape, sharding, lambda index: here[index])


def _same(x: Array) -> Array:
  return x
