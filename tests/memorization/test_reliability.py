"""Agreement of two estimates: by hand, by simulation, and extrapolated."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rum_jax import evaluation, refinement
from rum_jax.memorization import reliability
from rum_jax.memorization.reliability import Recommendation, Reliability


def choose(scores, size, seed):
  return refinement.by_score(scores, size, seed=seed)


def test_spearman_brown_by_simulation():
  assert reliability.spearman_brown(0.5) == 2 / 3
  assert reliability.spearman_brown(0.0) == 0
  assert reliability.spearman_brown(-1.0) == -math.inf
  # Two wholes, of two halves each: halves correlate r, wholes 2r / (1 + r).
  # With n = 40,000 a correlation errs by at most 1/√n = 0.005; 5 of them.
  rng = np.random.default_rng(0)
  halves = rng.normal(size=40_000) + 1.5 * rng.normal(size=(4, 40_000))
  r = np.corrcoef(halves[0], halves[1])[0, 1]
  wholes = np.corrcoef(halves[:2].sum(0), halves[2:].sum(0))[0, 1]
  assert abs(reliability.spearman_brown(r) - wholes) < 0.025


def test_rank_correlation_leaves_out_what_has_no_score():
  first = np.array([1.0, 2.0, np.nan, 4.0, 9.0])
  second = np.array([0.1, 0.3, 0.0, np.nan, 0.2])
  # Ranks 1 2 3 and 1 3 2: 1 − 6·(0 + 1 + 1) / (3·8).
  np.testing.assert_allclose(
      evaluation.rank_correlation(first, second), 0.5, rtol=1e-12)


def test_rank_correlation_gives_ties_their_mean_rank():
  # Ranks 1.5 1.5 3 and 1 2.5 2.5 less 2: (0.5 − 0.25 + 0.5) / 1.5.
  np.testing.assert_allclose(evaluation.rank_correlation(
      np.array([1.0, 1, 7]), np.array([1.0, 2, 2])), 0.5, rtol=1e-12)


@pytest.mark.parametrize('first, second', [
    ([], []), ([1.0], [2.0]), ([1.0, 2.0], [np.nan, 2.0]),
    ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])])
def test_no_correlation_where_nothing_varies(first, second):
  assert math.isnan(evaluation.rank_correlation(
      np.array(first), np.array(second)))


def test_overlaps_by_hand():
  first = np.array([0.0, 0.1, 0.45, 0.55, 0.9, 1.0, 0.3, np.nan])
  second = np.array([0.0, 0.3, 0.45, 0.9, 1.0, 0.95, 0.1, 0.5])
  # Low {0 1} and {0 6}, medium {2 3} and {2 1}, high {4 5} twice.
  assert reliability.overlaps(first, second, 2, choose) == (0.5, 0.5, 1.0)
  assert np.isnan(reliability.overlaps(first, second, 3, choose)).all()

  def by_median(scores, size, seed):
    return refinement.by_score(scores, size, middle=None, seed=seed)

  # Medium is {2 3} by the distance to 0.5, {3 6} by that to the median, 0.035.
  lower = np.array([0.0, 0.01, 0.3, 0.035, 0.9, 1.0, 0.03, 0.5])
  assert reliability.overlaps(first, lower, 2, choose) == (1.0, 1.0, 1.0)
  assert reliability.overlaps(first, lower, 2, choose, by_median) == (
      1.0, 0.5, 1.0)


def test_what_ties_decide_is_chance():
  # 900 of 1,000 examples have a score of 0: two draws of 90 of them share 9
  # (hypergeometric, standard deviation 2.7; 4 of them).
  scores = np.concatenate([np.zeros(900), np.linspace(0.1, 1, 100)])
  low, _, high = reliability.overlaps(scores, scores, 90, choose)
  assert abs(90 * low - 9) < 4 * 2.7 and high == 1


def test_split_half_puts_it_together():
  first, second = np.random.default_rng(0).random((2, 60))
  got = reliability.split_half(first, second, 70, 20, choose)
  assert got.models == 70
  assert got.spearman == evaluation.rank_correlation(first, second)
  assert got.corrected == reliability.spearman_brown(got.spearman)
  assert got[3:] == reliability.overlaps(first, second, 20, choose)


def test_curve_is_of_prefixes():
  assert reliability.prefixes(500) == [50, 100, 200, 400, 500]
  assert reliability.prefixes(400) == [50, 100, 200, 400]
  assert reliability.prefixes(50) == [50] and reliability.prefixes(2) == [2]
  rng, asked = np.random.default_rng(0), []

  def halves(m):
    asked.append(m)
    return rng.random((2, 30))

  curve = reliability.convergence(halves, 120, 10, choose)
  assert asked == [p.models for p in curve] == [50, 100, 120]


@pytest.mark.parametrize('width', [0.05, 1.0, 6.0])
def test_overlap_of_a_band_is_that_of_a_simulation(width):
  # Examples uniform in [−3, 3] about the band [−1, 1], seen twice.
  rng, spread = np.random.default_rng(0), 2 / width / math.sqrt(2)
  truth = rng.uniform(-1 - 6 * spread, 1 + 6 * spread, 2_000_000)
  first, second = (np.abs(truth + spread * rng.normal(size=truth.shape)) < 1
                   for _ in range(2))
  share = (first & second).sum() / first.sum()
  # 4 standard deviations of a share of the n that the first chooses.
  assert (abs(share - reliability.band_overlap(width))
          < 4 * math.sqrt(share * (1 - share) / first.sum()))


def points(*pairs) -> list[Reliability]:
  return [Reliability(models, 0.9, 0.95, 1.0, share, 1.0)
          for models, share in pairs]


def test_the_target_that_was_measured_is_not_extrapolated():
  curve = points((50, 0.4), (100, 0.85), (200, 0.79), (400, 0.8), (800, 0.9))
  assert reliability.recommend(curve, 0.8, 100) == (200, 100, 200, True)
  assert reliability.recommend(curve, 0.3, 100) == (25, 0, 25, True)
  assert reliability.recommend(curve, 0.9, 100) == (400, 200, 400, True)


def test_an_exact_curve_is_extrapolated_exactly():
  # c = 0.05: overlaps of M/2 = 25, 50, 100 models, and of 2,000.
  law = [float(reliability.band_overlap(0.05 * math.sqrt(m)))
         for m in (25, 50, 100, 2000)]
  curve = points(*zip((50, 100, 200), law))
  size = 10**6  # Too large for the half example to matter.
  got = reliability.recommend(curve, law[-1], size)
  assert abs(got.models - 2000) < 20 and not got.measured
  # The best point's binomial error e, through `d log w / d overlap`, 4 e wide.
  width, share = 0.5, law[2]
  slope = (reliability.band_overlap(width * 1.001) - share) / 0.001
  error = math.sqrt(share * (1 - share) / size) / slope
  np.testing.assert_allclose(
      math.log(got.highest / got.lowest), 4 * 1.96 * error, rtol=0.05)


def test_a_recommendation_holds_for_simulated_scores():
  # 20,000 scores, many near 0 and 1; the target is found by measuring at the
  # ends of the range that is extrapolated from at most 200 models a half.
  rng, size = np.random.default_rng(0), 1200
  truth = rng.beta(0.35, 0.8, 20_000)

  def halves(m):
    out = []
    for _ in range(2):
      absent = np.maximum(rng.binomial(m // 2, 0.3, truth.shape), 1)
      out.append(1 - rng.binomial(absent, 1 - truth) / absent)
    return out

  curve = reliability.convergence(halves, 400, size, choose)
  got = reliability.recommend(curve, 0.8, size)
  assert not got.measured and got.lowest > 5 * 200
  below, above = (
      reliability.overlaps(*halves(2 * m), size, choose)[1]
      for m in (got.lowest, got.highest))
  assert below < 0.8 < above


def test_nothing_to_extrapolate_from():
  nothing = reliability.recommend(points((2, math.nan)), 0.8, 10)
  assert math.isnan(nothing.models) and nothing.highest == math.inf
  # No example in common is not zero but below half an example.
  some = reliability.recommend(points((50, 0.0)), 0.8, 10)
  assert 25 < some.lowest < some.models < some.highest < math.inf


@pytest.mark.parametrize('target', [0.0, 1.0, 1.5])
def test_a_target_is_a_share(target):
  with pytest.raises(ValueError, match=rf'target={target} in \(0, 1\)'):
    reliability.recommend(points((50, 0.5)), target, 10)


@pytest.mark.parametrize('found, words', [
    (Recommendation(200, 100, 200, True),
     'share 80% of their medium groups, 200 models in each are enough, as '
     'measured (and 100 are not).'),
    (Recommendation(25, 0, 25, True), 'enough, as measured.'),
    (Recommendation(900, 500, 2000, False),
     'about 900 models in each may be needed (500 to 2000), extrapolated.'),
    (Recommendation(math.nan, 0, math.inf, False), 'more models are needed')])
def test_a_recommendation_in_words(found, words):
  assert words in reliability.sentence(found, 0.8)


def test_groups_of_halves_that_agree_share_all_and_noise_shares_little():
  rng = np.random.default_rng(0)
  score = np.concatenate([np.zeros(500), rng.random(500)])
  assert reliability.group_overlaps(score, score, 40) == (1.0, 1.0, 1.0)
  # Equal scores are exchangeable; a small error moves the narrow band most.
  noisy = np.where(score > 0, score + rng.normal(0, 0.02, 1000), 0)
  low, medium, high = reliability.group_overlaps(score, noisy, 40)
  assert 0.9 < low and 0.5 < medium < 1 and 0.5 < high < 1
  # Nothing but noise: as random groups, 0.04 ± 4 √(0.04 · 0.96 / 80).
  pair = rng.random((2, 1000))
  assert max(reliability.group_overlaps(*pair, 40)) < 0.13
  assert np.isnan(reliability.group_overlaps(*pair[:, :9], 40)).all()
