"""Checks of original and retrained models, with cases made by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from rum_jax import evaluation
from rum_jax.evaluation import reference_checks, results
from tests.evaluation.rows import make_row

SEEDS = (3, 4)


def assembled(*, test=0.9, fit=1.0, oracle_test=0.9, oracle_fit=1.0,
              retain=(1.0, 1.0), lost=False, chance=0.2):
  """Results of 90 retained, 10 forgotten and 100 held-out examples."""
  pair = lambda x: np.array([x, x])
  idle = make_row('do_nothing', 'reference', tow=pair(0.5),
                  test_accuracy=pair(test), retain_accuracy=pair(fit),
                  forget_accuracy=pair(fit))
  row = make_row('salun', 'vanilla', tow=pair(np.nan if lost else 0.8),
                 retain_accuracy=np.array(retain))
  summary = lambda x: evaluation.summary(pair(x))
  oracle = evaluation.Oracle(
      seconds=1.0, mia=summary(0.5), forget_accuracy=summary(0.5),
      retain_accuracy=summary(oracle_fit), test_accuracy=summary(oracle_test),
      groups={})
  group = evaluation.Group(
      size=10, rows=(), positions=(), mean_memorization=math.nan,
      refined_by='memorization', mean_score=math.nan, es=summary(1.0),
      corrupted=0)
  origin = results.Origin(
      recipe=results.RecordedRecipe(
          dataset='digits', network='mlp', held_out='test', corrupt=0.0,
          refine_by='memorization', seeds=2),
      environment=results.Environment(
          versions=results.Versions(jax='0.10.2'), device='cpu',
          platform='cpu', devices=1, cores=1, commit=None), data_hash='abc')
  return evaluation.assemble(
      origin, seeds=SEEDS, examples=results.Examples(train=100, held_out=100),
      corrupted=(), groups={'forget': group}, oracle=oracle, rows=[idle, row],
      chance=chance)


def test_good_models_are_sound():
  found = assembled()
  assert found.sound and found.warnings == () and found.margin == 0.02
  assert found.rows[1].collapsed == ()


@pytest.mark.parametrize(('given', 'words'), [
    ({'test': 0.2}, ['original', '0.200', 'guess 0.200']),
    ({'oracle_test': 0.25}, ['retrained', '0.250']),
    ({'fit': 0.46}, ['original', '46.0%', 'less than 90%']),
    ({'oracle_fit': 0.89}, ['retrained', '89.0%'])])
def test_models_at_chance_or_without_fit_are_named(given, words):
  found = assembled(**given)
  warning, = found.warnings
  assert not found.sound and all(word in warning for word in words)


def test_above_chance_has_to_be_shown_by_so_many_examples():
  # One standard error of 100 examples is 0.04 at a chance of 0.2.
  assert not assembled(test=0.27).sound and assembled(test=0.29).sound


def test_a_task_without_chance_is_judged_by_its_fit_alone():
  assert assembled(test=0.0, chance=None, retain=(0.0, 0.0)).sound
  assert not assembled(fit=0.5, chance=None).sound


def test_seeds_at_chance_on_the_retain_set_are_named():
  assert assembled(retain=(1.0, 0.21)).rows[1].collapsed == (4,)
  assert assembled(retain=(np.nan, 1.0)).rows[1].collapsed == ()


def test_all_that_diverged_is_said():
  assert assembled(lost=True).warnings == (reference_checks.ALL_DIVERGED,)


def test_chance_is_the_share_of_the_most_frequent_class():
  assert reference_checks.chance_of(np.array([0, 1, 2, 3]), 4) == 0.25
  assert reference_checks.chance_of(np.array([0, 1, 1, 1]), 4) == 0.75
  assert reference_checks.chance_of(np.array([0, 1]), 4) == 0.5


def test_rows_of_unsound_results_have_no_winner():
  good = assembled()
  more = dataclasses.replace(good, rows=(*good.rows, make_row(
      'scrub', 'vanilla', tow=np.array([0.9, 0.9]))))
  assert evaluation.winner(more).method == 'scrub'
  assert evaluation.winner(dataclasses.replace(more, sound=False)) is None


def test_groups_that_are_mostly_chance_are_named():
  faults = reference_checks.group_faults
  assert faults({'low': 0.9, 'medium': 0.6, 'high': np.nan}, 0.03, 0.95) == []
  fit, loose = faults({'low': 0.9, 'medium': 0.2, 'high': 0.1}, 0.03, 0.46)
  assert 'right about 46.0% of what they trained on' in fit
  assert 'agree on 20% of medium, 10% of high (random groups: 3%)' in loose
