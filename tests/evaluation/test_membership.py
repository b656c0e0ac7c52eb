"""The attacks against scikit-learn itself and against a loop over cuts."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import svm

from rum_jax.evaluation import membership

scores = st.lists(st.integers(0, 12), min_size=1, max_size=9)


def confidences(seed: int, sizes=(60, 60, 40)) -> tuple[np.ndarray, ...]:
  """Members near 1, others spread out, and those in question in between."""
  rng = np.random.default_rng(seed)
  return tuple(rng.beta(a, 2, n) for a, n in zip((9, 2, 4), sizes, strict=True))


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('penalty', [3.0, 0.1])
def test_svc_attack_is_scikit_learns(seed, penalty):
  retain, test, forget = confidences(seed)
  classifier = svm.SVC(C=penalty, kernel='rbf', gamma='auto')
  classifier.fit(np.concatenate([retain, test])[:, None],
                 np.repeat([True, False], 60))
  want = (~classifier.predict(forget[:, None])).mean()
  got = membership.svc_attack(
      retain, test, forget, seed=seed, penalty=penalty)
  assert 0 < want < 1
  # The solver stops within a tolerance, which its order of examples moves: at
  # most one example may fall on the other side.
  assert abs(got - want) <= 1 / 40


def test_svc_attack_trains_on_equal_numbers_drawn_at_random(monkeypatch):
  seen = []

  class Spy(svm.SVC):
    def fit(self, x, y):
      seen.append((x[:, 0], y))
      return super().fit(x, y)

  monkeypatch.setattr(svm, 'SVC', Spy)
  retain, test, forget = confidences(0, (90, 30, 20))
  for seed in (0, 0, 1):
    membership.svc_attack(retain, test, forget, seed=seed)
  for x, y in seen:
    assert len(x) == 60 and y.sum() == 30
    assert set(x[y == 1]) <= set(retain) and len(set(x[y == 1])) == 30
    assert set(x[y == 0]) == set(test)
    assert set(x[y == 1]) != set(retain[:30])
  np.testing.assert_array_equal(seen[0][0], seen[1][0])
  assert set(seen[0][0]) != set(seen[2][0])


@hypothesis.given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 99))
def test_balanced_draws_equal_numbers_without_replacement(a, b, seed):
  members, others = np.arange(a), 100 + np.arange(b)
  drawn = membership.balanced(members, others, seed)
  for some, pool in zip(drawn, (members, others), strict=True):
    assert len(some) == min(a, b) == len(set(some.tolist()))
    assert set(some.tolist()) <= set(pool.tolist())


def test_svc_attack_of_known_answers():
  high, low = np.linspace(0.9, 1.0, 30), np.linspace(0.0, 0.1, 30)
  assert membership.svc_attack(high, low, high) == 0.0
  assert membership.svc_attack(high, low, low) == 1.0
  mixed = np.array([0.95, 0.05, 0.02, 0.0])
  assert membership.svc_attack(high, low, mixed) == 0.75


@pytest.mark.parametrize('value', [np.nan, np.inf])
@pytest.mark.parametrize('place', range(3))
def test_svc_attack_of_a_diverged_run_is_nan(value, place):
  arrays = confidences(0)
  arrays[place][5] = value
  assert np.isnan(membership.svc_attack(*arrays))


@pytest.mark.parametrize('place, name', [
    (0, 'retain'), (1, 'test'), (2, 'forget')])
def test_svc_attack_names_what_is_empty(place, name):
  arrays = list(confidences(0))
  arrays[place] = arrays[place][:0]
  with pytest.raises(ValueError, match=f'Expected {name} to hold examples'):
    membership.svc_attack(*arrays)


def naive(retain, test, forget) -> float:
  """Tries every cut with whole numbers, so that ties are ties."""
  best, cut = -1, None
  for candidate in sorted([*retain, *test]):
    kept = sum(x >= candidate for x in retain) * len(test)
    caught = sum(x < candidate for x in test) * len(retain)
    if kept + caught > best:
      best, cut = kept + caught, candidate
  return np.mean([x < cut for x in forget])


@hypothesis.given(scores, scores, scores)
@hypothesis.settings(max_examples=200)
def test_threshold_attack_is_a_loop_over_cuts(retain, test, forget):
  # Few distinct values, so that ties within and between the sets abound; all
  # of two lengths, lest each example be compiled anew.
  sizes = [3 if len(x) < 5 else 7 for x in (retain, test, forget)]
  retain, test, forget = map(np.resize, (retain, test, forget), sizes)
  got = membership.threshold_attack(
      *(x.astype(np.float32) for x in (retain, test, forget)))
  np.testing.assert_allclose(got, naive(retain, test, forget), rtol=1e-6)


def test_threshold_attack_takes_the_lowest_of_equal_cuts():
  # Both 1 and 2 tell the sets apart with a balanced accuracy of 2/3, which
  # thirds in single precision would deny.
  got = membership.threshold_attack(
      *map(jnp.asarray, ([0.0, 1.0, 2.0], [0.0, 1.0, 0.0], [1.0])))
  assert got == 0.0


def test_threshold_attack_refuses_sets_too_large_to_count():
  sizes = [jax.ShapeDtypeStruct((n,), 'float32') for n in (70_000, 70_000, 9)]
  with pytest.raises(ValueError, match='R·n=4900000000'):
    jax.eval_shape(membership.threshold_attack, *sizes)


def test_threshold_attack_maps_over_seeds():
  stacked = [np.stack(x) for x in zip(
      *(confidences(s) for s in range(4)), strict=True)]
  got = jax.vmap(membership.threshold_attack)(*map(jnp.asarray, stacked))
  want = [naive(*(x[s] for x in stacked)) for s in range(4)]
  np.testing.assert_allclose(got, want, rtol=1e-6)


def test_attacks_agree_where_the_sets_lie_apart():
  rng = np.random.default_rng(0)
  for share in (0.0, 0.3, 1.0):
    retain, test = rng.uniform(0.8, 1.0, 50), rng.uniform(0.0, 0.2, 50)
    out = round(share * 20)
    forget = np.concatenate(
        [rng.uniform(0.0, 0.2, out), rng.uniform(0.85, 1.0, 20 - out)])
    assert membership.svc_attack(retain, test, forget) == share
    np.testing.assert_allclose(
        membership.threshold_attack(retain, test, forget), share, rtol=1e-6)
