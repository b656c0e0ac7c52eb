"""What is timed on one core has one core, and gets the others back."""

from __future__ import annotations

import os
import pathlib
import threading

import pytest

from experiments import timing

TASKS = pathlib.Path('/proc/self/task')


def cores_of_threads() -> list[set[int]]:
  return [os.sched_getaffinity(int(task.name)) for task in TASKS.iterdir()]


@pytest.mark.skipif(not TASKS.exists(), reason='Linux alone tells of threads.')
def test_all_threads_are_on_one_core_until_an_error_ends_it():
  done = threading.Event()
  waiting = threading.Thread(target=done.wait)
  waiting.start()
  before = cores_of_threads()
  with pytest.raises(ValueError, match='enough'), timing.one_core():
    assert {len(cores) for cores in cores_of_threads()} == {1}
    assert len(set.union(*cores_of_threads())) == 1
    raise ValueError('enough')
  assert cores_of_threads() == before
  done.set()
  waiting.join()


def test_medians_are_of_calls_in_turn_after_a_warm_up():
  order = []
  found = timing.medians(
      [lambda: order.append('a'), lambda: order.append('b')], 3)
  assert order == ['a', 'b'] * 4
  assert len(found) == 2 and all(0 <= x < 0.1 for x in found)
