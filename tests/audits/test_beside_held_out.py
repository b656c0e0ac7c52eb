"""AUC and TPR against loops, and intervals against what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics

from rum_jax import audits
from rum_jax.audits import _beside_held_out as beside
from rum_jax.audits import _intervals


def losses_of(seed, models=1, forget=30, held_out=60, shift=0.0):
  rng = np.random.default_rng(seed)
  phi = lambda n, extra: rng.normal(size=(models, n)) + extra
  loss = lambda x: np.logaddexp(0, -x).astype(np.float32)
  return loss(phi(forget, shift)), loss(phi(held_out, 0.0))


def test_auc_is_that_of_scikit_learn_with_weights_and_ties():
  rng = np.random.default_rng(0)
  forget, held_out = (rng.integers(0, 9, n).astype(np.float32)[None]
                      for n in (20, 50))
  weight = rng.random(50)
  got = audits.beside_held_out(forget, held_out, weight=weight).auc.mean
  want = metrics.roc_auc_score(
      np.repeat([1, 0], (20, 50)), -np.concatenate([forget[0], held_out[0]]),
      sample_weight=np.concatenate([np.ones(20), weight]))
  assert math.isclose(got, want, abs_tol=1e-5)


def test_tpr_is_the_best_that_the_realised_fpr_allows():
  forget, held_out = losses_of(1, held_out=200, shift=1.0)
  attack = audits.beside_held_out(forget, held_out)
  for rate, above in zip(attack.rates, (2, 0), strict=True):
    threshold = np.sort(held_out[0])[above]
    assert rate.tpr.mean == pytest.approx((forget < threshold).mean())
    assert rate.fpr == pytest.approx(above / 200)
    assert rate.resolved == (above > 0)
    assert rate.tpr.low < rate.tpr.mean < rate.tpr.high


def test_loss_that_rounds_to_confidence_one_is_still_ranked():
  attack = audits.beside_held_out([[1e-12, 1e-11]], [[1e-10, 1e-9]])
  assert attack.auc.mean == 1


@pytest.mark.parametrize('models', [1, 3])
def test_a_diverged_model_is_left_out(models):
  forget, held_out = losses_of(2, models=models + 1)
  forget[0, 0] = np.nan
  got = audits.beside_held_out(forget, held_out)
  want = audits.beside_held_out(forget[1:], held_out[1:])
  assert math.isnan(got.auc.values[0])
  assert got.auc.mean == want.auc.mean and got.auc.low == want.auc.low
  assert got.rates[0].tpr.mean == want.rates[0].tpr.mean


def test_where_all_models_diverged_every_figure_is_nan():
  forget, held_out = losses_of(2)
  attack = audits.beside_held_out(forget * np.nan, held_out)
  assert math.isnan(attack.auc.mean) and math.isnan(attack.auc.low)
  assert math.isnan(attack.rates[0].tpr.mean)
  assert attack.power.auc == 0.5 and math.isnan(attack.power.sigma)


def test_the_interval_covers_one_half_where_nothing_is_known():
  trials = 400
  missed = 0
  for seed in range(trials):
    forget, held_out = losses_of(seed)
    share = np.full(60, 1 / 60)
    mine, theirs = beside.placements(forget, held_out, share)
    auc = _intervals.measured(
        mine.mean(axis=1), beside.auc_terms(mine, theirs, share))
    missed += not auc.low <= 0.5 <= auc.high
  # 5 % are to be missed; 4 standard deviations of 400 trials above that.
  assert missed / trials < 0.05 + 4 * math.sqrt(0.05 * 0.95 / trials)


def test_the_stated_shift_is_shown_in_80_percent_of_cases():
  trials, share = 400, np.full(60, 1 / 60)
  shift = beside.power(30, share, _intervals.Term(0.0, 1.0))
  shown = 0
  for seed in range(trials):
    mine, theirs = beside.placements(
        *losses_of(seed, shift=shift.sigma), share)
    auc = _intervals.measured(
        mine.mean(axis=1), beside.auc_terms(mine, theirs, share))
    shown += auc.low > 0.5
  assert abs(shown / trials - 0.8) < 4 * math.sqrt(0.8 * 0.2 / trials)


def test_three_rows_have_a_wide_interval_and_one_row_shows_nothing():
  held_out = np.linspace(1, 2, 100)[None]
  three = audits.beside_held_out(np.zeros((1, 3)), held_out).auc
  one = audits.beside_held_out(np.zeros((1, 1)), held_out).auc
  assert three.mean == one.mean == 1
  assert three.high - three.low > 0.4 and one.low < 0.5


def test_the_interval_is_wider_where_models_differ():
  forget, held_out = losses_of(3, models=1)
  four = lambda x: np.repeat(x, 4, axis=0)
  same = audits.beside_held_out(four(forget), four(held_out)).auc
  apart = np.repeat([[-2.0], [-1.0], [1.0], [2.0]], 30, axis=1)
  other = audits.beside_held_out(
      four(forget) * np.exp(apart), four(held_out)).auc
  assert other.high - other.low > same.high - same.low
  assert same.ci95 == 0


def test_each_model_is_judged_alone():
  forget, held_out = losses_of(4, models=5)
  whole = audits.beside_held_out(forget, held_out)
  for s in range(5):
    one = audits.beside_held_out(forget[s], held_out[s])  # [F] and [H].
    assert one.auc.mean == whole.auc.values[s]
    for rate, of_all in zip(one.rates, whole.rates, strict=True):
      assert rate.tpr.mean == of_all.tpr.values[s]


@pytest.mark.parametrize('forget,held_out,weight,named', [
    (np.ones((2, 3)), np.ones((1, 4)), None, '2'),
    (np.ones((1, 0)), np.ones((1, 4)), None, 'forget_loss'),
    (np.ones((1, 3)), np.ones((1, 0)), None, 'held_out_loss'),
    (np.ones((1, 3)), np.ones((1, 4)), np.zeros(4), 'weight'),
    (np.ones((1, 3)), np.ones((1, 4)), np.ones(5), '(5,)')])
def test_what_does_not_fit_is_refused(forget, held_out, weight, named):
  with pytest.raises(ValueError) as error:
    audits.beside_held_out(forget, held_out, weight=weight)
  assert named in str(error.value)


def test_difference_of_the_same_models_is_zero_but_not_certain():
  losses = losses_of(5, models=2)
  gap = audits.auc_difference(losses, losses)
  assert gap.mean == pytest.approx(0, abs=1e-12) and gap.low < 0 < gap.high
