"""Groups never overlap, ties follow their rule, and stages are right."""

from __future__ import annotations

import json

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from rum_jax import datasets, refinement
from rum_jax.pipeline import inputs

# Few distinct scores, as memorization has them, or all sorts of them.
scores = st.lists(st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0]), min_size=3,
                  max_size=40) | st.lists(st.floats(-1, 1), min_size=3,
                                          max_size=40)
seeds = st.integers(0, 5)
middles = st.sampled_from([0.5, 0.1, None])


@hypothesis.given(scores, seeds)
def test_ranked_sorts_and_breaks_ties_by_the_seeds_permutation(values, seed):
  order = refinement.ranked(values, seed)
  tie = np.random.default_rng(seed).permutation(len(values))
  want = sorted(range(len(values)), key=lambda i: (values[i], tie[i]))
  assert order.dtype == np.int32 and order.tolist() == want


def test_ties_depend_on_the_seed_alone():
  same = np.zeros(30)  # Two of the 30! orders agree with no chance to speak of.
  a, again, b = (refinement.ranked(same, s).tolist() for s in (0, 0, 1))
  assert a == again != b
  assert sorted(a) == sorted(b) == list(range(30)) != a


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_named(value):
  with pytest.raises(ValueError, match=f'found {value} at row 3'):
    refinement.ranked(np.array([0.0, 1.0, 2.0, value, value]), 0)


@hypothesis.given(scores, st.data(), middles, seeds)
def test_groups_are_disjoint_equal_in_size_and_ordered(
    values, data, middle, seed):
  values = np.array(values)
  size = data.draw(st.integers(1, len(values) // 3))
  groups = refinement.by_score(values, size, middle=middle, seed=seed)
  low, medium, high = groups
  rows = np.concatenate(groups)
  assert len(set(rows.tolist())) == 3 * size
  for group in groups:
    assert len(group) == size and group.dtype == np.int32
    assert (np.diff(group) > 0).all()
  assert values[low].max() <= values[medium].min()
  assert values[medium].max() <= values[high].min()
  others = np.setdiff1d(np.arange(len(values)), rows)
  assert (values[low].max() <= values[others]).all()
  assert (values[high].min() >= values[others]).all()
  # Nobody who is left over is nearer to the middle than anybody in medium.
  away = np.abs(values - (np.median(values) if middle is None else middle))
  assert (away[others] >= away[medium].max()).all()


def test_groups_by_hand():
  values = np.array([0.9, 0.0, 0.55, 0.3, 1.0, 0.1, 0.5, 0.2])
  low, medium, high = refinement.by_score(values, 2)
  assert [low.tolist(), medium.tolist(), high.tolist()] == [
      [1, 5], [2, 6], [0, 4]]
  _, medium, _ = refinement.by_score(values, 2, middle=None)
  assert medium.tolist() == [3, 6]  # The median is 0.4.
  _, medium, _ = refinement.by_score(values, 2, middle=0.0)
  assert medium.tolist() == [3, 7]  # Those nearer are in the low group.


def test_groups_of_equal_scores_are_drawn_from_the_seed():
  groups = [refinement.by_score(np.zeros(60), 10, seed=s) for s in (0, 0, 1)]
  for a, again, b in zip(*groups, strict=True):
    assert a.tolist() == again.tolist() != b.tolist()


@pytest.mark.parametrize('size, message', [
    (4, 'three groups of size=4 to fit in 11 examples'),
    (0, 'Expected size=0 to be at least 1'), (1.5, 'size, found 1.5')])
def test_a_size_that_does_not_fit_is_refused(size, message):
  with pytest.raises(ValueError, match=message):
    refinement.by_score(np.arange(11.0), size)


GROUPS = (np.array([1, 3, 8]), np.array([0, 2]), np.array([5, 9, 11, 12]))


@hypothesis.given(st.integers(0, 1000))
def test_shuffled_keeps_the_union_and_the_sizes(seed):
  mixed = refinement.shuffled(GROUPS, seed)
  assert [len(g) for g in mixed] == [3, 2, 4]
  assert sorted(np.concatenate(mixed)) == sorted(np.concatenate(GROUPS))
  assert all((np.diff(g) > 0).all() for g in mixed)


def test_shuffled_mixes_every_row_into_every_group():
  # 3,600 shuffles: a row is in a group with probability size / 9, so z scores
  # of the 27 counts; |z| < 4.2 at 1e-3 for all of them together.
  counts = np.zeros((3, 13))
  for seed in range(3600):
    for count, group in zip(counts, refinement.shuffled(GROUPS, seed),
                            strict=True):
      count[group] += 1
  share = np.array([[3], [2], [4]]) / 9
  z = (counts - 3600 * share) / np.sqrt(3600 * share * (1 - share))
  assert np.abs(z[:, np.sort(np.concatenate(GROUPS))]).max() < 4.2


def test_merged_is_one_sorted_group():
  (whole,) = refinement.merged(GROUPS)
  assert whole.tolist() == [0, 1, 2, 3, 5, 8, 9, 11, 12]


def test_groups_are_read_from_a_file(tmp_path):
  path = tmp_path / 'groups.json'
  source = datasets.digits()
  rows = source.row[[5, 9, 1, 3, 8, 0]].tolist()
  path.write_text(json.dumps(
      {'high': rows[:2], 'low': rows[2:5], 'medium': rows[5:]}))
  low, medium, high = inputs.read_groups(str(path), source)
  assert [g.tolist() for g in (low, medium, high)] == [[1, 3, 8], [0], [5, 9]]
  assert low.dtype == medium.dtype == high.dtype == np.int32


@pytest.mark.parametrize('text, fault', [
    ('', ': Expected .* to be JSON'),
    ('[1, 2]', ' to be a JSON object that lists rows as low, medium, high'),
    ('{"low": [1], "medium": [2]}', ' to be a JSON object .* found .*medium'),
    ('{"low": ["a"], "medium": [2], "high": [3]}', ", low: .* found 'a'"),
    ('{"low": [], "medium": [2], "high": [3]}', ', low: .* is empty'),
    ('{"low": {"a": 1}, "medium": [2], "high": [3]}',
     ', low: Expected a list of rows')])
def test_a_file_without_groups_is_named(tmp_path, text, fault):
  path = tmp_path / 'groups.json'
  path.write_text(text)
  source = datasets.digits()
  with pytest.raises(ValueError, match=f'groups={path}{fault}'):
    inputs.read_groups(str(path), source)
  with pytest.raises(OSError, match='groups=nowhere.json: No such file'):
    inputs.read_groups('nowhere.json', source)


def test_retain_policies_by_hand():
  groups = (np.array([1, 3]), np.array([0]), np.array([5]))
  remaining = refinement.retain_remaining(groups, 7)
  assert [r.tolist() for r in remaining] == [
      [0, 2, 4, 5, 6], [2, 4, 5, 6], [2, 4, 6]]
  untouched = refinement.retain_untouched(groups, 7)
  assert [r.tolist() for r in untouched] == [[2, 4, 6]] * 3


@pytest.mark.parametrize('policy', [
    refinement.retain_remaining, refinement.retain_untouched])
def test_stages_are_the_groups_in_order_with_what_the_policy_retains(policy):
  stages = refinement.stages(GROUPS, 15, policy)
  for split, group, retain in zip(
      stages, GROUPS, policy(GROUPS, 15), strict=True):
    assert split.forget.tolist() == group.tolist()
    assert split.retain.tolist() == retain.tolist()
    assert split.forget.dtype == split.retain.dtype == np.int32
    assert not set(split.forget.tolist()) & set(split.retain.tolist())


def test_stages_retain_what_remains_by_default():
  default = refinement.stages(GROUPS, 15)
  assert default[0].retain.tolist() == [0, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14]


def test_all_policies_agree_on_a_single_stage():
  (whole,) = refinement.stages(refinement.merged(GROUPS), 15)
  last = refinement.stages(GROUPS, 15)[-1]
  assert whole.retain.tolist() == last.retain.tolist() == [4, 6, 7, 10, 13, 14]


@pytest.mark.parametrize('groups, message', [
    ([[1, 2], []], 'Expected group 2 of 2 to hold examples'),
    ([[1, 2], [3, 2]], 'Expected every row once, found row 2 twice'),
    ([[4, 4]], 'found row 4 twice'), ([], 'at least one group, found none'),
    ([[1], [0.0, 1.5]], 'whole numbers, found float64 in group 2 of 2'),
    ([np.array([True, False])], 'whole numbers, found bool in group 1 of 1'),
    ([[0], [1, 6]], r'Expected rows in \[0, 6\), found 6 in group 2 of 2'),
    ([[-1, 2]], r'Expected rows in \[0, 6\), found -1 in group 1 of 1'),
    ([[0, 1, 2], [3, 4, 5]], 'the forget set holds all 6 of them')])
def test_stages_refuse(groups, message):
  with pytest.raises(ValueError, match=message):
    refinement.stages(groups, 6)


def test_stacked_stages_have_the_splits_of_each_seed():
  groups = [tuple(np.split(np.random.default_rng(s).permutation(20)[:12], 3))
            for s in range(4)]
  each = [refinement.stages(g, 20) for g in groups]
  stages = refinement.stacked(each)
  assert len(stages) == 3
  for stage, of_stage in enumerate(stages):
    for seed, splits in enumerate(each):
      for a, b in zip(of_stage, splits[stage], strict=True):
        np.testing.assert_array_equal(a[seed], b)


def test_a_retain_set_holds_at_least_one_batch():
  inputs.check_retain(100, 20, 80, 'forget=80')
  with pytest.raises(ValueError, match=(
      'Expected forget=81 to leave a retain set of at least one batch, '
      'batch_size=20, of the 100 training examples.')):
    inputs.check_retain(100, 20, 81, 'forget=81')
