"""Squared distances against SciPy, with offsets, in blocks."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import distance

from rum_jax.entanglement import distances
from rum_jax.types import Split

X = np.random.default_rng(0).normal(size=(20, 4))
SPLIT = Split(np.arange(12, 19), np.arange(2, 12))


def test_unit_keeps_zeros():
  got = distances.unit(jnp.array([[3.0, 4.0], [0.0, 0.0]]))
  np.testing.assert_allclose(got, [[0.6, 0.8], [0, 0]], rtol=1e-6)


def test_sets_are_taken_about_the_mean_of_both(float64):
  both = np.concatenate([X[rows] for rows in SPLIT])
  for got, rows in zip(
      distances.about_mean(jnp.asarray(X), SPLIT), SPLIT, strict=True):
    np.testing.assert_allclose(got, X[rows] - both.mean(0), atol=1e-14)


def test_an_offset_costs_squared_distances_no_precision():
  # The very same stored numbers; ‖x‖² + ‖y‖² − 2xy of numbers below 20 rounds
  # to a few units of 2⁻²⁰. About zero it would be off by 1.
  moved = (X + 3e3).astype(np.float32)
  forget, retain = distances.about_mean(jnp.asarray(moved), SPLIT)
  want = distance.cdist(*(moved[rows].astype(float) for rows in SPLIT))**2
  np.testing.assert_allclose(
      distances.squared(forget, retain), want, atol=8 * 2.0**-20)


@pytest.mark.parametrize('block', [1, 3, 100])
def test_sums_over_pairs_are_those_of_a_matrix(float64, block):
  x, y = jnp.asarray(X[:7]), jnp.asarray(X[7:])
  got = distances.sum_over_pairs(jnp.sqrt, x, y, block)
  np.testing.assert_allclose(
      got, distance.cdist(x, y).sum(1), rtol=1e-12)
  # An example is not paired with itself, wherever exp(0) = 1 would count.
  got = distances.sum_over_pairs(lambda d: jnp.exp(-d), x, x, block, same=True)
  want = np.exp(-distance.cdist(x, x)**2).sum(1) - 1
  np.testing.assert_allclose(got, want, rtol=1e-12)
