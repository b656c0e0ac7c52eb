"""Memorization that is kept: how reliable it is, and for which examples."""

from __future__ import annotations

import numpy as np
import pytest

from rum_jax import memorization
from rum_jax.evaluation import reference_checks
from rum_jax.memorization import ensemble
from rum_jax.pipeline import context, results, subset_models
from rum_jax.recipes import Recipe
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import GROUPS

RECIPE = Recipe(dataset='mine', corrupt=0.0, forget=30, seeds=2)


@pytest.fixture
def mine(tmp_path):
  """Data of 200 examples, and 40 models that know nothing, in a folder."""
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (200, 4, 4, 1), dtype=np.uint8)
  np.savez(tmp_path / 'mine.npz', x_train=image, y_train=np.arange(200) % 5,
           x_test=image[:20], y_test=np.arange(20) % 5)
  inside = rng.random((40, 200)) < 0.7
  models = ensemble.Ensemble(
      memorization.pack(rng.random((40, 200)) < 0.5),
      memorization.pack(inside), memorization.pack(np.ones((40, 20), bool)),
      memorization.Sums(*np.ones((3, 2, 2, 200))))
  data = context.load(RECIPE, str(tmp_path))
  return data, subset_models.estimated(models, 200)


def test_a_score_file_keeps_fit_and_halves_and_serves_parts_of_the_data(
    mine, tmp_path, capsys):
  data, found = mine
  path = tmp_path / 'scores.npz'
  subset_models.write(path, RECIPE, data, found)
  assert found.fit == pytest.approx(0.5, abs=0.05)
  for fields in ({}, {'validation': 0.2}, {'held_out': 'validation'}):
    recipe = Recipe(**{**vars(RECIPE), **fields, 'scores': str(path)})
    part = context.load(recipe, str(tmp_path))
    read = subset_models.estimate(recipe, part, None)
    rows = part.source.row[:part.num_train]
    assert len(rows) == (160 if fields else 200)
    np.testing.assert_array_equal(read.score, found.score[rows])
    np.testing.assert_array_equal(read.halves, found.halves[:, rows])
    assert read.fit == found.fit
  assert 'no score' not in capsys.readouterr().err


def test_groups_of_models_that_know_nothing_are_said_to_be_chance(mine):
  data, found = mine
  groups = tuple(np.arange(10 * g, 10 * g + 10) for g in range(3))
  features = np.random.default_rng(1).normal(size=(2, 220, 3))
  about = results.describe_groups(
      RECIPE, data, dict(zip(GROUPS, groups)), np.arange(30, 200),
      Artefact({'features': features}), found.score, found)
  overlaps = {name: x.overlap for name, x in about.items()}
  assert max(overlaps.values()) < 0.5
  assert all(0 < x.standard_error < 1 for x in about.values())
  assert len(reference_checks.group_faults(overlaps, 0.05, found.fit)) == 2
  given = Recipe(**{**vars(RECIPE), 'groups': 'some.json'})
  assert np.isnan(subset_models.overlaps(given, found)).all()


def test_examples_without_a_score_are_announced(capsys):
  always = np.ones((16, 8), bool)
  always[:4, 1:] = False  # The first example is in all models.
  models = ensemble.Ensemble(
      memorization.pack(always), memorization.pack(always),
      memorization.pack(always), memorization.Sums(*np.ones((3, 2, 2, 8))))
  subset_models.estimated(models, 8)
  assert 'Warning: 1 of 8 examples are in all of the models' in (
      capsys.readouterr().err)
