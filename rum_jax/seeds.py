"""Maps a run over seeds, models or settings, and over devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
from jax import lax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from rum_jax import _checks, parallel, trees
from rum_jax.types import PyTree


def over_seeds(
    fn: Callable[..., PyTree],
    *,
    chunk: int | None = None,
    in_axes: Sequence[int | None] | None = None,
    devices: Sequence[jax.Device] | None = None,
    vectorise: bool | None = None,
    devices_per_run: int = 1,
) -> jax.stages.Wrapped:
  """Runs `fn` once for every entry of its arguments' leading axis.

  The axis is sharded over all devices of all processes, or over groups of
  devices that share the batches of `data_parallel` networks. A GPU or TPU
  computes `chunk` runs at a time under `jax.vmap`. A CPU computes one run after
  the other, which is faster there by our measurements. On a CPU every run
  gives the same bits for any number of runs, devices and processes.

  Args:
    fn: one run, a pure function of arrays.
    chunk: number of runs at a time on one GPU or TPU; `None` means all. Smaller
      chunks need less memory. It changes the results by rounding alone.
    in_axes: for each argument, 0 (one entry a run) or `None` (shared by all
      runs); by default 0 for all.
    devices: the devices to run on; by default `jax.devices()`.
    vectorise: whether a device computes several runs at a time. By default true
      unless the platform is the CPU or `devices_per_run` is more than 1 (JAX
      cannot vmap per-example gradients over shared devices).
    devices_per_run: number of devices among which a `data_parallel` network
      divides its batches; each of them repeats all other work of the run.

  Returns:
    A jitted function of stacked arguments that returns stacked results. With
    several processes, each of them gets all results.

  Raises:
    ValueError: if `chunk` is not positive, or `devices_per_run` does not divide
      the number of devices; when called, if `in_axes` does not fit the
      arguments, or their leading axes differ or are empty.

  >>> scaled = over_seeds(lambda x, factor: x * factor, in_axes=(0, None))
  >>> scaled(jnp.arange(3), 10).tolist()
  [0, 10, 20]
  """
  if chunk is not None:
    _checks.check_count('chunk', chunk, 1)
  mesh = parallel.mesh(devices or jax.devices(), devices_per_run)
  if vectorise is None:
    platform = mesh.devices.flat[0].platform
    vectorise = devices_per_run == 1 and platform != 'cpu'
  groups = mesh.shape[parallel.SEEDS]
  spread, whole = PartitionSpec(parallel.SEEDS), PartitionSpec()

  @jax.jit
  def mapped(*args: PyTree) -> PyTree:
    axes = tuple(in_axes) if in_axes is not None else (0,) * len(args)
    runs = _num_runs(args, axes)
    local, width = _layout(runs, groups, chunk if vectorise else 1)
    if local * groups > runs:
      rows = jnp.minimum(jnp.arange(local * groups), runs - 1)
      args = tuple(trees.take(a, rows) if x == 0 else a
                   for a, x in zip(args, axes))
    stacked = [i for i, x in enumerate(axes) if x == 0]

    def one(picked: Sequence[PyTree], shared: Sequence[PyTree]) -> PyTree:
      both = list(shared)
      for i, value in zip(stacked, picked):
        both[i] = value
      return fn(*both)

    def on_one_group(*mine: PyTree) -> PyTree:
      picked = [mine[i] for i in stacked]
      if not vectorise:
        return lax.map(lambda xs: one(xs, mine), picked)
      if width == local:
        return jax.vmap(lambda xs: one(xs, mine))(picked)
      return lax.map(lambda xs: one(xs, mine), picked, batch_size=width)

    specs = tuple(spread if x == 0 else whole for x in axes)
    results = jax.shard_map(
        on_one_group, mesh=mesh, axis_names={parallel.SEEDS}, in_specs=specs,
        out_specs=spread, check_vma=False)(*args)
    if local * groups > runs:
      results = trees.take(results, slice(0, runs))
    if jax.process_count() > 1:
      everywhere = NamedSharding(mesh, whole)
      results = lax.with_sharding_constraint(results, everywhere)
    return results

  return mapped


def _num_runs(args: Sequence[PyTree], axes: Sequence[int | None]) -> int:
  """The number of runs: the common length of the leading axes."""
  if len(axes) != len(args) or set(axes) - {0, None}:
    raise ValueError(f'Expected in_axes={axes} to be 0 or None for each of '
                     f'{len(args)} arguments.')
  lengths = {x.shape[0] for a, axis in zip(args, axes) if axis == 0
             for x in jax.tree.leaves(a)}
  if len(lengths) != 1 or 0 in lengths:
    raise ValueError('Expected one leading axis of runs on all arguments, '
                     f'found lengths {sorted(lengths)}.')
  return lengths.pop()


def _layout(runs: int, devices: int, chunk: int | None) -> tuple[int, int]:
  """`(runs on a device, runs at a time)`; the second divides the first."""
  local = -(-runs // devices)
  width = min(chunk or local, local)
  return -(-local // width) * width, width
