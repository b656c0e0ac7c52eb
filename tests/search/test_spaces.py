"""Random search: its limits, and that seeds repeat it."""

import inspect

import numpy as np
import pytest

from rum_jax import algorithms, search

SPACE = {'a': (-1.0, 3.0, 'linear'), 'b': (1e-4, 1e-2, 'log'),
         'c': (0.5, 0.999, 'near_one')}


def test_values_lie_in_their_space():
  for setting in search.draw({'epochs': 3}, SPACE, 200, 0):
    assert setting.keys() == {'epochs', *SPACE} and setting['epochs'] == 3
    for name, (low, high, _) in SPACE.items():
      assert low <= setting[name] <= high


def test_a_seed_gives_the_same_settings_whatever_the_count():
  assert (search.draw({}, SPACE, 9, 3)[:4] == search.draw({}, SPACE, 4, 3)
          != search.draw({}, SPACE, 4, 4))


def test_half_lies_below_the_middle_of_each_scale():
  drawn = search.draw({}, SPACE, 4000, 0)
  middle = {'a': 1, 'b': 1e-3, 'c': 1 - (0.5 * 0.001)**0.5}
  for name, value in middle.items():
    below = np.mean([setting[name] < value for setting in drawn])
    assert below == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(('space', 'count', 'message'), [
    (SPACE, 0, 'count=0'),
    ({'a': (2.0, 1.0, 'linear')}, 1, r'limits of a .*\(2.0, 1.0'),
    ({'a': (0.0, 1.0, 'log')}, 1, 'limits of a'),
    ({'a': (0.0, 1.0, 'near_one')}, 1, 'limits of a'),
    ({'a': (0.0, 1.0, 'cubic')}, 1, 'cubic')])
def test_bad_input_is_named(space, count, message):
  with pytest.raises(ValueError, match=message):
    search.draw({}, space, count, 0)


def test_the_length_of_a_searched_run_is_counted_in_epochs():
  for name, (fixed, limits) in algorithms.SPACES.items():
    parameters = inspect.signature(getattr(algorithms, name)).parameters
    assert 'steps' not in {*fixed, *limits}
    assert ('epochs' in fixed) == ('epochs' in parameters), name


def test_a_spread_visits_every_part_of_each_range_once():
  found = search.spread({'epochs': 2}, {'a': SPACE['a']}, 8, 0)
  parts = sorted(int((x['a'] + 1) / 4 * 8) for x in found)
  assert parts == list(range(8)) and found[0]['epochs'] == 2
  assert found == search.spread({'epochs': 2}, {'a': SPACE['a']}, 8, 0)
