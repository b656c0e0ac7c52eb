"""Differences between levels of a factor, and the findings from them."""

from __future__ import annotations

import dataclasses
import types

import numpy as np
import pytest
from scipy import stats

from rum_jax import evaluation
from rum_jax.evaluation import difficulty
from rum_jax.evaluation.difficulty import Change
from rum_jax.reporting import difficulty_findings
from tests.evaluation.rows import make_row

SEEDS = np.array([0.0, 0.01, -0.01, 0.02])


def result(**tow):
  """Results of one level, with the given mean ToW of each method."""
  return types.SimpleNamespace(rows=[
      make_row(method, 'vanilla' if i else 'reference', tow=mean + SEEDS,
               tow_mia=mean + 2 * SEEDS, mia_gap=1 - mean + SEEDS)
      for i, (method, mean) in enumerate(tow.items())])


def test_differences_are_paired_by_seed():
  low, medium = result(do_nothing=0.9, ssd=0.8), result(do_nothing=0.7, ssd=0.8)
  high = result(do_nothing=0.2, ssd=0.6)
  values = np.array([0.5, 0.3, 0.4, 0.45])
  high.rows[1] = make_row('ssd', 'vanilla', tow=values)
  rows = difficulty.by_level({'low': low, 'medium': medium, 'high': high})
  assert [row.method for row in rows] == ['do_nothing', 'ssd']
  idle, ssd = (row.falls.tow for row in rows)
  assert idle['low to medium'].mean == pytest.approx(-0.2)
  assert idle['medium to high'].mean == pytest.approx(-0.5)
  gap = values - (0.8 + SEEDS)
  found = ssd['low to high']
  np.testing.assert_allclose(found.values, gap)
  spread = gap.std(ddof=1)
  assert found.effect_size == pytest.approx(gap.mean() / spread)
  assert found.ci95 == pytest.approx(
      stats.t.ppf(0.975, 3) * spread / np.sqrt(4))
  assert rows[0].groups['medium'].mia_gap.mean == pytest.approx(0.305)


def test_a_difference_without_spread_has_no_effect_size():
  same = {level: result(do_nothing=0.5) for level in ('low', 'medium', 'high')}
  row, = difficulty.by_level(same)
  assert row.falls.tow['low to high'].effect_size is None


def noisy(rows):
  """Differences that vary a little, so that intervals are above 0."""
  return [dataclasses.replace(row, falls=dataclasses.replace(row.falls, tow={
      step: Change(**vars(evaluation.summary(gap.mean + SEEDS / 10)),
                   effect_size=1.0) for step, gap in row.falls.tow.items()}))
          for row in rows]


def test_the_answer_counts_methods_and_names_the_contrary():
  rows = noisy(difficulty.by_level({
      'low': result(do_nothing=0.9, another_oracle=0.9, finetune=0.9, ssd=0.5),
      'medium': result(do_nothing=0.7, another_oracle=0.9, finetune=0.8,
                       ssd=0.6),
      'high': result(do_nothing=0.1, another_oracle=0.9, finetune=0.6,
                     ssd=0.9)}))
  rows[1] = dataclasses.replace(rows[1], variant='reference')
  *each, verdict = difficulty_findings.answer(rows, 'memorization')
  assert len(each) == 3  # Another oracle unlearns nothing.
  assert each[0].startswith('Do nothing: ToW 0.905 ± ')
  assert 'from low to high memorization it falls (−0.800' in each[0]
  assert 'rises (+0.40' in each[2]
  assert verdict == (
      'The more memorized the forget set, the harder it is to unlearn: shown '
      'for 1 of 2 methods (Fine-tune vanilla); the contrary for SSD vanilla; '
      'true of doing nothing.')


def test_the_answer_is_plain_where_all_methods_agree():
  rows = noisy(difficulty.by_level({
      level: result(do_nothing=tow, ssd=tow)
      for level, tow in (('low', 0.9), ('medium', 0.6), ('high', 0.3))}))
  assert difficulty_findings.answer(rows, 'entanglement')[-1] == (
      'The more entangled the forget set, the harder it is to unlearn: shown '
      'for all 1 methods.')


def test_a_dip_in_the_middle_is_told():
  rows = noisy(difficulty.by_level({
      level: result(do_nothing=0.9, ssd=tow)
      for level, tow in (('low', 0.8), ('medium', 0.5), ('high', 0.9))}))
  idle, ssd, _ = difficulty_findings.answer(rows, 'memorization')
  assert ssd.endswith('; it is lowest on medium.') and 'lowest' not in idle


def test_levels_of_other_rows_are_refused():
  with pytest.raises(ValueError):
    difficulty.by_level({'low': result(do_nothing=1), 'medium': result(
        do_nothing=1, ssd=1), 'high': result(do_nothing=1)})
