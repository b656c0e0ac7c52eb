"""Influence against a double loop, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest

from rum_jax import memorization
from rum_jax.memorization import influence
from rum_jax.memorization.estimator import pack


@pytest.fixture(scope='module')
def models():
  """90 models, 21 training and 18 test examples, some in pairs."""
  rng = np.random.default_rng(0)
  inside = rng.random((90, 21)) < 0.7
  correct = rng.random((90, 18)) < 0.5
  correct[:, :6] = (rng.random((90, 6)) < np.where(inside[:, :6], 0.9, 0.3))
  inside[:, 20] = True  # Never out.
  return correct, inside, rng.random(21)


def naive(correct, inside, score, low, threshold):
  """`(train, test, influence, standard error)` one pair after the other."""
  found = []
  for i in range(inside.shape[1]):
    for j in range(correct.shape[1]):
      p, q = (correct[inside[:, i] == side, j] for side in (True, False))
      if not (len(p) and len(q)) or score[i] < low:
        continue
      p, q = p.astype(float), q.astype(float)
      if p.mean() - q.mean() >= threshold:
        error = np.sqrt(p.var(ddof=1) / len(p) + q.var(ddof=1) / len(q))
        found.append((i, j, p.mean() - q.mean(), error))
  return sorted(found, key=lambda x: (-x[2], x[0], x[1]))


@pytest.mark.parametrize('block', [1, 7, 64, 1024])
def test_pairs_are_a_double_loop(models, block):
  correct, inside, score = models
  want = naive(correct, inside, score, 0.25, 0.15)
  got = influence.pairs(pack(correct), pack(inside), score, 18,
                        block=block)
  assert got.total == len(want) > 20
  for a, b in zip(got[:4], zip(*want), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize('block', [3, 1024])
def test_only_the_highest_are_kept_and_ties_go_by_row_and_column(block):
  inside = np.tile(np.array([[1, 0], [0, 1]], bool), (5, 1))  # Two examples.
  correct = np.repeat(inside[:, :1], 4, axis=1)  # All follow the first.
  correct[0, 3] = False
  got = influence.pairs(
      pack(correct), pack(inside), np.ones(2), 4, keep=3, block=block)
  assert got.total == 4
  assert list(zip(got.train, got.test, got.influence)) == [
      (0, 0, 1.0), (0, 1, 1.0), (0, 2, 1.0)]


def test_little_memorized_and_unknown_examples_are_left_out(models):
  correct, inside, score = models
  score = score.copy()
  score[:4], score[4] = 0.2499, np.nan
  got = influence.pairs(pack(correct), pack(inside), score, 18)
  assert not np.isin(got.train, range(5)).any() and (got.train == 5).any()


def test_influence_on_itself_is_memorization(models):
  _, inside, _ = models
  rng = np.random.default_rng(1)
  correct = rng.random(inside.shape) < np.where(inside, 0.9, 0.4)
  estimated = memorization.estimate(pack(correct), pack(inside), 21)
  got = influence.pairs(
      pack(correct), pack(inside), np.ones(21), 21, min_influence=-1.0)
  own = got.train == got.test
  order = np.argsort(got.train[own])
  for found, wanted in ((got.influence, estimated.score),
                        (got.standard_error, estimated.standard_error)):
    np.testing.assert_allclose(found[own][order], wanted[:20], rtol=1e-12)


def test_mismatched_models_show_what_chance_does():
  # Without influence the 200 · 50 pairs differ by a normal of variance
  # 1/4 (1/210 + 1/90): P(≥ 0.15) = 0.0086, of which the mismatched models find
  # as many. The counts share rows and columns; 4 standard deviations of a
  # binomial are 37, and twice that covers what sharing adds.
  rng = np.random.default_rng(0)
  inside = pack(rng.random((300, 200)) < 0.7)
  correct = pack(rng.random((300, 50)) < 0.5)
  for bits in (inside, influence.mismatched(inside)):
    got = influence.pairs(correct, bits, np.ones(200), 50)
    assert abs(got.total - 10_000 * 0.0086) < 74
  # Where there is influence, mismatched models lose it.
  mine = influence.pairs(inside, inside, np.ones(200), 200,
                         min_influence=0.9)
  other = influence.pairs(inside, influence.mismatched(inside),
                          np.ones(200), 200, min_influence=0.9)
  assert (mine.total, other.total) == (200, 0)


@pytest.mark.parametrize('correct, inside', [
    ((90, 3), (89, 3)), ((90, 2), (90, 3)), ((90, 3), (90, 2))])
def test_bits_that_do_not_fit_are_refused(correct, inside):
  with pytest.raises(ValueError) as error:
    influence.pairs(np.zeros(correct, np.uint8),
                    np.zeros(inside, np.uint8), np.ones(21), 18)
  for text in ('[M, 3] for num_test=18', '[M, 3] for 21 scores', str(correct),
               str(inside)):
    assert text in str(error.value)


@pytest.mark.parametrize('name', ['block', 'keep'])
def test_counts_are_positive(models, name):
  correct, inside, score = models
  with pytest.raises(ValueError, match=f'{name}=0 to be at least 1'):
    influence.pairs(pack(correct), pack(inside), score, 18, **{name: 0})
