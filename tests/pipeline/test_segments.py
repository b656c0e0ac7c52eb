"""Runs in segments, and several runs as one."""

from __future__ import annotations

import pytest

from rum_jax.pipeline import segments


def test_segments_begin_at_multiples_and_the_last_may_be_short():
  assert segments.segments(0, 130, 64) == [(0, 64), (64, 64), (128, 2)]
  assert segments.segments(128, 64, 64) == [(128, 64)]
  whole = segments.segments(0, 150, 64)
  parts = segments.segments(0, 64, 64) + segments.segments(64, 86, 64)
  assert parts == whole


@pytest.mark.parametrize('first', [-64, 1, 100])
def test_a_run_begins_where_a_segment_does(first):
  with pytest.raises(
      ValueError, match=f'first_model={first} to be a multiple of 64'):
    segments.segments(first, 10, 64)


def test_runs_join_in_any_order():
  assert segments.union({'b': (64, 6), 'a': (0, 64)}) == (0, 70)
  assert segments.union({'only': (128, 5)}) == (128, 5)


@pytest.mark.parametrize('runs, message', [
    ({'a': (0, 65), 'b': (64, 64)},
     'found one that overlaps: models 0 to 64 in a, 64 to 127 in b.'),
    ({'b': (64, 64), 'c': (64, 64)},
     'overlaps: models 64 to 127 in b, 64 to 127 in c.'),
    ({'b': (128, 64), 'a': (0, 64)},
     'found one that leaves a gap: models 0 to 63 in a, 128 to 191 in b.')])
def test_runs_that_do_not_follow_each_other_are_refused(runs, message):
  with pytest.raises(ValueError) as error:
    segments.union(runs)
  assert message in str(error.value)


def test_runs_of_another_recipe_or_data_set_are_refused():
  one = {'data': 'abc', 'epochs': 3}
  segments.check_same(one, 'here', dict(one), 'there')
  for other, message in (
      ({'data': 'abc', 'epochs': 4}, 'epochs=3 in here and epochs=4 in there'),
      ({'data': 'abd', 'epochs': 4}, 'data=abc in here and data=abd in there'),
      ({'data': 'abc'}, 'epochs=3 in here and epochs=missing in there'),
      ({**one, 'new': 1}, 'new=missing in here and new=1 in there')):
    with pytest.raises(ValueError, match=message):
      segments.check_same(one, 'here', other, 'there')
