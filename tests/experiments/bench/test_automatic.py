"""The figures of the search, and what is said of them."""

from __future__ import annotations

import pathlib

import pytest

from experiments.bench import automatic
from rum_jax import records
from rum_jax.evaluation import statistics

RESULTS = pathlib.Path(__file__).parents[3] / 'results'


@pytest.fixture(scope='module')
def report():
  return records.read(automatic.Report, RESULTS / 'auto.json')


def test_wins_and_losses_follow_from_the_figures(report):
  for found in report.data.values():
    said = {name: statistics.verdict(x) for name, x in found.gains.items()}
    assert found.wins == tuple(x for x, how in said.items() if how == 'better')
    assert found.losses == tuple(x for x, how in said.items() if how == 'worse')
    assert len(found.chosen) == len(report.seeds) >= 3
    assert max(found.search_epochs) <= report.recipe['budget']


def test_the_page_says_what_was_found(report):
  text = (RESULTS / 'README.md').read_text().split('## The search for a method')
  text = ' '.join(text[1].split('\n## ')[0].split())
  for name, found in report.data.items():
    wins = [x for x in found.wins if x != automatic.NOTHING]
    beaten = ('every default' if len(wins) == len(automatic.DEFAULTS) else
              ', '.join(wins) or 'no default')
    assert f'{name}: {found.tow[automatic.AUTO].mean:.3f} ± ' in text
    assert f'better than {beaten};' in text
    assert not found.losses
    expected = found.expected
    if expected:
      assert (f'{expected.correctness.mean:.3f} ± '
              f'{expected.correctness.ci95:.3f} by the ensemble, '
              f'{expected.retrained.mean:.3f} ± '
              f'{expected.retrained.ci95:.3f} retrained') in text
