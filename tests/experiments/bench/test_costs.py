"""The passes over data that algorithms must make, counted by hand."""

from __future__ import annotations

import pytest

from experiments.bench import costs
from experiments.bench.costs import Work


@pytest.mark.parametrize(('count', 'size', 'padded'), [
    (144, 64, 192), (128, 64, 128), (30, 64, 30), (0, 64, 0), (1, 1, 1)])
def test_a_last_batch_is_whole_and_a_set_below_one_batch_is_its_own(
    count, size, padded):
  assert costs.whole(count, size) == padded


@pytest.mark.parametrize(('method', 'setting', 'wanted'), [
    ('neggrad', {'epochs': 5}, Work(train=5 * 60)),
    ('finetune', {'epochs': 2}, Work(train=2 * 180)),
    ('neggrad_plus', {'epochs': 2}, Work(train=2 * 2 * 180)),
    ('random_label', {'epochs': 1}, Work(train=220)),
    ('salun', {'epochs': 3}, Work(train=3 * 220 + 60)),
    ('scrub', {'epochs': 3, 'msteps': 2},
     Work(train=2 * 60 + 3 * 180, predict=2 * 60 + 3 * 180)),
    ('bad_teacher', {'epochs': 1}, Work(train=100, predict=200)),
    ('ssd', {}, Work(single=220 + 60)),
])
def test_work_by_hand(method, setting, wanted):
  # 50 to forget are 3 batches of 20; 165 to retain are 9; the 215 are 11; 50
  # and three tenths of 165 are 99, and 5 batches.
  assert costs.work(method, setting, 50, 165, 20) == wanted
