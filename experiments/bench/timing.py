"""Times of compiled programs, which are measured in turn because of noise."""

from __future__ import annotations

from collections.abc import Callable, Generator
import contextlib
import os
import pathlib
import time

import jax
import numpy as np

from rum_jax.reporting.speed import AgainstTorch

Call = Callable[[], object]


def compiled(fn: Callable, *args) -> tuple[Call, float]:
  """A call without arguments, and the seconds that its compilation took."""
  start = time.perf_counter()
  program = jax.jit(fn).lower(*args).compile()
  seconds = time.perf_counter() - start
  return lambda: jax.block_until_ready(program(*args)), seconds


def all_seconds(calls: list[Call], repeats: int) -> list[list[float]]:
  """`repeats` times of each call in seconds, in turn after a warm-up."""
  taken = [[] for _ in calls]
  for repeat in range(repeats + 1):
    for call, seconds in zip(calls, taken):
      start = time.perf_counter()
      call()
      if repeat:
        seconds.append(time.perf_counter() - start)
  return taken


def medians(calls: list[Call], repeats: int) -> list[float]:
  """The median of `all_seconds` for each."""
  return [float(np.median(x)) for x in all_seconds(calls, repeats)]


def compared(ours: np.ndarray, theirs: np.ndarray, batch: int
             ) -> AgainstTorch:
  """Figures of a step of `batch` images, from the seconds of each repeat."""
  mine, other, ratios = np.median(ours), np.median(theirs), theirs / ours
  return AgainstTorch(
      microseconds=1e6 * mine, images_a_second=batch / mine,
      torch_microseconds=1e6 * other, times_as_fast=other / mine,
      from_to=(min(ratios), max(ratios)))


@contextlib.contextmanager
def one_core() -> Generator[None, None, None]:
  """Keeps all threads of this process on one core, if the system can.

  XLA's flags do not keep matrix products on one core.
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
