"""Functions of trees of arrays."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import trees


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
