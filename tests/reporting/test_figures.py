"""Figures are valid SVG, have descriptions, and fit into a page."""

from __future__ import annotations

import dataclasses
import re
import types
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from rum_jax.evaluation import Row, Summary
from rum_jax.evaluation.results import GroupFigures
from rum_jax.reporting import figures
from rum_jax.reporting.figures import palette
from rum_jax.types import GROUPS

SVG = '{http://www.w3.org/2000/svg}'


def figure(*values):
  return Summary(mean=float(np.mean(values)), ci95=0.02, values=values)


@dataclasses.dataclass
class Drawn:
  """What the pictures of results take."""

  oracle: Any
  rows: list[Row]
  seeds: tuple[int, ...] = (0, 1)


def make_results(seconds=0.4):
  def row(method, variant, tow):
    rest = dict.fromkeys((
        'tow_by_group', 'tow_mia', 'mia_gap', 'forget_accuracy',
        'retain_accuracy', 'test_accuracy'), figure(tow, tow))
    return Row(
        **rest, method=method, variant=variant, diverged=(), steps=(),
        tow=figure(tow - 0.1, tow + 0.1), seconds=figure(0.2, 0.2),
        compile_seconds=0.0, probes=(), setting=None,
        groups={group: GroupFigures(tow=figure(tow, tow),
                                    forget_accuracy=figure(tow, tow))
                for group in GROUPS})

  variants = ('vanilla', 'matched', 'shuffle', 'rum_f')
  return Drawn(types.SimpleNamespace(seconds=seconds), [
      row('do_nothing', 'reference', 0.5),
      row('another_oracle', 'reference', 0.9),
      *(row(method, variant, 0.7) for method in ('salun', 'other')
        for variant in variants),
      row('rum', 'rum', 0.8)])


def lost(results):
  """The same with a run that diverged and one of a single seed."""
  nothing = Summary(mean=np.nan, ci95=np.nan, values=(np.nan, np.nan))
  first, second = results.rows[2:4]
  results.rows[2] = dataclasses.replace(first, tow=nothing, groups={
      group: GroupFigures(tow=nothing, forget_accuracy=nothing)
      for group in GROUPS})
  results.rows[3] = dataclasses.replace(
      second, tow=dataclasses.replace(second.tow, ci95=np.nan))
  return results


def draw(name, results=None):
  rng = np.random.default_rng(0)
  score = np.r_[rng.random(60), np.nan]
  group = np.r_[np.repeat([0, 1, 2, -1], 15), -1]
  if name == 'memorization_histogram':
    return figures.memorization_histogram(score, group)
  if name == 'embedding':
    return figures.embedding(rng.normal(size=(61, 2)), group)
  if name == 'examples':
    image = rng.integers(0, 256, (3, 7, 4, 4, 3), dtype=np.uint8)
    label = np.zeros((3, 7), int)
    true_label = label.copy()
    true_label[2, 3] = 1
    return figures.examples(
        image, label, true_label, ['cat <', 'aquarium_fish'],
        score[:21].reshape(3, 7))
  results = results or make_results()
  if name == 'tow_by_group':
    return figures.tow_by_group(results.rows)
  return getattr(figures, name)(results)


NAMES = ('tow_by_method', 'memorization_histogram', 'examples', 'tow_by_group',
         'embedding', 'cost')


def texts(svg):
  return [''.join(x.itertext()) for x in ElementTree.fromstring(svg).iter(
      f'{SVG}text')]


@pytest.mark.parametrize('name', NAMES)
def test_picture_is_xml_of_its_own_and_blends_in(name):
  svg = draw(name)
  root = ElementTree.fromstring(svg)
  assert root.tag == f'{SVG}svg' and root.get('role') == 'img'
  assert root.get('aria-label') and root.get('viewBox')
  assert 'currentColor' in svg and palette.INK not in svg
  assert not re.search(r'<style|<metadata|<script|DejaVu', svg)
  links = re.findall(r'href="([^"]*)"', svg)
  assert all(x.startswith(('#', 'data:image/png;base64,')) for x in links)
  ids = re.findall(r' id="([^"]*)"', svg)
  assert len(ids) == len(set(ids))
  assert {x[1:] for x in links if x[0] == '#'} <= set(ids)


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('name', ('tow_by_method', 'tow_by_group', 'cost'))
def test_missing_figures_leave_gaps_and_no_warning(name):
  ElementTree.fromstring(draw(name, lost(make_results())))


def test_nothing_to_retrain_leaves_the_cost_empty():
  assert '0.50' not in texts(figures.cost(make_results(seconds=0.0)))
  assert texts(figures.cost(make_results())).count('0.50') == 9


def test_no_two_pictures_share_an_id():
  found = [i for name in NAMES for i in set(re.findall(r' id="([^"]*)"',
                                                       draw(name)))]
  assert len(found) == len(set(found))


def test_a_picture_is_the_same_every_time():
  assert draw('tow_by_group') == draw('tow_by_group')


def test_tow_by_method_shows_every_seed():
  svg = draw('tow_by_method')
  dots = [x for x in re.findall(r'<use[^>]*>', svg) if 'fill-opacity: 0.6' in x]
  assert len(dots) == 2 * 9
  said = texts(svg)
  assert {'SalUn', 'other', 'vanilla', 'RUM', 'do nothing', 'another oracle'
          } <= set(said)


def test_examples_name_labels_and_true_labels_where_they_are_wrong():
  said = texts(draw('examples'))
  assert said.count('cat <') == 21 and said.count('is aquarium_…') == 1
  assert [x for x in said if 'memorization' in x] == [
      f'{group} memorization' for group in GROUPS]


def test_grey_images_are_drawn():
  image = np.zeros((3, 2, 8, 8, 1), np.uint8)
  label = np.zeros((3, 2), int)
  svg = figures.examples(image, label, label, ['0'], np.zeros((3, 2)))
  assert svg.count('data:image/png') == 6


def test_histogram_says_what_it_shows_and_cuts_nothing_off():
  score = np.linspace(-0.2, 40, 100)
  svg = figures.memorization_histogram(score, np.full(100, -1), 'by loss')
  said = texts(svg)
  assert 'by loss' in said and {'0', '40'} <= set(said)
  assert 'memorization' in texts(draw('memorization_histogram'))


def test_many_points_stay_small():
  rng = np.random.default_rng(0)
  n = 50_000
  group = np.full(n, -1)
  group[:3000] = np.arange(3000) % 3
  svg = figures.embedding(rng.normal(size=(n, 2)), group)
  assert len(svg) < 500_000
  assert len(figures.memorization_histogram(rng.random(n), group)) < 100_000


def test_drawing_leaves_no_trace_in_matplotlib():
  import matplotlib
  before = dict(matplotlib.rcParams)
  draw('cost')
  assert dict(matplotlib.rcParams) == before
