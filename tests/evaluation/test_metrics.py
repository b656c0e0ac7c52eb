"""Accuracy, Tug-of-War and confidence intervals against numbers by hand."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import evaluation, tasks
from rum_jax.evaluation import metrics
from rum_jax.types import Images, Outputs, Signals

gap = st.floats(-1, 1, width=32)


def accuracy(logits, labels, index):
  """Of the signals of such logits `[..., N, K]`."""
  task, flat = tasks.classification(), logits.reshape(-1, *logits.shape[-2:])
  found = jax.vmap(lambda x: Signals(
      task.loss(Outputs(x, None), Images(None, labels)),
      task.score(Outputs(x, None), Images(None, labels))))(flat)
  return metrics.accuracy(jax.tree.map(
      lambda x: x.reshape(logits.shape[:-1]), found), index)


def test_accuracy_counts_the_rows_it_is_asked_about():
  logits = jnp.array([[3.0, 1, 2], [0, 5, 1], [1, 2, 9], [4, 0, 0]])
  labels = jnp.array([0, 1, 1, 2])
  assert accuracy(logits, labels, np.arange(4)) == 0.5
  assert accuracy(logits, labels, np.array([0, 1])) == 1.0
  assert accuracy(logits, labels, np.array([3, 2, 0, 3])) == 0.25


def test_accuracy_keeps_leading_axes_and_marks_diverged_runs():
  good = np.array([[1.0, 0], [0, 1], [1, 0]])
  broken, unseen = good.copy(), good.copy()
  broken[1, 0], unseen[2, 1] = np.nan, np.inf
  logits = jnp.array([[good, broken], [good[:, ::-1], unseen]])
  got = accuracy(logits, jnp.array([0, 1, 1]), np.array([0, 1]))
  np.testing.assert_array_equal(got, [[1.0, np.nan], [0.0, 1.0]])


def test_accuracy_wants_a_loss_for_each_score():
  with pytest.raises(ValueError, match=r'shapes \(2, 5\) and \(4,\)'):
    metrics.accuracy(Signals(jnp.zeros((2, 5)), jnp.zeros(4)), jnp.arange(4))


@pytest.mark.parametrize('index, found', [
    (np.arange(3) == 1, r'bool\[3\]|bool \(3,\)'), ([0, 1], 'list'),
    (np.ones(3), r'float')])
def test_accuracy_wants_rows(index, found):
  with pytest.raises(TypeError, match=(
      f'index to be an array of whole numbers, .*found .*({found})')):
    metrics.accuracy(Signals(np.zeros(3), np.zeros(3)), index)


def test_tug_of_war_by_hand():
  got = metrics.tug_of_war(
      jnp.array([0.1, -0.1, 0.0]), jnp.array([0.2, -0.2, 0.0]),
      jnp.array([-0.5, 0.5, 1.0]))
  np.testing.assert_allclose(got, [0.36, 0.36, 0.0], rtol=4e-7)


def test_tug_of_war_of_a_model_with_itself_is_one():
  accuracy = jnp.array([0.25, 0.9, 0.613])
  nothing = accuracy - accuracy
  np.testing.assert_array_equal(
      metrics.tug_of_war(nothing, nothing, nothing), 1.0)
  np.testing.assert_array_equal(metrics.grouped_tug_of_war(
      jnp.zeros((3, 2)), nothing, nothing), 1.0)


@hypothesis.given(gap, gap, gap)
def test_tug_of_war_stays_between_0_and_1(forget, retain, test):
  got = metrics.tug_of_war(forget, retain, test)
  assert 0 <= got <= 1
  assert got == metrics.tug_of_war(-forget, retain, -test)


@hypothesis.given(st.lists(gap, min_size=1, max_size=4), gap, gap)
def test_grouped_is_never_above_pooled_for_groups_of_equal_size(
    gaps, retain, test):
  gaps = jnp.array(gaps)
  grouped = metrics.grouped_tug_of_war(gaps, retain, test)
  pooled = metrics.tug_of_war(gaps.mean(), retain, test)
  # The two means round each of at most four additions and a division.
  assert grouped <= pooled + 8 * np.finfo(np.float32).eps


def test_grouped_sees_errors_that_cancel():
  gaps = jnp.array([[0.5, -0.5], [0.5, 0.5], [0.25, 0.0]])
  got = metrics.grouped_tug_of_war(gaps, jnp.zeros(3), jnp.full(3, 0.5))
  np.testing.assert_array_equal(got, [0.25, 0.25, 0.4375])
  assert metrics.tug_of_war(gaps[0].mean(), 0.0, 0.5) == 0.5


def test_interval_is_students():
  # Mean 2, standard deviation 1, and the 0.975 quantile of t with 2 degrees of
  # freedom, which has the closed form 0.95·√(2 / (1 − 0.95²)).
  quantile = 0.95 * np.sqrt(2 / (1 - 0.95**2))
  got = evaluation.confidence_interval(np.array([1.0, 2.0, 3.0]))
  assert got.mean == 2.0
  np.testing.assert_allclose(got.ci95, quantile / np.sqrt(3), rtol=1e-12)


def test_interval_covers_at_its_nominal_rate():
  # 20,000 intervals of 4 normal values: 0.95 ± 3.9 standard errors of 0.00154.
  values = np.random.default_rng(0).normal(size=(20_000, 4))
  intervals = np.array([evaluation.confidence_interval(v) for v in values])
  rate = (np.abs(intervals[:, 0]) <= intervals[:, 1]).mean()
  assert abs(rate - 0.95) < 0.006


@pytest.mark.parametrize('values, mean, known', [
    ([1.0, np.nan, 3.0], 2.0, True), ([5.0, np.inf], 5.0, False),
    ([4.0], 4.0, False), ([np.nan], np.nan, False), ([], np.nan, False)])
def test_interval_leaves_diverged_runs_out(values, mean, known):
  got = evaluation.confidence_interval(np.array(values))
  np.testing.assert_equal(got.mean, mean)
  assert np.isfinite(got.ci95) == known
  if known:
    assert got == evaluation.confidence_interval(np.array([1.0, 3.0]))
