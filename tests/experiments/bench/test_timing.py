"""Timing on one core, medians and ratios."""

from __future__ import annotations

import os
import pathlib
import threading

import numpy as np
import pytest

from experiments.bench import timing
from rum_jax.reporting import speed

TASKS = pathlib.Path('/proc/self/task')


@pytest.mark.skipif(not TASKS.exists(), reason='Linux alone tells of threads.')
def test_all_threads_are_on_one_core_until_an_error_ends_it():
  done = threading.Event()
  waiting = threading.Thread(target=done.wait, daemon=True)
  waiting.start()
  threads = [threading.get_native_id(), waiting.native_id]
  before = [os.sched_getaffinity(thread) for thread in threads]
  try:
    with pytest.raises(ValueError, match='enough'), timing.one_core():
      now = [os.sched_getaffinity(thread) for thread in threads]
      assert now[0] == now[1] and len(now[0]) == 1
      raise ValueError('enough')
    assert [os.sched_getaffinity(thread) for thread in threads] == before
  finally:
    done.set()


def test_medians_are_of_calls_in_turn_after_a_warm_up():
  order = []
  found = timing.medians(
      [lambda: order.append('a'), lambda: order.append('b')], 3)
  assert order == ['a', 'b'] * 4
  assert len(found) == 2 and all(0 <= x < 0.1 for x in found)


def test_figures_are_of_medians_and_their_range_of_rounds():
  found = timing.compared(np.array([1.0, 4, 2]), np.array([2.0, 2, 5]), 64)
  assert found == speed.AgainstTorch(
      microseconds=2e6, images_a_second=32, torch_microseconds=2e6,
      times_as_fast=1, from_to=(0.5, 2.5))
