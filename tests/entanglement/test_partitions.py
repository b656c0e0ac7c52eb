"""Partitions: common properties, cases by hand, and choices by measured ES."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import neighbors

from rum_jax import entanglement, refinement
from rum_jax.entanglement import partitions
from rum_jax.types import Split

seeds = st.integers(0, 1000)


def check(groups: np.ndarray, count: int, size: int, n: int) -> None:
  """Disjoint, of equal size, sorted rows."""
  assert groups.shape == (count, size) and groups.dtype == np.int32
  assert (np.diff(groups, axis=1) > 0).all()
  rows = groups.ravel()
  assert len(set(rows.tolist())) == count * size
  assert rows.min() >= 0 and rows.max() < n


@hypothesis.given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0]) | st.floats(0, 9),
             min_size=1, max_size=60), st.data(), seeds)
def test_groups_are_disjoint_equal_in_size_and_in_order(values, data, seed):
  values = np.array(values)
  count = data.draw(st.integers(1, len(values)))
  groups = partitions.cut(values, count, seed=seed)
  size = len(values) // count
  check(groups, count, size, len(values))
  for before, after in zip(groups, groups[1:]):
    assert values[before].max() <= values[after].min()
  order = refinement.ranked(values, seed)
  assert sorted(order[:size]) == groups[0].tolist()
  if count > 1:
    assert sorted(order[len(order) - size:]) == groups[-1].tolist()
  assert (partitions.cut(values, count, seed=seed) == groups).all()


def test_groups_by_hand():
  values = np.array([5.0, 1.0, 4.0, 0.0, 3.0, 2.0])
  assert partitions.cut(values, 3).tolist() == [[1, 3], [4, 5], [0, 2]]
  # Seven in three groups of two: ranks 0-1, 2-3 and 5-6; rank 4 is left out.
  values = np.arange(7.0)
  assert partitions.cut(values, 3).tolist() == [[0, 1], [2, 3], [5, 6]]
  assert partitions.cut(values, 1).tolist() == [[0, 1, 2, 3, 4, 5, 6]]


def test_the_papers_counts():
  groups = partitions.cut(np.random.default_rng(0).normal(size=45_000))
  check(groups, 15, 3_000, 45_000)
  assert groups.size == 45_000


def test_equal_scores_are_drawn_from_the_seed():
  one, same, other = (
      partitions.cut(np.zeros(60), 5, seed=s) for s in (0, 0, 1))
  assert (one == same).all() and (one != other).any()
  control = partitions.at_random(60, 5, seed=1)
  assert (control == other).all()
  check(control, 5, 12, 60)


@hypothesis.given(seeds)
def test_groups_cut_by_class_have_the_same_classes(seed):
  rng = np.random.default_rng(seed)
  labels = rng.permutation(np.repeat([2, 0, 7], [9, 14, 23]))
  scores = rng.normal(size=46)
  groups = partitions.cut_by_class(scores, labels, 4, seed=seed)
  check(groups, 4, 9 // 4 + 14 // 4 + 23 // 4, 46)
  for label, size in ((2, 2), (0, 3), (7, 5)):
    inside = [g[labels[g] == label] for g in groups]
    assert [len(g) for g in inside] == [size] * 4
    for before, after in zip(inside, inside[1:]):
      assert scores[before].max() <= scores[after].min()


def blobs(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
  """Three classes of 30 around places of their own."""
  rng = np.random.default_rng(seed)
  labels = rng.permutation(np.repeat([0, 1, 2], 30))
  places = np.array([[0, 0, 0], [2, 0, 0], [0, 3, 1]])
  return places[labels] + rng.normal(size=(90, 3)), labels


@pytest.mark.parametrize('block', [7, 256])
def test_neighbour_margin_is_that_of_scikit_learn(float64, block):
  x, labels = blobs()
  want = np.zeros(len(x))
  for i in range(len(x)):
    near = []
    for allowed in (labels == labels[i], labels != labels[i]):
      allowed[i] = False
      search = neighbors.NearestNeighbors(n_neighbors=4).fit(x[allowed])
      near.append(search.kneighbors(x[i:i + 1])[0].mean())
    want[i] = near[0] - near[1]
  got = partitions.neighbour_margin(
      jnp.asarray(x + 100), labels, neighbours=4, block=block)
  np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def test_neighbour_margin_by_hand():
  # The last stands among the zeros: its like is 9 away, a stranger 1.
  x = jnp.array([[0.0], [1.0], [11.0], [10.0], [1.5]])
  labels = np.array([0, 0, 1, 1, 1])
  got = partitions.neighbour_margin(x, labels, neighbours=1)
  np.testing.assert_allclose(
      got, [1 - 1.5, 1 - 0.5, 1 - 10, 1 - 9, 8.5 - 0.5], rtol=1e-5)
  wanting = partitions.neighbour_margin(x, labels, neighbours=2)
  assert np.isinf(wanting[:2]).all() and np.isfinite(wanting[2:]).all()


def test_scores_are_of_each_group_against_all_others(float64):
  x, _ = blobs()
  distance = np.asarray(entanglement.centroid_distance(jnp.asarray(x)))
  groups = partitions.cut(distance, 9)
  for chosen in (partitions.by_measured_score(jnp.asarray(x), groups),
                 partitions.as_released(
                     jnp.asarray(x), groups, ((0,), (7,), (8,)))):
    want = [entanglement.entanglement_score(jnp.asarray(x), Split(
        g, np.setdiff1d(np.arange(90), g))) for g in groups]
    np.testing.assert_allclose(chosen.all_scores, want, rtol=1e-12)
    for group, (number,), score in zip(
        chosen.groups, chosen.picks, chosen.score, strict=True):
      assert group.tolist() == groups[number].tolist()
      np.testing.assert_allclose(score, want[number], rtol=1e-12)


def test_low_medium_and_high_are_told_by_measured_score(float64):
  x, _ = blobs()
  groups = partitions.at_random(90, 9)
  chosen = partitions.by_measured_score(jnp.asarray(x), groups)
  order = np.argsort(chosen.all_scores)
  assert chosen.picks == tuple((int(order[i]),) for i in (0, 4, 8))
  assert chosen.score[0] < chosen.score[1] < chosen.score[2]
  assert all(g.dtype == np.int32 for g in chosen.groups)
  # Of four groups the lower of the two in the middle.
  four = partitions.by_measured_score(jnp.asarray(x), groups[:4])
  assert four.picks[1] == (int(np.argsort(four.all_scores)[1]),)


def test_several_groups_are_put_together_and_measured_again(float64):
  x, _ = blobs()
  groups = partitions.at_random(90, 15)
  chosen = partitions.by_measured_score(jnp.asarray(x), groups, each=3)
  order = np.argsort(chosen.all_scores).tolist()
  assert [set(p) for p in chosen.picks] == [
      set(order[:3]), set(order[6:9]), set(order[12:])]
  check(np.stack(chosen.groups), 3, 18, 90)
  for group, pick, score in zip(chosen.groups, chosen.picks, chosen.score):
    assert sorted(groups[list(pick)].ravel()) == group.tolist()
    want = entanglement.entanglement_score(jnp.asarray(x), Split(
        group, np.setdiff1d(np.arange(90), group)))
    np.testing.assert_allclose(score, want, rtol=1e-12)


def test_over_seeds_the_mean_score_decides(float64):
  stacked = jnp.stack([jnp.asarray(blobs(s)[0]) for s in range(4)])
  groups = partitions.at_random(90, 6)
  chosen = partitions.by_measured_score(stacked, groups)
  assert chosen.score.shape == (4, 3) and chosen.all_scores.shape == (4, 6)
  order = np.argsort(chosen.all_scores.mean(0))
  assert chosen.picks == ((order[0],), (order[2],), (order[5],))
  for s in range(4):
    one = partitions.as_released(stacked[s], groups, chosen.picks)
    np.testing.assert_allclose(one.score, chosen.score[s], rtol=1e-12)


def test_the_released_numbers_are_for_15_and_for_100_groups():
  x = jnp.asarray(np.random.default_rng(0).normal(size=(300, 2)))
  scores = np.asarray(entanglement.centroid_distance(x))
  chosen = partitions.as_released(x, partitions.cut(scores))
  assert [len(g) for g in chosen.groups] == [20] * 3
  assert chosen.picks == ((3,), (12,), (14,)) == partitions.RELEASED
  tiny = partitions.as_released(
      x, partitions.cut(scores, partitions.COUNT_TINY),
      partitions.RELEASED_TINY)
  check(np.stack(tiny.groups), 3, 9, 300)
  assert tiny.picks[1] == (49, 50, 51)
  # By distance, what the released code calls low lies inside what is high.
  assert scores[tiny.groups[0]].max() < scores[tiny.groups[2]].min()


def test_equal_and_infinite_scores_have_a_place():
  # Every group is two opposite points: all means coincide, all ES is infinite.
  x = jnp.array([[-1.0], [1.0]] * 6)
  groups = np.arange(12).reshape(6, 2)
  one, same = (partitions.by_measured_score(x, groups, seed=2)
               for _ in range(2))
  assert one.picks == same.picks and len(set(one.picks)) == 3
  assert np.isinf(one.score).all()


X = jnp.zeros((6, 2))
SIX = np.arange(6)[:, None]


@pytest.mark.parametrize('call, message', [
    (lambda: partitions.cut(np.zeros(4), 5), 'count=5 groups to fit in 4'),
    (lambda: partitions.cut(np.zeros(4), 0), 'count=0 to be at least 1'),
    (lambda: partitions.cut(np.array([0, np.nan]), 1), 'found nan at row 1'),
    (lambda: partitions.cut_by_class(np.zeros(5), np.array([0, 0, 0, 7, 7]), 3),
     'count=3 .* found 2 examples of class 7'),
    (lambda: partitions.cut_by_class(np.zeros(5), np.zeros(4)),
     r'labels \(4,\) to have the shape of scores \(5,\)'),
    (lambda: partitions.cut_by_class(np.zeros(2), np.zeros(2), 1.5),
     'count, found 1.5'),
    (lambda: partitions.at_random(0), 'num_examples=0 to be at least 1'),
    (lambda: partitions.neighbour_margin(X, np.zeros(6), neighbours=0),
     'neighbours=0 to be at least 1'),
    (lambda: partitions.neighbour_margin(X, np.zeros(6), neighbours=6),
     r'neighbours=6 in \[1, 5\]'),
    (lambda: partitions.neighbour_margin(X, np.zeros(6), block=0),
     'block=0 to be at least 1'),
    (lambda: partitions.by_measured_score(X, SIX, each=3),
     'each=3 to fit in 6 groups'),
    (lambda: partitions.by_measured_score(X, SIX, each=0), 'each=0 to be'),
    (lambda: partitions.by_measured_score(X, SIX), 'found it in group 0'),
    (lambda: partitions.as_released(X, SIX), r'picks=.* in \[0, 6\)'),
    (lambda: partitions.as_released(X, SIX, ((0,), (1,), (-1,))), r'\[0, 6\)'),
    (lambda: partitions.as_released(X, SIX, ((0,), (1,), ())),
     'name groups for low, medium and high'),
    (lambda: partitions.as_released(X, SIX, ((0,), (1,))), 'low, medium and'),
    (lambda: partitions.as_released(X, SIX, ((0,), (1,), (1,))),
     'name no group twice')])
def test_bad_arguments_are_refused(call, message):
  with pytest.raises(ValueError, match=message):
    call()
