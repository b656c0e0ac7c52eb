"""Entanglement against its formula in NumPy, in double precision."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import entanglement
from rum_jax.entanglement.score import entanglement_score, entanglement_scores
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


@pytest.mark.parametrize('midpoint', [False, True])
def test_double_precision_is_the_formula_for_every_seed(midpoint):
  features = np.stack([features_of(seed).astype(np.float32)
                       for seed in range(3)])
  got = entanglement.double_precision_scores(
      features, SPLIT, midpoint=midpoint)
  want = [formula(x, SPLIT, midpoint) for x in features]
  np.testing.assert_allclose(got, want, rtol=1e-12)
  compiled = [entanglement_score(x, SPLIT, midpoint=midpoint)
              for x in features]
  np.testing.assert_allclose(got, compiled, rtol=1e-5)
  same = np.ones((1, 4, 2), np.float32)  # The means coincide.
  with np.errstate(invalid='ignore'):
    assert not np.isfinite(entanglement.double_precision_scores(
        same, Split(np.array([0]), np.array([1, 2])))).any()


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


  # Padding puts the second candidate, of one example, beside one of two.
  scores = entanglement_scores(
      features, np.array([[0, 1], [2, 2]]), weight=np.array([[1, 1], [1, 0]]))
  assert scores[0] == np.inf and np.isfinite(scores[1])


CANDIDATES = np.stack([np.arange(60, 80), np.arange(5, 25), np.arange(20),
                       np.arange(99, 79, -1)])
SOME = np.concatenate([np.arange(70), np.arange(90, 95)])
BATCHED = {False: entanglement_scores, True: entanglement.midpoint_scores}


def loop(features, candidates, retain, midpoint) -> np.ndarray:
  """What the batch should give: one candidate after the other, in float64."""
  rows = np.arange(len(features)) if retain is None else retain
  return np.array([
      formula(features, Split(c, np.setdiff1d(rows, c)), midpoint)
      for c in candidates])


@pytest.mark.parametrize('midpoint', [False, True])
@pytest.mark.parametrize('retain', [None, SOME])
def test_many_candidates_are_each_the_formula(float64, midpoint, retain):
  features = features_of(offset=10.0)
  got = BATCHED[midpoint](jnp.asarray(features), CANDIDATES, retain)
  np.testing.assert_allclose(
      got, loop(features, CANDIDATES, retain, midpoint), rtol=1e-12)


def test_candidates_of_other_sizes_are_padded(float64):
  features = features_of()
  sizes = [20, 1, 7, 13]
  weight = np.arange(20) < np.array(sizes)[:, None]
  padded = np.where(weight, CANDIDATES, 0)  # Row 0 many times, never counted.
  ragged = [c[:n] for c, n in zip(CANDIDATES, sizes)]
  got = entanglement_scores(jnp.asarray(features), padded, weight=weight)
  np.testing.assert_allclose(
      got, loop(features, ragged, None, False), rtol=1e-12)


@pytest.mark.parametrize('offset', [1e3, 1e4, -3e4])
@pytest.mark.parametrize('retain', [None, SOME])
def test_an_offset_costs_many_candidates_no_precision(offset, retain):
  # On the very same stored numbers, whose spread is 0.05 and so 12 units in the
  # last place of 30,000. A mean of 100 numbers is off by 100 · 2⁻²⁴ of their
  # spread, so ‖μ_R − μ_F‖ by √ES times that.
  rng = np.random.default_rng(3)
  features = rng.normal(offset, 0.05, (100, 5)).astype(np.float32)
  want = loop(features, CANDIDATES, retain, False)
  got = np.asarray(entanglement_scores(
      jnp.asarray(features), CANDIDATES, retain))
  assert got.dtype == np.float32
  assert (np.abs(got / want - 1) < 100 * 2.0**-24 * (1 + np.sqrt(want))).all()


def test_tight_sets_far_apart_keep_the_digits_that_are_promised():
  rng = np.random.default_rng(4)
  features = rng.normal(0, 1, (100, 5)).astype(np.float32)
  features[CANDIDATES[0]] += 100
  want = formula(features, Split(CANDIDATES[0], np.setdiff1d(
      np.arange(100), CANDIDATES[0])))
  (got,) = entanglement_scores(jnp.asarray(features), CANDIDATES[:1])
  assert want < 1e-3
  np.testing.assert_allclose(got, want, rtol=1e-6 * (1 + 1 / want))


def test_batches_over_seeds_and_under_jit_and_vmap(float64):
  features = jnp.stack([jnp.asarray(features_of(s)) for s in range(6)])
  want = np.stack([loop(x, CANDIDATES, None, False)
                   for x in np.asarray(features)])
  nested = features.reshape(2, 3, 100, 5)
  for got in (entanglement_scores(features, CANDIDATES),
              entanglement_scores(nested, CANDIDATES).reshape(6, -1),
              jax.jit(entanglement_scores)(features, CANDIDATES),
              jax.vmap(entanglement_scores, in_axes=(0, None))(
                  features, jnp.asarray(CANDIDATES))):
    np.testing.assert_allclose(got, want, rtol=1e-12)
  own = jnp.stack([jnp.asarray(CANDIDATES + 0) if s % 2 else
                   jnp.asarray(CANDIDATES[::-1] + 0) for s in range(6)])
  got = jax.vmap(entanglement_scores)(features, own)
  np.testing.assert_allclose(got[0], want[0, ::-1], rtol=1e-12)
  np.testing.assert_allclose(got[1], want[1], rtol=1e-12)


def test_nothing_to_retain_is_nan():
  score = entanglement_scores(jnp.eye(4), np.array([[0, 1]]), np.array([1]))
  assert np.isnan(score).all()


def orthogonal(rng, size: int) -> np.ndarray:
  return np.linalg.qr(rng.normal(size=(size, size)))[0]


@hypothesis.given(st.integers(0, 2**31), st.floats(1e-3, 1e3),
                  st.floats(-1e3, 1e3))
@hypothesis.settings(max_examples=20)
def test_turning_moving_and_scaling_the_features_changes_nothing(
    seed, scale, shift):
  rng = np.random.default_rng(seed)
  with jax.enable_x64(True):
    x = rng.normal(size=(100, 5))
    moved = scale * x @ orthogonal(rng, 5) + shift * rng.normal(size=5)
    before, after = (entanglement_scores(jnp.asarray(f), CANDIDATES)
                     for f in (x, moved))
    one = entanglement_score(jnp.asarray(moved), SPLIT)
  # At worst 1e3 is added to numbers of 1e-3: six digits of sixteen are lost.
  np.testing.assert_allclose(after, before, rtol=1e-7)
  np.testing.assert_allclose(
      one, formula(x, SPLIT), rtol=1e-7)


@pytest.mark.parametrize('forget, retain, weight, message', [
    ([1, 2], None, None, r'forget of shape \[G, F\], found \(2,\)'),
    (np.zeros((2, 0), int), None, None, r'found \(2, 0\)'),
    ([[1, 2]], None, [1, 0], r'weight \(2,\) to have .* forget \(1, 2\)'),
    ([[1.0, 2.0]], None, None, 'whole numbers, found float64 in forget'),
    ([[1, 2]], [True], None, 'whole numbers, found bool in retain'),
    ([[1, 9]], None, None, r'rows in \[0, 9\), found 1..9 in forget'),
    ([[1, 2]], [-1, 3], None, r'rows in \[0, 9\), found -1..3 in retain'),
    ([[0, 1], [4, 4]], None, None, 'found row 4 in number 1'),
    ([[3, 3, 3]], None, [[1, 1, 0]], 'found row 3 in number 0')])
def test_many_candidates_refuse(forget, retain, weight, message):
  features = jnp.zeros((9, 2))
  arrays = [None if x is None else np.array(x)
            for x in (forget, retain, weight)]
  for function in BATCHED.values():
    with pytest.raises(ValueError, match=message):
      function(features, *arrays)


def test_centroid_distance(float64):
  x = features_of(offset=3.0)
  want = np.sqrt(((x - x.mean(0))**2).sum(1))
  np.testing.assert_allclose(
      entanglement.centroid_distance(jnp.asarray(x)), want, rtol=1e-13)
  both = entanglement.centroid_distance(jnp.asarray([x, 2 * x]))
  np.testing.assert_allclose(both, [want, 2 * want], rtol=1e-13)


def test_principal_plane_is_that_of_the_svd(float64):
  x = features_of() * np.array([1.0, 4.0, 0.5, 2.0, 0.1]) + 7
  centred = x - x.mean(0)
  axes = np.linalg.svd(centred)[2][:2].T
  largest = axes[np.abs(axes).argmax(0), [0, 1]]
  got = entanglement.principal_plane(jnp.asarray(x))
  np.testing.assert_allclose(
      got, centred @ (axes * np.sign(largest)), rtol=1e-10, atol=1e-10)
