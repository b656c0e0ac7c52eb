"""Entanglement against its formula in NumPy, in double precision."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import entanglement
from rum_jax.entanglement import entanglement_score
from rum_jax.types import Split


def formula(features, split: Split, midpoint: bool = False) -> float:
  x = np.asarray(features, np.float64)
  retain, forget = x[np.asarray(split.retain)], x[np.asarray(split.forget)]
  means = retain.mean(0), forget.mean(0)
  middle = (sum(means) / 2 if midpoint
            else np.concatenate([retain, forget]).mean(0))
  spread = (((retain - means[0])**2).sum(1).mean()
            + ((forget - means[1])**2).sum(1).mean())
  between = sum(((m - middle)**2).sum() for m in means) / 2
  return spread / between


def features_of(seed: int = 0, offset: float = 0.0) -> np.ndarray:
  """60 examples around one mean, 20 around another, 20 in neither set."""
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(100, 5))
  x[60:80] += 1.0
  return x + offset


SPLIT = Split(np.arange(60, 80), np.arange(60))


def test_score_by_hand():
  # Retain 0 and 2: mean 1, spread 1. Forget 4 and 6: mean 5, spread 1. Their
  # means lie 2 from the middle, 3: (1 + 1) / (½ (4 + 4)).
  features = jnp.array([[0.0], [2.0], [4.0], [6.0], [100.0]])
  split = Split(np.array([2, 3]), np.array([0, 1]))
  np.testing.assert_allclose(
      entanglement_score(features, split), 0.5, rtol=1e-6)
  # Three times as many retain examples pull the middle to 2: 2 / (½ (1 + 9)).
  split = Split(np.array([2, 3]), np.array([0, 1, 0, 1, 0, 1]))
  np.testing.assert_allclose(
      entanglement_score(features, split), 0.4, rtol=1e-6)
  np.testing.assert_allclose(
      entanglement_score(features, split, midpoint=True), 0.5, rtol=1e-6)


@pytest.mark.parametrize('midpoint', [False, True])
@pytest.mark.parametrize('offset', [0.0, 1e4])
def test_score_is_the_formula(midpoint, offset):
  # Single precision, against the formula on the very same stored numbers: an
  # offset must cost nothing, only sums of 300 terms round, by 300·2⁻²⁴.
  features = features_of(offset=offset).astype(np.float32)
  np.testing.assert_allclose(
      entanglement_score(jnp.asarray(features), SPLIT, midpoint=midpoint),
      formula(features, SPLIT, midpoint), rtol=300 * 2.0**-24)


def test_score_is_the_formula_in_double_precision(float64):
  features = jnp.asarray(features_of())
  got = [float(entanglement_score(features, SPLIT, midpoint=m))
         for m in (False, True)]
  want = [formula(features, SPLIT, m) for m in (False, True)]
  np.testing.assert_allclose(got, want, rtol=1e-13)
  # With r and f of both, the midpoint leaves ½ δ² / 2 of what lies between, and
  # the mean of all ½ (r² + f²) / (r + f)² δ²: 0.25 against 0.3125.
  np.testing.assert_allclose(got[0] / got[1], 0.25 / 0.3125, rtol=1e-12)


def test_score_maps_over_seeds_and_over_splits(float64):
  features = jnp.stack([jnp.asarray(features_of(s)) for s in range(3)])
  splits = Split(jnp.stack([jnp.arange(i, i + 20) for i in (60, 70, 5)]),
                 jnp.stack([jnp.arange(i, i + 30) for i in (0, 10, 50)]))
  pick = lambda i: Split(splits.forget[i], splits.retain[i])
  by_seed = jax.vmap(entanglement_score, in_axes=(0, None))(features, SPLIT)
  by_split = jax.jit(jax.vmap(entanglement_score, in_axes=(None, 0)))(
      features[0], splits)
  both = jax.vmap(entanglement_score)(features, splits)
  for i in range(3):
    for got, want in ((by_seed[i], formula(features[i], SPLIT)),
                      (by_split[i], formula(features[0], pick(i))),
                      (both[i], formula(features[i], pick(i)))):
      np.testing.assert_allclose(got, want, rtol=1e-13)


def test_more_distance_is_less_entanglement():
  near, far = features_of(), features_of()
  far[60:80] += 5.0
  assert (entanglement_score(jnp.asarray(far), SPLIT)
          < entanglement_score(jnp.asarray(near), SPLIT) / 10)


def test_equal_means_are_infinitely_entangled():
  features = jnp.array([[-1.0], [1.0], [-2.0], [2.0]])
  split = Split(np.array([0, 1]), np.array([2, 3]))
  assert entanglement_score(features, split) == np.inf


def test_centroid_distance(float64):
  x = features_of(offset=3.0)
  want = np.sqrt(((x - x.mean(0))**2).sum(1))
  np.testing.assert_allclose(
      entanglement.centroid_distance(jnp.asarray(x)), want, rtol=1e-13)


def test_principal_plane_is_that_of_the_svd(float64):
  x = features_of() * np.array([1.0, 4.0, 0.5, 2.0, 0.1]) + 7
  centred = x - x.mean(0)
  axes = np.linalg.svd(centred)[2][:2].T
  largest = axes[np.abs(axes).argmax(0), [0, 1]]
  got = entanglement.principal_plane(jnp.asarray(x))
  np.testing.assert_allclose(
      got, centred @ (axes * np.sign(largest)), rtol=1e-10, atol=1e-10)
