"""Comparison of proxies with memorization, with cases made by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from rum_jax import records, reporting
from rum_jax.memorization import comparison

TRUTH = np.asarray([0.0, 0.02, 0.05, 0.1, 0.3, 0.45, 0.55, 0.6, 0.9, 1.0, 0.95])


def test_a_proxy_of_the_same_order_has_the_same_ends_but_its_own_middle():
  proxy = np.exp(5 * TRUTH)
  got = comparison.compared(TRUTH, proxy, np.stack([proxy, -proxy]), 2)
  assert got.spearman == pytest.approx(1, abs=1e-12)
  assert got.one_run == pytest.approx(0, abs=1e-12)
  # Of memorization medium is 0.45 and 0.55; the proxy's median is that of
  # 0.45, and e^(5 · 0.3) lies nearer to it than e^(5 · 0.55).
  assert (got.low, got.medium, got.high) == (1, 0.5, 1)
  np.testing.assert_allclose(
      [got.low_memorization, got.medium_memorization, got.high_memorization],
      [0.01, 0.375, 0.975])
  assert records.from_json(comparison.Comparison, json.loads(
      json.dumps(records.as_json(got)))) == got


def test_examples_without_memorization_are_left_out_of_the_agreement():
  truth = np.append(TRUTH, np.nan)
  proxy = np.append(TRUTH, 2.0)
  got = comparison.compared(truth, proxy, proxy[None], 2)
  assert got.spearman == got.one_run == pytest.approx(1, abs=1e-12)
  assert got.high == 1 and got.high_memorization == 1.0


def test_nothing_is_said_where_memorization_is_not_known():
  got = comparison.compared(None, TRUTH, TRUTH[None], 2)
  assert np.isnan(list(vars(got).values())).all()


def found(whole, **spearman):
  """What the experiments hand over of proxies with these correlations."""
  row = {'one_run': 0.5, 'low': 0.25, 'medium': math.nan, 'high': 1.0,
         'low_memorization': 0.0, 'medium_memorization': 0.5,
         'high_memorization': 0.75, 'seconds': 1.5,
         'share': whole and 1.5 / whole}
  origin = {
      'recipe': {'dataset': 'digits', 'network': 'mlp', 'held_out': 'test',
                 'corrupt': 0.0, 'refine_by': 'memorization', 'seeds': 3},
      'environment': {'versions': {'jax': '0.10.2'}, 'device': 'cpu',
                      'platform': 'cpu', 'devices': 2, 'cores': 2,
                      'commit': None}, 'data_hash': 'abc'}
  return records.from_json(comparison.ProxiesFile, {
      'schema': 1, **origin, 'runs': 3, 'models': 70, 'group_size': 48,
      'estimate_seconds': whole,
      'proxies': {k: {**row, 'spearman': v} for k, v in spearman.items()}})


def test_lines_are_a_table_with_the_best_first():
  lines = reporting.proxy_table(
      found(150.0, worst=-0.25, nil=0.0, best=0.75, unknown=None))
  assert [line.split()[0] for line in lines[1:5]] == [
      'best', 'nil', 'worst', 'unknown']
  assert lines[1].split() == [
      'best', '0.750', '0.500', '0.25', '–', '1.00', '0.00', '0.50', '0.75',
      '1.50', '1.00%']
  assert len({len(line) for line in lines[:5]}) == 1
  for said in ('3 runs', '48 examples', '150.0 s of 70 models'):
    assert said in lines[5]


def test_cost_is_left_open_without_the_models():
  lines = reporting.proxy_table(found(None, one=0.5))
  assert lines[1].endswith('–') and 'models' not in lines[2]


def test_runs_that_diverged_are_left_out_and_named():
  runs = np.asarray([[1.0, 2.0], [np.nan, 2.0], [3.0, 6.0]])
  with pytest.warns(UserWarning, match=r'loss leaves out .* seeds \[8\]\.'):
    np.testing.assert_array_equal(comparison.mean('loss', runs, 7, 0.2),
                                  [2, 4])
  with (pytest.warns(UserWarning), pytest.raises(
      ValueError, match='loss not to diverge with learning_rate=0.2')):
    comparison.mean('loss', runs[1:2], 7, 0.2)
