"""Seconds of compiled programs, taken in turn so that noise hits all alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import os
import pathlib
import statistics
import time

import jax

Call = Callable[[], None]


def compiled(fn: Callable, *args) -> tuple[Call, float]:
  """A call without arguments, and the seconds that its compilation took."""
  begin = time.perf_counter()
  program = jax.jit(fn).lower(*args).compile()
  seconds = time.perf_counter() - begin
  return lambda: jax.block_until_ready(program(*args)), seconds


def medians(calls: list[Call], repeats: int) -> list[float]:
  """Median seconds of each, measured in turn after a warm-up."""
  taken = [[] for _ in calls]
  for repeat in range(repeats + 1):
    for call, seconds in zip(calls, taken):
      begin = time.perf_counter()
      call()
      if repeat:
        seconds.append(time.perf_counter() - begin)
  return [statistics.median(x) for x in taken]


@contextlib.contextmanager
def one_core() -> Iterator[None]:
  """Keeps all threads of this process on one core, where the system can.

  XLA multiplies matrices on all cores, whatever it was told.
  """
  tasks = pathlib.Path('/proc/self/task')

  def keep(cores: set[int]) -> None:
    for task in tasks.iterdir():
      with contextlib.suppress(ProcessLookupError):  # It has ended since.
        os.sched_setaffinity(int(task.name), cores)

  if not tasks.exists():
    yield
    return
  cores = os.sched_getaffinity(0)
  keep({min(cores)})
  try:
    yield
  finally:
    keep(cores)
