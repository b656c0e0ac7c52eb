"""Ensembles from segments equal those of all models at once."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rum_jax import evaluation, memorization, records
from rum_jax.memorization import ensemble, reliability
from rum_jax.memorization.estimator import LEVELS, Seen
from rum_jax.reporting import sentences


@pytest.fixture(scope='module')
def seen() -> Seen:
  """150 simulated models, 90 training and 21 other examples."""
  rng = np.random.default_rng(0)
  inside = rng.random((150, 90)) < 0.7
  p = np.where(inside, 1, 1 - rng.beta(0.5, 1, 90))
  level = np.round(LEVELS * np.clip(p + rng.normal(0, 0.1, p.shape), 0, 1))
  return Seen(rng.random(p.shape) < p, inside, level.astype(np.uint16),
              rng.random((150, 21)) < 0.5)


def gathered(seen: Seen, cuts: list[int]) -> ensemble.Ensemble:
  gathering = ensemble.Gathering()
  for a, b in zip(cuts, cuts[1:]):
    gathering.add(ensemble.condensed(Seen(*(x[a:b] for x in seen))))
  return gathering.ensemble()


def test_segments_change_nothing(seen):
  whole, parts = gathered(seen, [0, 150]), gathered(seen, [0, 64, 128, 150])
  for a, b in zip(whole[:3], parts[:3], strict=True):
    np.testing.assert_array_equal(a, b)
  for a, b in zip(whole.sums, parts.sums, strict=True):
    np.testing.assert_array_equal(a, b)
  np.testing.assert_array_equal(
      memorization.unpack(whole.held_out, 21), seen.held_out)


def test_estimates_are_those_of_the_library(seen):
  models = gathered(seen, [0, 64, 150])
  got = ensemble.estimates(models, 90)
  want = {
      'correctness': memorization.estimate(models.correct, models.inside, 90),
      'probability': memorization.estimate_probability(
          memorization.add_up(seen.level, seen.inside))}
  for name in want:
    for a, b in zip(got[name], want[name], strict=True):
      np.testing.assert_array_equal(a, b)
  # Both estimate about the same, and the probabilities do it better.
  assert np.nanmean(got['probability'].standard_error) < 0.8 * np.nanmean(
      got['correctness'].standard_error)


def test_report_is_json_of_what_was_measured(seen):
  models = gathered(seen, [0, 64, 128, 150])
  found = reliability.report(models, 90, 10, 0.99)
  assert records.from_json(reliability.Report, json.loads(
      json.dumps(records.as_json(found)))) == found
  assert [p.models for p in found.convergence] == [50, 100, 150]
  even, odd = memorization.halves(models.correct, models.inside, 90)
  assert found.correctness.split_half.spearman == pytest.approx(
      evaluation.rank_correlation(even.score, odd.score))
  halves = [memorization.estimate_probability(memorization.add_up(
      seen.level[i::2], seen.inside[i::2])).score for i in (0, 1)]
  assert found.probability.split_half.spearman == pytest.approx(
      evaluation.rank_correlation(*halves))
  assert found.recommendation.models > 75
  lines = sentences.lines(found)
  assert len(lines) == 6 and lines[5] == found.recommendation.sentence
  assert lines[3].startswith('memorization by probability: ')


def test_fit_counts_the_models_that_are_right_about_their_own_subset(seen):
  correct = seen.correct | seen.inside
  correct[3] &= ~(seen.inside[3] & (np.cumsum(seen.inside[3]) <= 2))
  found = ensemble.fit(gathered(seen._replace(correct=correct), [0, 64, 150]))
  size = seen.inside[3].sum()
  assert found.fitted == 149 and found.models == 150
  assert found.least == pytest.approx((size - 2) / size)
  assert found.mean == pytest.approx(1 - 2 / size / 150)


def test_speed_is_of_each_device_alone():
  notes = {'seconds': 8.0, 'compile_seconds': 2.0}
  found = ensemble.speed([
      (64, {**notes, 'device': '1 × A'}), (6, {**notes, 'device': '2 × B'}),
      (16, {**notes, 'device': '1 × A'}), (5, notes)])
  assert found == {
      '1 × A': {'models': 80, 'seconds': 20.0, 'models_an_hour': 14400.0},
      '2 × B': {'models': 6, 'seconds': 10.0, 'models_an_hour': 2160.0},
      'an unrecorded device': {
          'models': 5, 'seconds': 10.0, 'models_an_hour': 1800.0}}


def test_agreement_with_scores_of_others():
  score = np.linspace(0, 1, 101)
  same = reliability.agreement(score, score**3 / 2 + score / 2, 10)
  assert same.spearman == pytest.approx(1)
  assert (same.low, same.high) == (1, 1) and same.medium < 0.5
  turned = reliability.agreement(score, 1 - score, 10)
  assert turned.spearman == pytest.approx(-1)
  assert (turned.low, turned.high) == (0, 0)
  assert turned.chance == pytest.approx(10 / 101)
  assert sentences.agreement_line('them', turned) == (
      'Spearman correlation with them: -1.000; they share 0.00 of low, '
      f'{turned.medium:.2f} of medium, 0.00 of high (chance: 0.10)')
