"""Overlaps of partitions, and counts of findings over variations."""

from __future__ import annotations

import numpy as np
import pytest

from rum_jax import evaluation
from rum_jax.evaluation import difficulty
from rum_jax.evaluation.difficulty import Change, Changes, FactorRow, Share
from rum_jax.reporting import difficulty_findings, figures

ES = [np.array([1.0, 2.0]), np.array([2.0, 3.0]), np.array([5.0, 4.0])]
SHARES = {level: Share(share=share, chance=0.1)
          for level, share in (('low', 0.5), ('medium', 0.1), ('high', 0.04))}


def row(method, fall):
  gaps = fall + np.array([0.01, 0.0, -0.01])
  change = {'low to high': Change(
      **vars(evaluation.summary(gaps)), effect_size=None)}
  return FactorRow(
      method=method, variant='vanilla' if method == 'ssd' else 'reference',
      diverged=(), groups={},
      falls=Changes(tow=change, tow_mia=change, mia_gap=change))


def entry(axis, value, fall, es=None, shares=None, control=False):
  rows = [row('do_nothing', 0.0), row('another_oracle', 0.0), row('ssd', fall)]
  return difficulty.variation(axis, value, shares or SHARES, es or ES, rows,
                           chosen=es is None, control=control)


@pytest.fixture
def found():
  return [
      entry('', '', -0.5), entry('seed', '1', -0.4),
      entry('layer', 'first', 0.3, es=ES, shares={
          **SHARES, 'low': Share(share=0.7, chance=0.1)}),
      entry('layer', 'logits', 0.0, es=ES[::-1]),
      entry('procedure', 'random', 0.0, control=True)]


def test_shares_are_of_the_smaller_set():
  mine = np.array([1, 2, 3]), np.array([4, 5]), np.array([6])
  other = np.array([3, 9]), np.array([5, 4]), np.array([7, 8, 9, 6])
  got = difficulty.compared(mine, other, 20)
  assert got == {'low': Share(share=0.5, chance=0.15),
                 'medium': Share(share=1.0, chance=0.1),
                 'high': Share(share=1.0, chance=0.2)}


def test_order_is_that_of_the_means_over_seeds():
  assert difficulty.in_order(ES)
  assert not difficulty.in_order(ES[::-1])
  assert not difficulty.in_order([ES[0], ES[0], ES[1]])


def test_the_paragraph_counts_choices_and_sets_the_control_apart(found):
  assert difficulty_findings.paragraph(found) == [
      'Another seed keeps 50% of the low set and 4% of the high set (chance: '
      '10%).',
      'Another layer keeps 50% to 70% of the low set and 4% of the high set '
      '(chance: 10%).',
      "Of the 2 whose sets the reference's features did not choose, 1 have "
      'them in order of ES by these, not layer: logits.',
      'Do nothing: from low to high ES, ToW cannot be told in 4 of 4 '
      'choices, the reference among them.',
      'SSD vanilla: from low to high ES, ToW falls in 2 (reference and seed: '
      '1), rises in 1 (layer: first), cannot be told in 1 of 4 choices, the '
      'reference among them.',
      'Sets of random examples, the control: from low to high ES, ToW cannot '
      'be told in 2 of 2 rows.']


def test_sets_that_es_chose_prove_no_order(found):
  said = difficulty_findings.paragraph(
      [x for x in found if x.axis != 'layer'])
  assert not any('in order' in sentence for sentence in said)


def test_a_control_that_differs_is_a_warning(found):
  found[-1] = entry('procedure', 'random', -0.2, control=True)
  control, warning = difficulty_findings.paragraph(found)[-2:]
  assert 'falls in 1 (SSD vanilla), cannot be told in 1 of 2' in control
  assert warning.startswith('So two single sets may differ')


def test_the_picture_names_every_choice(found):
  svg = figures.sensitivity_of_entanglement(found)
  for text in ('reference', 'seed: 1', 'layer: first', 'by chance', 'SSD',
               'Do nothing'):
    assert f'>{text}<' in svg
  assert 'Another oracle' not in svg
