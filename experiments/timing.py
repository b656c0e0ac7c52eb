"""Seconds of compiled programs, taken in turn so that noise hits all alike."""

from __future__ import annotations

from collections.abc import Callable
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
