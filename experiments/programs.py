"""Compiled programs: once for each name and shape, and of a size that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import sys
import time
from typing import Any

import jax

from rum_jax import seeds
from rum_jax.types import PyTree

_SHARE = 0.9  # Of a device's memory that a program may plan to use.


class Programs:
  """Maps functions over runs, `chunk` at a time on a GPU or TPU.

  Attributes:
    chunk: runs at a time; `None` takes as many as the compiled program's own
      memory analysis says will fit, and half of that whenever it was wrong.
  """

  def __init__(self, chunk: int | None = None):
    self.chunk = chunk
    self._compiled: dict[Any, tuple[Callable[..., PyTree], int | None]] = {}

  def run(self, name: Any, fn: Callable[..., PyTree],
          in_axes: Sequence[int | None], *args: PyTree
          ) -> tuple[PyTree, dict[str, float]]:
    """Maps `fn` over runs; programs of the same name and shapes compile once.

    Returns:
      The results, and the seconds of compilation and of work.
    """
    begin, result = time.perf_counter(), None
    leaves, structure = jax.tree.flatten(args)
    shapes = tuple((x.shape, str(x.dtype)) for x in leaves)
    identity = name, structure, shapes
    for chunk in self._chunks(identity, in_axes, args):
      if identity not in self._compiled:
        mapped = seeds.over_seeds(fn, chunk=chunk, in_axes=in_axes)
        program = mapped.lower(*args).compile()
        if chunk != 1 and self.chunk is None and not fits(program):
          continue
        self._compiled[identity] = program, chunk
      ready = time.perf_counter()
      try:
        result = jax.block_until_ready(self._compiled[identity][0](*args))
        break
      except jax.errors.JaxRuntimeError as error:
        if 'RESOURCE_EXHAUSTED' not in str(error) or chunk == 1:
          raise
        del self._compiled[identity]
        print(f'{name}: {chunk} runs at a time do not fit in memory, trying '
              'half.', file=sys.stderr)
    return result, {'compile_seconds': ready - begin,
                    'seconds': time.perf_counter() - ready}

  def _chunks(self, identity: Any, in_axes: Sequence[int | None],
              args: Sequence[PyTree]) -> Iterator[int | None]:
    """Numbers of runs at a time to try, the largest first."""
    if identity in self._compiled:
      chunk = self._compiled[identity][1]
    elif self.chunk is not None:
      chunk = self.chunk
    else:
      stacked = args[in_axes.index(0)]
      runs = jax.tree.leaves(stacked)[0].shape[0]
      chunk = -(-runs // jax.device_count())
    while chunk > 1:
      yield chunk
      chunk = -(-chunk // 2)
    yield 1


def fits(program: Any, limit: int | None = None) -> bool:
  """Whether a compiled program's memory analysis stays within the device's.

  Args:
    program: compiled by `jax.jit(...).lower(...).compile()`.
    limit: bytes; by default what the device reports, and none where it reports
      nothing, as a CPU does.
  """
  if limit is None:
    limit = (jax.devices()[0].memory_stats() or {}).get('bytes_limit')
  needs = program.memory_analysis()
  if limit is None or needs is None:
    return True
  planned = (needs.temp_size_in_bytes + needs.argument_size_in_bytes
             + needs.output_size_in_bytes - needs.alias_size_in_bytes)
  return planned <= _SHARE * limit
