"""MMD and silhouettes against scikit-learn and against loops over pairs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics
from sklearn.metrics import pairwise

from rum_jax.entanglement import distances, separation
from rum_jax.types import Split

SPLIT = Split(np.arange(30, 42), np.arange(5, 30))
SEEDS = range(3)


def features_of(seed: int = 0, offset: float = 0.0, shift: float = 1.0
                ) -> np.ndarray:
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(50, 4))
  x[30:42] += shift
  return x + offset


def mmd_of(features, split, gamma):
  x, y = features[split.forget], features[split.retain]
  xx, yy, xy = (pairwise.rbf_kernel(a, b, gamma=gamma)
                for a, b in ((x, x), (y, y), (x, y)))
  off = lambda k: k[~np.eye(len(k), dtype=bool)].mean()
  return (xx.mean() + yy.mean() - 2 * xy.mean(),
          off(xx) + off(yy) - 2 * xy.mean())


@pytest.mark.parametrize('gamma', [1.0, 0.05])
@pytest.mark.parametrize('block', [1, 7, 256])
def test_mmd_is_that_of_scikit_learns_kernel(float64, gamma, block):
  x = features_of()
  got = separation.squared_mmd(jnp.asarray(x), SPLIT, gamma=gamma, block=block)
  np.testing.assert_allclose(got, mmd_of(x, SPLIT, gamma), rtol=1e-12)


def test_mmd_by_hand(float64):
  # Two and two points at 0 and at 1: k is 1 within and e⁻¹ across.
  x = jnp.array([[0.0], [0.0], [1.0], [1.0]])
  got = separation.squared_mmd(x, Split(np.array([0, 1]), np.array([2, 3])))
  np.testing.assert_allclose(got, [2 - 2 / np.e] * 2, rtol=1e-14)


def test_mmd_of_equal_sets_is_zero_and_unbiased_below(float64):
  x = jnp.asarray(features_of())
  same = Split(SPLIT.forget, SPLIT.forget[::-1].copy())
  biased, unbiased = separation.squared_mmd(x, same)
  assert abs(biased) < 1e-14
  assert unbiased < 0


def test_unbiased_mmd_of_one_distribution_is_zero_on_average():
  # 400 draws of 12 and 25: |z| < 4 at 6e-5. The biased form is off by far more.
  draws = jnp.asarray(np.random.default_rng(0).normal(size=(400, 50, 4)))
  biased, unbiased = jax.vmap(separation.squared_mmd, in_axes=(0, None))(
      draws, SPLIT)
  error = np.std(unbiased) / 20
  assert abs(np.mean(unbiased)) < 4 * error < np.mean(biased) / 10
  assert np.min(biased) > 0


def test_mmd_in_single_precision_takes_an_offset():
  # ‖x‖² + ‖y‖² − 2xy of numbers below 10² is off by a few 10² · 2⁻²⁴.
  x = features_of(offset=1e4).astype(np.float32)
  got = separation.squared_mmd(jnp.asarray(x), SPLIT)
  np.testing.assert_allclose(
      got, mmd_of(x.astype(np.float64), SPLIT, 1.0), atol=1e-5)


def test_one_example_has_no_unbiased_mmd():
  got = separation.squared_mmd(
      jnp.eye(4), Split(np.array([0]), np.array([1, 2])))
  assert np.isfinite(got.biased) and np.isnan(got.unbiased)


def test_median_gamma(float64):
  x = features_of()
  both = x[np.concatenate(SPLIT)]
  pairs = pairwise.euclidean_distances(both)[np.triu_indices(len(both), 1)]
  got = separation.median_gamma(jax.random.key(0), jnp.asarray(x), SPLIT)
  np.testing.assert_allclose(got, 1 / (2 * np.median(pairs)**2), rtol=1e-12)
  some = [float(separation.median_gamma(
      jax.random.key(s), jnp.asarray(x), SPLIT, sample=20)) for s in (0, 0, 1)]
  assert some[0] == some[1] != some[2]
  # Half of 190 pairs, so near enough: the quartiles of the distances' spread.
  low, high = np.quantile(pairs, [0.25, 0.75])
  assert all(1 / (2 * high**2) < g < 1 / (2 * low**2) for g in some)
  doubled = separation.median_gamma(
      jax.random.key(0), jnp.asarray(2 * x), SPLIT)
  np.testing.assert_allclose(doubled, got / 4, rtol=1e-12)


def labelled(x) -> tuple[np.ndarray, np.ndarray]:
  return x[np.concatenate(SPLIT)], np.repeat([0, 1], list(map(len, SPLIT)))


@pytest.mark.parametrize('shift', [0.0, 1.0, 10.0])
def test_silhouettes_are_those_of_scikit_learn(float64, shift):
  x = features_of(shift=shift, offset=5.0)
  pairs, sets = labelled(x)
  got = separation.silhouette(jnp.asarray(x), SPLIT, block=7)
  np.testing.assert_allclose(
      got, metrics.silhouette_score(pairs, sets), atol=1e-7)
  got = separation.squared_silhouette(jnp.asarray(x), SPLIT)
  np.testing.assert_allclose(
      got, metrics.silhouette_score(pairs, sets, metric='sqeuclidean'),
      atol=1e-12)
  cosine = metrics.silhouette_score(pairs, sets, metric='cosine')
  got = separation.squared_silhouette(
      distances.unit(jnp.asarray(x)), SPLIT)
  np.testing.assert_allclose(got, cosine, atol=1e-12)
  got = separation.silhouette_entanglement(jnp.asarray(x), SPLIT)
  np.testing.assert_allclose(got, (1 - cosine) / 2, atol=1e-12)


def test_centroid_silhouette_is_that_of_a_loop(float64):
  x = features_of()
  means = [x[rows].mean(0) for rows in SPLIT]
  values = []
  for own, rows in enumerate(SPLIT):
    for row in rows:
      a, b = (np.linalg.norm(x[row] - means[i]) for i in (own, 1 - own))
      values.append((b - a) / max(a, b))
  got = separation.centroid_silhouette(jnp.asarray(x), SPLIT)
  np.testing.assert_allclose(got, np.mean(values), rtol=1e-12)


SILHOUETTES = (separation.silhouette, separation.squared_silhouette,
               separation.centroid_silhouette)


@pytest.mark.parametrize('function', SILHOUETTES)
def test_silhouettes_at_their_ends(function):
  # Two points on each of two places: 1. One alone counts as 0. All in one: 0.
  x = jnp.array([[0.0], [0.0], [3.0], [3.0]])
  assert function(x, Split(np.array([0, 1]), np.array([2, 3]))) == 1
  alone = function(x, Split(np.array([0]), np.array([2, 3])))
  np.testing.assert_allclose(alone, 2 / 3, rtol=1e-6)
  assert function(x * 0, Split(np.array([0, 1]), np.array([2, 3]))) == 0


@pytest.mark.parametrize('function', [
    *SILHOUETTES, separation.silhouette_entanglement,
    lambda x, split: separation.squared_mmd(x, split).unbiased])
def test_measures_map_over_seeds(float64, function):
  stacked = jnp.stack([jnp.asarray(features_of(s)) for s in SEEDS])
  mapped = jax.jit(jax.vmap(function, in_axes=(0, None)))(stacked, SPLIT)
  np.testing.assert_allclose(
      mapped, [function(x, SPLIT) for x in stacked], rtol=1e-7)


@pytest.mark.parametrize('call, message', [
    (lambda x: separation.squared_mmd(x, SPLIT, gamma=0.0),
     r'gamma=0.0 in \(0'),
    (lambda x: separation.squared_mmd(x, SPLIT, block=0), 'block=0 to be at'),
    (lambda x: separation.silhouette(x, SPLIT, block=1.5), 'block, found 1.5'),
    (lambda x: separation.median_gamma(
        jax.random.key(0), x, SPLIT, sample=1), 'sample=1 to be at least 2')])
def test_bad_arguments_are_refused(call, message):
  with pytest.raises(ValueError, match=message):
    call(jnp.asarray(features_of()))
