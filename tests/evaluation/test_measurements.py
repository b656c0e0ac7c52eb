"""Accuracies, attacks and distances to retraining, on logits made by hand."""

from __future__ import annotations

import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import evaluation, tasks
from rum_jax.evaluation import measurements, results
from rum_jax.evaluation.measurements import Behaviour, Subsets
from rum_jax.types import Images, Outputs, Signals
from tests.evaluation.rows import make_row

# 20 examples of two classes: forget 0–3 in two groups, retain 4–11, test 12–19.
SUBSETS = Subsets((np.array([0, 1, 2]), np.array([3])), np.arange(4, 12),
                  np.arange(12, 20))
LABELS = np.arange(20) % 2


def logits_of(confidence: np.ndarray) -> np.ndarray:
  """Logits that give the true class of each example this confidence."""
  logits = np.zeros((*confidence.shape, 2))
  share = np.log(confidence / (1 - confidence))
  np.put_along_axis(logits, np.broadcast_to(
      LABELS, confidence.shape)[..., None], share[..., None], -1)
  return logits


def signals_of(logits):
  return jax.vmap(lambda x: Signals(*(f(Outputs(x, None), Images(None, LABELS))
                                      for f in tasks.classification()[:2])))(
                                          jnp.asarray(logits))


def test_behaviour_by_hand():
  sure, unsure, wrong = 0.99, 0.6, 0.3
  confidence = np.array([
      # Members sure, test examples unsure but right; of the forget set, row 1
      # is still known, rows 0 and 3 are unsure, row 2 is wrong.
      [unsure, sure, wrong, unsure, *[sure] * 8, *[unsure] * 8],
      # Here all is forgotten, two of the retain set too, and half of the test.
      [*[wrong] * 4, *[sure] * 6, wrong, wrong, *[wrong, unsure] * 4]])
  got = evaluation.behaviour(signals_of(logits_of(confidence)), SUBSETS)
  np.testing.assert_array_equal(got.forget, [0.75, 0.0])
  np.testing.assert_allclose(got.groups, [[2 / 3, 1], [0, 0]], rtol=1e-7)
  np.testing.assert_array_equal(got.retain, [1.0, 0.75])
  np.testing.assert_array_equal(got.test, [1.0, 0.5])
  np.testing.assert_array_equal(got.mia, [0.75, 1.0])
  both = signals_of(logits_of(confidence))
  one = jax.tree.map(lambda x: x[1], both)  # One model without an axis.
  for alone, of_both in zip(evaluation.behaviour(one, SUBSETS), got):
    if alone is not None:
      np.testing.assert_array_equal(alone, of_both[1:])


def test_a_diverged_run_leaves_the_others_alone():
  confidence = np.full((2, 20), 0.9)
  confidence[:, 12:] = 0.2
  logits = logits_of(confidence)
  logits[0] = np.nan
  got = evaluation.behaviour(signals_of(logits), SUBSETS)
  for figures in got[:-1]:
    assert np.isnan(figures[0]).all() and np.isfinite(figures[1]).all()


UNLEARNED = Behaviour(
    np.array([0.5, 0.75]), np.array([[0.25, 0.75], [1.0, 0.5]]),
    np.array([1.0, 0.875]), np.array([0.75, 0.5]), np.array([0.25, 0.5]))
ORACLE = Behaviour(
    np.array([0.5, 0.25]), np.array([[0.5, 0.5], [0.25, 0.25]]),
    np.array([1.0, 1.0]), np.array([0.5, 0.75]), np.array([0.5, 0.25]))


def test_compare_by_hand():
  got = evaluation.compare(UNLEARNED, ORACLE)
  # 1·1·¾ and ½·⅞·¾; then by groups of mean |gap| ¼ and ½; then by the attack.
  np.testing.assert_allclose(got.tow, [0.75, 0.328125])
  np.testing.assert_allclose(got.tow_by_group, [0.5625, 0.328125])
  np.testing.assert_allclose(got.tow_mia, [0.5625, 0.4921875])
  np.testing.assert_allclose(got.mia_gap, [0.25, 0.25])
  np.testing.assert_array_equal(got.group_accuracy, UNLEARNED.groups)
  for name in ('forget', 'retain', 'test'):
    np.testing.assert_array_equal(
        getattr(got, f'{name}_accuracy'), getattr(UNLEARNED, name))


def test_an_oracle_compared_with_itself_is_perfect():
  got = evaluation.compare(ORACLE, ORACLE)
  for name in ('tow', 'tow_by_group', 'tow_mia'):
    np.testing.assert_array_equal(getattr(got, name), 1.0)
  np.testing.assert_array_equal(got.mia_gap, 0.0)


@pytest.mark.parametrize('seed', range(3))
def test_the_attack_reads_the_confidence_in_the_label(seed):
  # Confident in the wrong class is no confidence: all is taken for forgotten.
  rng = np.random.default_rng(seed)
  confidence = rng.uniform(0.9, 0.99, (1, 20))
  confidence[:, :4] = confidence[:, 12:] = 0.01
  got = evaluation.behaviour(signals_of(logits_of(confidence)), SUBSETS)
  assert got.mia == 1.0


def test_the_forget_set_is_all_groups_in_their_order():
  assert SUBSETS.forget.tolist() == [0, 1, 2, 3]
  assert SUBSETS._replace(groups=SUBSETS.groups[::-1]).forget.tolist() == [
      3, 0, 1, 2]


def test_summary_is_json_with_every_seed():
  got = evaluation.summary(np.array([1.0, 2.0, np.nan, 3.0]))
  assert got.mean == 2.0
  # Half a width of √(1/3)·t, t the 0.975 quantile with 2 degrees of freedom.
  np.testing.assert_allclose(got.ci95, 4.302652730 / np.sqrt(3), rtol=1e-9)
  np.testing.assert_array_equal(got.values, [1.0, 2.0, np.nan, 3.0])
  assert {type(v) for v in (got.mean, got.ci95, *got.values)} == {float}


def test_differences_are_paired_by_seed():
  def row(method, variant, *values):
    return make_row(method, variant, **{
        figure.name: np.array(values) * factor
        for factor, figure in enumerate(evaluation.FIGURES, 1)})

  got = evaluation.differences([
      row('scrub', 'vanilla', 0.1, 0.5), row('scrub', 'rum_f', 0.3, 0.7),
      row('salun', 'rum_f', 0.2, 0.2), row('salun', 'shuffle', 0.1, 0.3),
      row('salun', 'matched', 0.2, 0.0), row('finetune', 'vanilla', 0.0, 0.0)])
  assert [(d.method, d.minus) for d in got] == [
      ('scrub', 'vanilla'), ('salun', 'matched'), ('salun', 'shuffle')]
  assert [x.name for x in results.COMPARED] == [
      'tow', 'tow_by_group', 'tow_mia', 'mia_gap']
  for factor, figure in enumerate(results.COMPARED, 1):
    for one, want in zip(got, ([0.2, 0.2], [0.0, 0.2], [0.1, -0.1]),
                         strict=True):
      np.testing.assert_allclose(
          figure.of(one).values, factor * np.array(want), atol=1e-15)
  # Both seeds of the first moved alike, so the interval is a point.
  np.testing.assert_allclose(got[0].tow.ci95, 0.0, atol=1e-12)


def test_a_model_that_says_nothing_has_diverged_in_the_last_stage():
  none, some = np.zeros((3, 0)), np.zeros((3, 4))
  fine = np.array([True, False, True])
  assert evaluation.diverged([none], fine) == [(1, 0)]
  some[2, 1] = np.nan
  assert evaluation.diverged([some, none], fine) == [(1, 1), (2, 0)]


def test_a_row_by_hand():
  # Two seeds, groups of which the first is hit by both, the second by none.
  oracle = Behaviour(*map(np.asarray, (
      [0.5, 0.5], [[1.0, 0.0], [1.0, 0.0]], [1.0, 1.0], [0.9, 0.8],
      [0.6, 0.7])))
  unlearned = oracle._replace(
      groups=np.asarray([[1.0, 0.25], [1.0, 0.75]]),
      forget=np.asarray([0.625, 0.875]), test=np.asarray([0.8, 0.8]))
  row = evaluation.row('salun', 'vanilla', ('low', 'high'), unlearned, oracle,
                       seconds=6.0, steps=[4], setting=[('salun', {})])
  assert row.seconds.values == (3.0, 3.0) and row.steps == (4,)
  assert row.setting == (('salun', {}),) and row.diverged == ()
  np.testing.assert_allclose(row.tow.values, [0.875 * 0.9, 0.625], rtol=1e-6)
  low, high = row.groups['low'], row.groups['high']
  np.testing.assert_allclose(low.tow.values, [0.9, 1], rtol=1e-6)
  np.testing.assert_allclose(high.tow.values, [0.75 * 0.9, 0.25], rtol=1e-6)
  assert high.forget_accuracy.values == (0.25, 0.75)
  truth = evaluation.of_oracle(('low', 'high'), oracle, 5.0)
  assert truth.seconds == 2.5 and truth.mia.values == (0.6, 0.7)
  assert truth.groups['low'].values == (1.0, 1.0)
  assert truth.test_accuracy.mean == pytest.approx(0.85)


def test_every_figure_is_a_field_of_a_row():
  fields = typing.get_type_hints(evaluation.Row)
  for figure in evaluation.FIGURES:
    assert fields[figure.name] is evaluation.Summary


def test_a_class_that_is_forgotten_whole_is_left_out_of_the_other_accuracy():
  labels = np.array([0, 1, 0, 2, 1, 2, 0, 1])
  forget, retain = np.array([0, 2, 1]), np.array([3, 4, 5])
  np.testing.assert_array_equal(
      measurements.forgotten_classes(labels, forget, retain), [0])
  np.testing.assert_array_equal(
      measurements.forgotten_classes(labels, retain, forget), [2])
  whole = ORACLE._replace(kept_test=np.array([0.9, 0.7]))
  row = evaluation.row('salun', 'vanilla', (), whole, ORACLE)
  assert row.kept_test_accuracy.values == (0.9, 0.7)
  assert evaluation.row('salun', 'vanilla', (), ORACLE, whole
                        ).kept_test_accuracy is None
  assert evaluation.of_oracle((), whole, 1.0).kept_test_accuracy.mean == 0.8
