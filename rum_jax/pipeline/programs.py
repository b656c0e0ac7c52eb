"""Compiles each function once for each shape, for as many runs as fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent import futures
import os
import sys
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import parallel, seeds, trees
from rum_jax.pipeline.progress import awaited
from rum_jax.storage import hosts
from rum_jax.types import PyTree

_SHARE = 0.9  # The share of a device's memory that a program may use.


class _Program(NamedTuple):
  """A compiled map over runs.

  Attributes:
    call: the compiled program.
    chunk: the number of runs at a time.
    seconds: the time to compile it.
  """

  call: jax.stages.Compiled
  chunk: int
  seconds: float


class Programs:
  """Maps functions over runs, `chunk` at a time on a GPU or TPU.

  A program is identified by its function and by the shapes of its arguments.
  Functions are compared with `==`. So a function may be a frozen dataclass with
  a `__call__`, if its fields determine the result: two equal ones share a
  program.

  Attributes:
    chunk: the number of runs at a time. If it is `None`, as many runs are taken
      as fit by the memory analysis of the compiled program, and half as many
      each time that the memory is exhausted nevertheless.
    devices_per_run: the number of devices that share the batches of a run.
  """

  def __init__(self, chunk: int | None = None, devices_per_run: int = 1):
    count = jax.device_count()
    if devices_per_run > count:
      raise ValueError(f'Expected devices_per_run={devices_per_run} to be at '
                       f'most the number of devices, {count}.')
    if jax.process_count() > 1:  # All devices must be used.
      parallel.mesh(jax.devices(), devices_per_run)
    self.chunk = chunk
    self.devices_per_run = devices_per_run
    self._limit = memory_limit()
    # With several processes, all must compile in the same order.
    self._pool = futures.ThreadPoolExecutor(
        1 if jax.process_count() > 1 else os.cpu_count())
    self._built: dict[Any, futures.Future[_Program]] = {}
    self._used: set[Any] = set()

  def ahead(self, fn: Callable[..., PyTree], in_axes: Sequence[int | None],
            *args: PyTree) -> futures.Future[_Program]:
    """Starts to compile the program of a later call of `run`."""
    identity = _identity(fn, in_axes, args)
    if identity not in self._built:
      self._built[identity] = self._pool.submit(
          self._build, fn, in_axes, args, self._most(in_axes, args))
    return self._built[identity]

  def cancel(self) -> None:
    """Cancels the programs whose compilation has not started."""
    for program in self._built.values():
      program.cancel()

  def run(self, fn: Callable[..., PyTree], in_axes: Sequence[int | None],
          *args: PyTree) -> tuple[PyTree, dict[str, float]]:
    """Maps `fn` over runs; equal functions and shapes are compiled once.

    Args:
      fn: a pure function of arrays that computes one run; it must be hashable.
      in_axes: for each argument, 0 (one entry a run) or `None` (shared).
      *args: the arguments of `fn`, stacked where `in_axes` is 0.

    Returns:
      The results, and the seconds to compile and to run. Compilation counts as
      0 seconds if the program has been used before.
    """
    self.ahead(fn, in_axes, *args)
    identity = _identity(fn, in_axes, args)
    while True:
      program = awaited('compiling', self._built[identity], _name(fn))
      try:
        placed = jax.block_until_ready(
            hosts.put(args, program.call.input_shardings[0]))
        begin = time.perf_counter()
        result = jax.block_until_ready(program.call(*placed))
        break
      except jax.errors.JaxRuntimeError as error:
        if ('RESOURCE_EXHAUSTED' not in str(error) or program.chunk == 1
            or jax.process_count() > 1):  # The others would wait for ever.
          raise
        print(f'{_name(fn)}: {program.chunk} runs at a time do not fit in '
              'memory, trying half.', file=sys.stderr)
        self._built[identity] = self._pool.submit(
            self._build, fn, in_axes, args, -(-program.chunk // 2))
    taken = {'compile_seconds': (identity not in self._used) * program.seconds,
             'seconds': time.perf_counter() - begin}
    self._used.add(identity)
    return result, taken

  def run_alike(self, fn: Callable[..., PyTree], in_axes: Sequence[int | None],
                *args: PyTree) -> tuple[PyTree, dict[str, float]]:
    """Maps `fn` over runs like `run`, by one program for any number of runs.

    The program takes as many runs at a time as there are groups of devices. The
    last run is repeated where fewer are left.

    Args:
      fn: as for `run`.
      in_axes: as for `run`.
      *args: as for `run`.

    Returns:
      The results, and the seconds to compile and to run.
    """
    count, width = _num_runs(in_axes, args), (
        jax.device_count() // self.devices_per_run)
    parts, taken = [], {'compile_seconds': 0.0, 'seconds': 0.0}
    for first in range(0, count, width):
      rows = np.minimum(np.arange(first, first + width), count - 1)
      result, seconds = self.run(fn, in_axes, *(
          trees.take(x, rows) if axis == 0 else x
          for x, axis in zip(args, in_axes)))
      parts.append(trees.take(result, slice(0, min(width, count - first))))
      taken = {name: taken[name] + seconds[name] for name in taken}
    return jax.tree.map(lambda *x: jnp.concatenate(x), *parts), taken

  def _most(self, in_axes: Sequence[int | None], args: Sequence[PyTree]) -> int:
    """The number of runs at a time to try first."""
    if self.chunk is not None:
      return self.chunk
    return -(-_num_runs(in_axes, args) // self._groups(in_axes, args))

  def _groups(self, in_axes: Sequence[int | None], args: Sequence[PyTree]
              ) -> int:
    """The number of groups of devices, each of which computes some runs.

    There are at most as many groups as runs, because further groups would only
    repeat runs. With several processes, all groups are used, because each
    process must take part.
    """
    groups = jax.device_count() // self.devices_per_run
    return (groups if jax.process_count() > 1 else
            min(groups, _num_runs(in_axes, args)))

  def _build(self, fn: Callable[..., PyTree], in_axes: Sequence[int | None],
             args: Sequence[PyTree], most: int) -> _Program:
    """Compiles a program for `most` runs at a time, or for as many as fit."""
    begin, chunk = time.perf_counter(), most
    count = self._groups(in_axes, args) * self.devices_per_run
    while True:
      mapped = seeds.over_seeds(
          fn, chunk=chunk, in_axes=in_axes, devices=jax.devices()[:count],
          devices_per_run=self.devices_per_run)
      program = mapped.lower(*args).compile()
      if chunk == 1 or self.chunk is not None or fits(
          program, self._limit):
        return _Program(program, chunk, time.perf_counter() - begin)
      chunk = -(-chunk // 2)


def _num_runs(in_axes: Sequence[int | None], args: Sequence[PyTree]) -> int:
  return jax.tree.leaves(args[in_axes.index(0)])[0].shape[0]


def _identity(fn: Callable[..., PyTree], in_axes: Sequence[int | None],
              args: Sequence[PyTree]) -> Any:
  """The identity of a program."""
  leaves, structure = jax.tree.flatten(args)
  shapes = tuple((x.shape, str(x.dtype)) for x in leaves)
  return fn, tuple(in_axes), structure, shapes


def _name(fn: Callable[..., PyTree]) -> str:
  """The name of a function or of a callable object, for messages."""
  return getattr(fn, '__name__', type(fn).__name__.lower())


def memory_limit() -> float:
  """The memory of a device in bytes; infinite if the device reports none.

  It is the smallest value of all processes, so that all compile the same
  programs.
  """
  stats = jax.local_devices()[0].memory_stats() or {}
  return hosts.least(stats.get('bytes_limit', float('inf')))


def fits(program: Any, limit: float) -> bool:
  """Whether a compiled program fits in a device's memory.

  Args:
    program: the result of `jax.jit(...).lower(...).compile()`.
    limit: the memory of the device in bytes.
  """
  needs = program.memory_analysis()
  if needs is None:
    return True
  planned = (needs.temp_size_in_bytes + needs.argument_size_in_bytes
             + needs.output_size_in_bytes - needs.alias_size_in_bytes)
  return planned <= _SHARE * limit
