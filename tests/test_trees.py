"""Arithmetic on trees, and what the checks of arguments say."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import trees

TREE = {'a': np.array([[1.0, -2.0], [3.0, -4.0]]), 'b': (np.array(-0.5),)}


def test_size_and_norm_are_over_all_leaves():
  assert trees.size(TREE) == 5 and trees.size({}) == 0
  assert trees.l1_norm(TREE) == 10.5


def stack(parts):
  return jax.tree.map(lambda *xs: jnp.stack(xs), *parts)


def test_take_picks_some():
  parts = [{'a': jnp.arange(2) + i, 'b': (jnp.array(i),)} for i in range(3)]
  whole = stack(parts)
  chex.assert_shape(whole['a'], (3, 2))
  for i, part in enumerate(parts):
    chex.assert_trees_all_equal(trees.take(whole, i), part)
  chex.assert_trees_all_equal(
      trees.take(whole, slice(1, 3)), stack(parts[1:]))
  np.testing.assert_array_equal(
      trees.take(whole, np.array([2, 0]))['b'][0], [2, 0])


def test_concatenate_joins_leading_axes_on_the_host():
  got = trees.concatenate(
      [{'a': np.ones((2, 3))}, {'a': np.zeros((1, 3))}])
  assert isinstance(got['a'], np.ndarray)
  np.testing.assert_array_equal(got['a'].sum(1), [3, 3, 0])


@pytest.mark.parametrize('value, bounds, message', [
    (1.3, (0, 1), 'Expected alpha=1.3 in [0, 1].'),
    (-1, (0,), 'Expected alpha=-1 in [0, inf).'),
    (float('nan'), (0, 1), 'Expected alpha=nan in [0, 1].'),
    (float('inf'), (0, 1), 'Expected alpha=inf in [0, 1].'),
    (np.array([0.5, 2.0]), (0, 1), 'Expected alpha=[0.5 2. ] in [0, 1].'),
    ('x', (0, 1), "Expected a number for alpha, found 'x'."),
    (None, (0, 1), 'Expected a number for alpha, found None.'),
    (True, (0, 1), 'Expected a number for alpha, found True.')])
def test_check_range_says_name_value_and_range(value, bounds, message):
  with pytest.raises(ValueError) as error:
    trees.check_range('alpha', value, *bounds)
  assert str(error.value) == message


def test_check_range_holds_its_ends():
  for value in (0, 0.5, 1, np.float32(1), jnp.array([0.0, 1.0])):
    trees.check_range('alpha', value, 0, 1)
  with pytest.raises(ValueError) as error:
    trees.check_range('alpha', 0, 0, 1, open_low=True)
  assert str(error.value) == 'Expected alpha=0 in (0, 1].'


def test_check_range_lets_traced_values_pass():
  def fn(alpha):
    trees.check_range('alpha', alpha, 0, 1)
    return 2 * alpha

  assert jax.jit(fn)(5.0) == 10


@pytest.mark.parametrize('value, message', [
    (2, 'Expected steps=2 to be at least 3.'),
    (-1, 'Expected steps=-1 to be at least 3.'),
    (3.0, 'Expected a whole number for steps, found 3.0.'),
    (True, 'Expected a whole number for steps, found True.'),
    ('7', "Expected a whole number for steps, found '7'.")])
def test_check_count_says_name_and_value(value, message):
  with pytest.raises(ValueError) as error:
    trees.check_count('steps', value, 3)
  assert str(error.value) == message


def test_check_count_takes_whole_numbers():
  for value in (3, 4, np.int32(3)):
    trees.check_count('steps', value, 3)
  trees.check_count('steps', 0)


def test_check_callable_returns_what_it_is_given():
  assert trees.check_callable('fn', len) is len
  with pytest.raises(TypeError) as error:
    trees.check_callable('fn', 3)
  assert str(error.value) == 'Expected fn to be callable, found 3.'
