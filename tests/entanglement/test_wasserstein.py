"""Wasserstein distances against SciPy, closed forms and brute force."""

from __future__ import annotations

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg, optimize
from scipy.spatial import distance

from rum_jax.entanglement import wasserstein
from rum_jax.types import Split

SPLIT = Split(np.arange(30, 42), np.arange(5, 30))
KEY = jax.random.key(0)


def features_of(seed: int = 0, shift: float = 1.0) -> np.ndarray:
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(50, 4))
  x[30:42] = shift + 0.5 * x[30:42]
  return x


def on_a_line(x: np.ndarray, y: np.ndarray) -> float:
  """W₂² of two samples, each repeated until both are equally long."""
  length = math.lcm(len(x), len(y))
  x, y = (np.repeat(np.sort(v), length // len(v)) for v in (x, y))
  return ((x - y)**2).mean()


@pytest.mark.parametrize('split', [
    SPLIT, Split(np.arange(10), np.arange(10, 20)), Split(
        np.arange(1), np.arange(1, 50)), Split(np.arange(8, 20), np.arange(8))])
def test_sliced_distance_on_a_line_is_that_of_repeated_samples(float64, split):
  x = features_of()[:, :1]
  got = wasserstein.sliced_wasserstein(
      KEY, jnp.asarray(x), split, projections=3)
  want = on_a_line(x[split.forget, 0], x[split.retain, 0])
  np.testing.assert_allclose(got, np.sqrt(want), rtol=1e-12)


def test_sliced_distance_is_the_mean_over_its_directions(float64):
  x = features_of()
  direction = np.array(jax.random.normal(KEY, (4, 6)))
  direction /= np.linalg.norm(direction, axis=0)
  lines = (x @ direction).T
  want = np.mean([on_a_line(v[SPLIT.forget], v[SPLIT.retain]) for v in lines])
  got = wasserstein.sliced_wasserstein(
      KEY, jnp.asarray(x), SPLIT, projections=6)
  np.testing.assert_allclose(got, np.sqrt(want), rtol=1e-12)


def test_a_shift_moves_every_distance_by_itself(float64):
  # W₂ of a set and the same moved by v is ‖v‖; sliced it is ‖v‖ / √D on average
  # over directions: (θ·v)² of 10,000 directions has mean ‖v‖²/4 and a standard
  # deviation of at most ‖v‖²/2, so ± 4 · 0.005.
  x = np.random.default_rng(0).normal(size=(20, 4))
  v = np.array([3.0, 0.0, 4.0, 0.0])
  both = jnp.asarray(np.concatenate([x, x + v]))
  split = Split(np.arange(20), np.arange(20, 40))
  np.testing.assert_allclose(
      wasserstein.gaussian_wasserstein(both, split), 5, rtol=1e-12)
  sliced = wasserstein.sliced_wasserstein(KEY, both, split, projections=10_000)
  assert abs(sliced**2 / 25 - 0.25) < 0.02


def test_gaussian_distance_is_that_of_matrix_square_roots(float64):
  x = features_of()
  forget, retain = x[SPLIT.forget], x[SPLIT.retain]
  a, b = (np.cov(s.T, bias=True) for s in (forget, retain))
  root = linalg.sqrtm(a)
  cross = linalg.sqrtm(root @ b @ root).real
  want = (((forget.mean(0) - retain.mean(0))**2).sum()
          + np.trace(a) + np.trace(b) - 2 * np.trace(cross))
  got = wasserstein.gaussian_wasserstein(jnp.asarray(x), SPLIT)
  np.testing.assert_allclose(got, np.sqrt(want), rtol=1e-10)


def test_gaussian_distance_of_fewer_examples_than_features(float64):
  # Singular covariances: one example a set leaves the distance of the two.
  x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 7)))
  got = wasserstein.gaussian_wasserstein(x, Split(np.array([0]), np.array([1])))
  np.testing.assert_allclose(got, np.linalg.norm(x[0] - x[1]), rtol=1e-12)


def test_gaussian_distance_bounds_that_of_the_sets(float64):
  x = features_of()
  split = Split(np.arange(30, 42), np.arange(5, 17))
  cost = distance.cdist(x[split.forget], x[split.retain], 'sqeuclidean')
  whole = np.sqrt(cost[optimize.linear_sum_assignment(cost)].mean())
  bound = wasserstein.gaussian_wasserstein(jnp.asarray(x), split)
  sliced = wasserstein.sliced_wasserstein(
      KEY, jnp.asarray(x), split, projections=2000)
  assert bound < whole
  assert sliced < 1.05 * whole / 2


@pytest.mark.parametrize('function', [
    wasserstein.gaussian_wasserstein,
    functools.partial(wasserstein.sliced_wasserstein, KEY)])
def test_distances_of_equal_sets_and_large_offsets(function):
  # Single precision: what is left of equal sets is the root of 2⁻²⁴ times
  # a few, as a share of the spread, 2.
  x = np.concatenate([features_of(), features_of()]).astype(np.float32)
  same = Split(np.arange(50), np.arange(50, 100))
  assert function(jnp.asarray(x), same) < 2 * 2e-3
  moved = (x + np.float32(1e4)).astype(np.float32)  # Now rounded to 2⁻¹⁰.
  np.testing.assert_allclose(
      function(jnp.asarray(moved), SPLIT), function(jnp.asarray(x), SPLIT),
      rtol=2e-3)


def test_distances_map_over_seeds(float64):
  stacked = jnp.stack([jnp.asarray(features_of(s)) for s in range(3)])
  sliced = functools.partial(wasserstein.sliced_wasserstein, KEY)
  for function in (wasserstein.gaussian_wasserstein, sliced):
    mapped = jax.jit(jax.vmap(function, in_axes=(0, None)))(stacked, SPLIT)
    np.testing.assert_allclose(
        mapped, [function(x, SPLIT) for x in stacked], rtol=1e-10)


def test_transport_entanglement_is_the_best_of_all_assignments():
  x = features_of()
  split = Split(np.arange(30, 35), np.arange(5))
  rows = x / np.linalg.norm(x, axis=1, keepdims=True)
  cost = distance.cdist(rows[split.forget], rows[split.retain])
  best = min(np.mean([cost[i, j] for i, j in enumerate(p)])
             for p in itertools.permutations(range(5)))
  got = wasserstein.wasserstein_entanglement(x, split)
  np.testing.assert_allclose(got, 1 - best / cost.max(), rtol=1e-12)


def test_transport_entanglement_of_a_sample_and_at_its_ends():
  x = features_of()
  some = [wasserstein.wasserstein_entanglement(x, SPLIT, sample=6, seed=s)
          for s in (0, 0, 1)]
  assert some[0] == some[1] != some[2] and all(0 <= v <= 1 for v in some)
  same = Split(np.arange(9), np.arange(9))
  assert wasserstein.wasserstein_entanglement(x, same) == 1.0
  assert wasserstein.wasserstein_entanglement(0 * x, SPLIT) == 1.0
  # All on one side against all on the other: every cost is the largest.
  ends = np.array([[1.0], [2.0], [-1.0], [-5.0]])
  assert wasserstein.wasserstein_entanglement(
      ends, Split(np.arange(2), np.arange(2, 4))) == 0.0


def test_bad_arguments_are_refused():
  x = jnp.asarray(features_of())
  with pytest.raises(ValueError, match='projections=0 to be at least 1'):
    wasserstein.sliced_wasserstein(KEY, x, SPLIT, projections=0)
  with pytest.raises(ValueError, match='sample, found 2.5'):
    wasserstein.wasserstein_entanglement(x, SPLIT, sample=2.5)
