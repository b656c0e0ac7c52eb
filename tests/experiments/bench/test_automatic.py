"""The figures of the search, and what is said of them."""

from __future__ import annotations

import dataclasses
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


def test_the_page_follows_the_figures(report):
  text = automatic.page(report)
  for name, found in report.data.items():
    assert f'* {name}: the search is ' in text
    for tow in found.tow.values():
      assert f'{tow.mean:.3f} ± {tow.ci95:.3f}' in text
  worst = dataclasses.replace(
      next(iter(report.data.values())), wins=(), losses=('finetune',))
  other = dataclasses.replace(report, data={'x': worst})
  assert 'better than no default, and worse than finetune.' in (
      automatic.page(other))
