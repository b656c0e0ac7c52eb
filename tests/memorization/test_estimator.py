"""The estimators against a double loop, simulation and brute force."""

from __future__ import annotations

import itertools

import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import memorization
from rum_jax.memorization.estimator import LEVELS, Memorization, pack, Seen
from rum_jax.memorization.estimator import Sums
from rum_jax.types import Images


def estimate(correct, inside, **options) -> Memorization:
  return memorization.estimate(
      pack(correct), pack(inside), np.shape(correct)[1], **options)


def naive(correct: np.ndarray, inside: np.ndarray) -> Memorization:
  """One example and one model after another."""
  rows = []
  for i in range(correct.shape[1]):
    groups = {True: [], False: []}
    for m in range(len(correct)):
      groups[bool(inside[m, i])].append(float(correct[m, i]))
    means, variances = [], []
    for group in (groups[True], groups[False]):
      means.append(np.mean(group) if group else np.nan)
      # The variance of a mean of n is that of one, with n − 1, over n.
      variances.append(
          np.var(group, ddof=1) / len(group) if len(group) > 1 else np.nan)
    rows.append((means[0] - means[1], np.sqrt(sum(variances)),
                 len(groups[True]), len(groups[False])))
  return Memorization(*map(np.array, zip(*rows, strict=True)))


@pytest.mark.parametrize('block', [1, 7, 64])
def test_estimate_is_a_double_loop(block):
  rng = np.random.default_rng(0)
  correct, inside = rng.random((37, 13)) < 0.6, rng.random((37, 13)) < 0.7
  inside[:, 0], inside[:, 1] = True, False  # Never out; never in.
  inside[:, 2], inside[:, 3] = np.arange(37) > 0, np.arange(37) < 1
  got, want = estimate(correct, inside, block=block), naive(correct, inside)
  for a, b in zip(got, want, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)
  assert np.isnan(got.score[:2]).all() and not np.isnan(got.score[2:]).any()
  assert np.isnan(got.standard_error[:4]).all()
  assert not np.isnan(got.standard_error[4:]).any()
  assert got.models_out.tolist()[:4] == [0, 37, 1, 36]


def test_no_models_give_no_score():
  nothing = estimate(np.zeros((0, 5), bool), np.zeros((0, 5), bool))
  assert np.isnan(nothing.score).all() and (nothing.models_in == 0).all()


def test_simulated_models_give_back_their_probabilities():
  # 4,000 examples whose probabilities of being right are known, 600 models on
  # 70 % of them each: bits independent given who is in.
  examples, models = 4000, 600
  rng = np.random.default_rng(1)
  p, q = rng.uniform(0.3, 0.7, (2, examples))
  subsets = jax.vmap(lambda k: memorization.random_subset(k, examples, 0.7))(
      jax.random.split(jax.random.key(1), models))
  inside = np.asarray(jax.vmap(
      lambda s: memorization.membership(s, examples))(subsets))
  correct = rng.random((models, examples)) < np.where(inside, p, q)
  got = estimate(correct, inside)
  error = got.score - (p - q)
  variance = p * (1 - p) / got.models_in + q * (1 - q) / got.models_out
  # Unbiased: the mean error of n = 4,000 is normal; |z| < 3.9 at 1e-4.
  assert abs(error.sum() / np.sqrt(variance.sum())) < 3.9
  # Nominal: ±1.96 standard errors hold the truth 95 % of the time, but for
  # 3.9 standard errors √(0.95·0.05/n) = 0.0034 of a share, and 1/180 since
  # the bits of the 180 models out are normal to that order only.
  covered = (np.abs(error) < 1.96 * got.standard_error).mean()
  assert abs(covered - 0.95) < 3.9 * 0.0034 + 1 / 180


def nearest_neighbour(points, labels, subset) -> np.ndarray:
  """Predictions for all points of a learner that is deterministic."""
  distance = np.abs(points[:, None] - points[None, subset])
  return labels[subset][distance.argmin(1)]


POINTS = np.array([0.0, 1.0, 2.1, 7.0, 8.2, 9.7, 3.5])
LABELS = np.array([0, 0, 1, 1, 1, 0, 0])


def bits(subsets) -> tuple[np.ndarray, np.ndarray]:
  inside = np.zeros((len(subsets), len(POINTS)), bool)
  for row, subset in zip(inside, subsets, strict=True):
    row[subset] = True
  right = [nearest_neighbour(POINTS, LABELS, s) == LABELS for s in subsets]
  return np.array(right), inside


def test_leaving_one_out_is_brute_force():
  everyone = np.arange(len(POINTS))
  got = estimate(*bits([np.delete(everyone, i) for i in everyone]))
  want = [
      int((nearest_neighbour(POINTS, LABELS, everyone) == LABELS)[i])
      - int((nearest_neighbour(POINTS, LABELS, np.delete(everyone, i))
             == LABELS)[i]) for i in everyone]
  assert set(want) == {0, 1}
  np.testing.assert_array_equal(got.score, want)
  assert np.isnan(got.standard_error).all()


def test_all_subsets_give_the_exact_difference_of_probabilities():
  subsets = [np.array(s) for s in itertools.combinations(range(7), 5)]
  got = estimate(*bits(subsets))
  for i in range(7):
    right = {True: [], False: []}
    for subset in subsets:
      hit = nearest_neighbour(POINTS, LABELS, subset)[i] == LABELS[i]
      right[i in subset].append(hit)
    np.testing.assert_allclose(
        got.score[i], np.mean(right[True]) - np.mean(right[False]), rtol=1e-14)
  assert (got.models_in == 15).all() and (got.models_out == 6).all()


def test_probabilities_are_a_double_loop():
  rng = np.random.default_rng(0)
  level = rng.integers(0, LEVELS + 1, (37, 13))
  inside = rng.random((37, 13)) < 0.7
  inside[:, 0], inside[:, 1] = True, False
  inside[:, 2] = np.arange(37) > 0
  got = memorization.estimate_probability(memorization.add_up(level, inside))
  want = naive(level / LEVELS, inside)
  for a, b in zip(got, want, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_sums_are_exact_however_the_models_are_cut():
  rng = np.random.default_rng(0)
  level = rng.integers(0, LEVELS + 1, (256, 6))
  level[:, 0] = LEVELS  # The most that a sum can hold.
  inside = rng.random((256, 6)) < 0.7
  whole = memorization.add_up(level, inside)
  assert whole.second.dtype == np.uint32
  assert int(whole.second[:, 0].sum(dtype=np.int64)) == 256 * LEVELS**2
  parts = [memorization.add_up(level[a:b], inside[a:b])
           for a, b in ((200, 256), (0, 3), (3, 200))]
  for a, b in zip(memorization.join(parts), whole, strict=True):
    np.testing.assert_array_equal(a, b)
  pair = Sums(*(np.stack(x) for x in zip(parts[0], parts[1])))
  for a, b in zip(memorization.estimate_probability(pair),
                  memorization.estimate_probability(
                      memorization.join(parts[:2])), strict=True):
    np.testing.assert_array_equal(a, b)


def test_more_models_than_a_sum_can_hold_are_refused():
  with pytest.raises(ValueError, match=r'models=257 in \[0, 256\]'):
    memorization.add_up(np.zeros((257, 1)), np.zeros((257, 1), bool))


def test_simulated_probabilities_give_back_their_means():
  # As above, with probabilities Beta(3, 2) of models in, Beta(2, 3) out.
  examples, models = 4000, 600
  rng = np.random.default_rng(3)
  inside = rng.random((models, examples)) < 0.7
  p = np.where(inside, rng.beta(3, 2, inside.shape),
               rng.beta(2, 3, inside.shape))
  parts = [memorization.add_up(np.round(p[a:a + 256] * LEVELS),
                               inside[a:a + 256])
           for a in range(0, models, 256)]
  got = memorization.estimate_probability(memorization.join(parts))
  error = got.score - (3 / 5 - 2 / 5)
  variance = (1 / 25) * (1 / got.models_in + 1 / got.models_out)
  # Rounding to levels errs by 1 / (2 · LEVELS) at most, and by far less in the
  # mean; n = 4,000, |z| < 3.9 at 1e-4.
  assert abs(error.sum() / np.sqrt(variance.sum())) < 3.9
  covered = (np.abs(error) < 1.96 * got.standard_error).mean()
  assert abs(covered - 0.95) < 3.9 * 0.0034 + 1 / 180


def nearest_mean(subset) -> tuple[np.ndarray, np.ndarray]:
  """Correctness and probability of a nearest-class-mean classifier."""
  means = np.array([POINTS[subset][LABELS[subset] == k].mean()
                    for k in (0, 1)])
  logits = -(POINTS[:, None] - means)**2
  p = np.exp(logits - logits.max(1, keepdims=True))
  p = (p / p.sum(1, keepdims=True))[np.arange(len(POINTS)), LABELS]
  return logits.argmax(1) == LABELS, p


def test_sampled_subsets_agree_with_all_subsets_enumerated():
  # 3 of class 1 and 4 of class 0: no subset of 5 of the 7 lacks a class.
  subsets = [np.array(s) for s in itertools.combinations(range(7), 5)]
  inside = np.array([np.isin(range(7), s) for s in subsets])
  right, p = map(np.array, zip(*map(nearest_mean, subsets)))
  exact = [naive(x, inside).score for x in (right, p)]
  assert exact[0].max() > 0.25 and exact[0].min() < 0

  keys = jax.random.split(jax.random.key(0), 3000)
  drawn = np.asarray(jax.vmap(
      lambda k: memorization.random_subset(k, 7, 5 / 7))(keys))
  place = {tuple(s): i for i, s in enumerate(subsets)}
  which = np.array([place[tuple(s)] for s in drawn])
  parts = [memorization.add_up(np.round(p[w] * LEVELS), inside[w])
           for w in np.array_split(which, 12)]
  got = (estimate(right[which], inside[which]),
         memorization.estimate_probability(memorization.join(parts)))
  # 14 comparisons at 1e-4 together: |z| < 4.5; levels err by 1 / LEVELS.
  for found, truth in zip(got, exact):
    assert (np.abs(found.score - truth)
            <= 4.5 * found.standard_error + 1 / LEVELS).all()


def test_a_model_of_a_subset_says_what_it_saw(linear, float64):
  model, variables = linear
  image = np.random.default_rng(0).integers(0, 256, (9, 2, 1, 1), np.uint8)
  data = Images(jnp.asarray(image), jnp.asarray([0, 1, 1, 0, 1, 0, 0, 1, 1]))
  subset = jnp.asarray([0, 3, 4])
  seen = memorization.seen(model, 6, variables, subset, data)
  logits = model.apply(variables, data, train=False)[0].prediction
  p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
  right = np.argmax(logits, 1) == data.label
  for found, wanted in zip(seen, Seen(
      right[:6], np.isin(range(6), subset),
      np.round(p[np.arange(6), data.label[:6]] * 4095), right[6:])):
    np.testing.assert_array_equal(found, wanted)
  assert seen.level.dtype == np.uint16


def test_a_model_that_diverged_is_right_about_nobody(linear):
  model, variables = linear
  broken = jax.tree.map(lambda x: x * jnp.nan, variables)
  data = Images(jnp.zeros((5, 2, 1, 1), jnp.uint8), jnp.zeros(5, int))
  seen = memorization.seen(model, 3, broken, jnp.asarray([1]), data)
  assert not seen.correct.any() and not seen.held_out.any()
  assert not seen.level.any()


def test_a_score_of_a_loss_that_is_not_finite_does_not_count(linear):
  """A task of somebody's own may give a score to what diverged."""
  model, variables = linear
  careless = model._replace(task=model.task._replace(
      score=lambda outputs, examples: jnp.ones(len(examples.label))))
  data = Images(jnp.zeros((5, 2, 1, 1), jnp.uint8), jnp.zeros(5, int))
  rows = jnp.asarray([1])
  assert memorization.seen(careless, 3, variables, rows, data).correct.all()
  broken = jax.tree.map(lambda x: x * jnp.nan, variables)
  seen = memorization.seen(careless, 3, broken, rows, data)
  assert not seen.correct.any() and not seen.held_out.any()


@hypothesis.given(st.integers(0, 5), st.integers(1, 20), st.integers(0, 99))
def test_unpack_undoes_pack(models, examples, seed):
  some = np.random.default_rng(seed).random((models, examples)) < 0.5
  packed = pack(some)
  assert packed.shape == (models, -(-examples // 8))
  assert packed.dtype == np.uint8
  np.testing.assert_array_equal(memorization.unpack(packed, examples), some)


@pytest.mark.parametrize('examples, fraction, size', [
    (1437, 0.7, 1006), (3, 0.5, 2), (2, 0.5, 1)])
def test_a_subset_is_sorted_distinct_and_of_the_size_asked(
    examples, fraction, size):
  subset = np.asarray(
      memorization.random_subset(jax.random.key(0), examples, fraction))
  assert subset.dtype == np.int32 and subset.shape == (size,)
  assert (np.diff(subset) > 0).all()
  assert subset[0] >= 0 and subset[-1] < examples
  member = memorization.membership(subset, examples)
  np.testing.assert_array_equal(np.flatnonzero(member), subset)
  assert member.shape == (examples,) and member.dtype == bool


def test_all_subsets_are_equally_likely():
  # Chi-square of the 20 subsets of 3 of 6 over 20,000 keys, at 1e-4: 54.3 is
  # about the 0.9999 quantile of 19 degrees of freedom.
  keys = jax.random.split(jax.random.key(0), 20_000)
  subsets = jax.vmap(lambda k: memorization.random_subset(k, 6, 0.5))(keys)
  counts = np.unique(subsets @ np.array([36, 6, 1]), return_counts=True)[1]
  assert len(counts) == 20
  assert ((counts - 1000)**2 / 1000).sum() < 54.3


@pytest.mark.parametrize('fraction, message', [
    (0.0, 'fraction=0.0 of num_examples=10 .* found 0'),
    (1.0, 'fraction=1.0 of num_examples=10 .* found 10'),
    (0.01, 'found 0'), (0.99, 'found 10'),
    (1.2, r'Expected fraction=1.2 in \[0, 1\]'),
    (-0.1, r'Expected fraction=-0.1 in \[0, 1\]')])
def test_a_subset_is_neither_nothing_nor_everything(fraction, message):
  with pytest.raises(ValueError, match=message):
    memorization.random_subset(jax.random.key(0), 10, fraction)


@pytest.mark.parametrize('block', [0, 256])
def test_a_block_is_as_long_as_a_byte_counts(block):
  with pytest.raises(ValueError, match=rf'block={block} in \[1, 255\]'):
    estimate(np.zeros((3, 5), bool), np.zeros((3, 5), bool), block=block)


def test_a_block_of_ones_does_not_overflow():
  ones = np.ones((600, 9), bool)
  np.testing.assert_array_equal(estimate(ones, ones, block=255).models_in, 600)
  sums = memorization.tally(pack(ones), pack(ones), 9, 255)
  np.testing.assert_array_equal(sums.first, [[0] * 9, [600] * 9])


@pytest.mark.parametrize('correct, inside', [
    ((3, 2), (4, 2)), ((3, 1), (3, 1)), ((3, 2), (3, 1))])
def test_bits_that_do_not_fit_are_refused(correct, inside):
  arrays = np.zeros(correct, np.uint8), np.zeros(inside, np.uint8)
  with pytest.raises(ValueError) as error:
    memorization.estimate(*arrays, 13)
  for text in ('[M, 2]', 'num_examples=13', str(correct), str(inside)):
    assert text in str(error.value)


def test_membership_under_jit_and_vmap():
  subsets = jnp.array([[0, 2], [1, 3]])
  got = jax.jit(jax.vmap(lambda s: memorization.membership(s, 4)))(subsets)
  np.testing.assert_array_equal(
      got, [[True, False, True, False], [False, True, False, True]])
