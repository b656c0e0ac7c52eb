"""The estimator against a double loop, simulation and brute force."""

from __future__ import annotations

import itertools

import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import memorization
from rum_jax.memorization import Memorization, pack


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


@pytest.mark.parametrize('correct, inside', [
    ((3, 2), (4, 2)), ((3, 1), (3, 1)), ((3, 2), (3, 1))])
def test_bits_that_do_not_fit_are_refused(correct, inside):
  arrays = np.zeros(correct, np.uint8), np.zeros(inside, np.uint8)
  with pytest.raises(ValueError) as error:
    memorization.estimate(*arrays, 13)
  for text in ('[M, 2]', 'num_examples=13', str(correct), str(inside)):
    assert text in str(error.value)


def test_spearman_brown_by_simulation():
  assert memorization.spearman_brown(0.5) == 2 / 3
  assert memorization.spearman_brown(0.0) == 0
  # Two wholes, of two halves each: halves correlate r, wholes 2r / (1 + r).
  # With n = 40,000 a correlation errs by at most 1/√n = 0.005; 5 of them.
  rng = np.random.default_rng(0)
  halves = rng.normal(size=40_000) + 1.5 * rng.normal(size=(4, 40_000))
  r = np.corrcoef(halves[0], halves[1])[0, 1]
  wholes = np.corrcoef(halves[:2].sum(0), halves[2:].sum(0))[0, 1]
  assert abs(memorization.spearman_brown(r) - wholes) < 0.025


def test_rank_correlation_leaves_out_what_has_no_score():
  first = np.array([1.0, 2.0, np.nan, 4.0, 9.0])
  second = np.array([0.1, 0.3, 0.0, np.nan, 0.2])
  # Ranks 1 2 3 and 1 3 2: 1 − 6·(0 + 1 + 1) / (3·8).
  np.testing.assert_allclose(
      memorization.rank_correlation(first, second), 0.5, rtol=1e-12)


@pytest.fixture
def written(tmp_path):
  """A score file of 13 examples of the data set 'abc'."""
  path = tmp_path / 'memorization.npz'
  rng = np.random.default_rng(0)
  scores = naive(rng.random((9, 13)) < 0.6, rng.random((9, 13)) < 0.7)
  memorization.save(path, scores, np.arange(13), 'abc')
  return path, scores


def test_scores_come_back_as_they_were_written(written):
  path, scores = written
  got = memorization.load(str(path), 13, 'abc')
  for a, b in zip(got, scores, strict=True):
    np.testing.assert_array_equal(a, b)
  assert [p.name for p in path.parent.iterdir()] == ['memorization.npz']
  with np.load(path) as file:
    np.testing.assert_array_equal(file['row'], np.arange(13))


@pytest.mark.parametrize('examples, owner, message', [
    (14, 'abc', 'to hold 14 scores, found 13'),
    (13, 'abd', 'its hash is abc, that of the data abd')])
def test_scores_of_another_data_set_are_refused(
    written, examples, owner, message):
  with pytest.raises(ValueError, match=message):
    memorization.load(str(written[0]), examples, owner)


@pytest.mark.parametrize('contents', [
    b'', b'no', b'PK', b'PK\x03\x04broken'])
def test_a_file_without_scores_is_refused(tmp_path, contents):
  path = tmp_path / 'x.npz'
  with pytest.raises(FileNotFoundError, match='No file scores=.*x.npz'):
    memorization.load(str(path), 13, 'abc')
  path.write_bytes(contents)
  with pytest.raises(ValueError, match=f'scores={path} is not a memorization'):
    memorization.load(str(path), 13, 'abc')
  np.savez(path, score=np.zeros(13))
  with pytest.raises(ValueError, match='is not a memorization.npz'):
    memorization.load(str(path), 13, 'abc')
  np.save(tmp_path / 'y', np.zeros(13))
  with pytest.raises(ValueError, match='is not a memorization.npz'):
    memorization.load(str(tmp_path / 'y.npy'), 13, 'abc')


def test_membership_under_jit_and_vmap():
  subsets = jnp.array([[0, 2], [1, 3]])
  got = jax.jit(jax.vmap(lambda s: memorization.membership(s, 4)))(subsets)
  np.testing.assert_array_equal(
      got, [[True, False, True, False], [False, True, False, True]])
