"""Copies of images to forget are named, and forgotten where that is wanted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from experiments import difficulty
from rum_jax.pipeline import context, forget_set
from rum_jax.recipes import Recipe
from rum_jax.types import GROUPS

ROWS = ([0, 1], [2, 60], [3, 4])  # 60 is a copy of 0.


@pytest.fixture
def prepared(tmp_path):
  """`(recipe fields) -> recipe, data` of 60 images, each there four times."""
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (60, 4, 4, 1), dtype=np.uint8)
  train = np.tile(image, (4, 1, 1, 1))
  test = rng.integers(0, 256, (20, 4, 4, 1), dtype=np.uint8)
  test[7] = image[2]
  np.savez(tmp_path / 'mine.npz', x_train=train, y_train=np.arange(240) % 5,
           x_test=test, y_test=np.arange(20) % 5)

  def prepare(**fields):
    recipe = Recipe(dataset='mine', corrupt=0.0, forget=6, batch_size=16,
                    **fields)
    return recipe, context.load(recipe, str(tmp_path))

  return prepare


def groups_of(data, rows=ROWS):
  position = {row: i for i, row in enumerate(data.source.row[:data.num_train])}
  return tuple(np.array([position[row] for row in part]) for part in rows)


def test_copies_that_stay_are_counted_and_named(prepared, capsys):
  recipe, data = prepared()
  found = forget_set.copies(recipe, data, groups_of(data))
  warning, = found.warnings
  assert warning.startswith('6 of the rows to forget (0, 1, 2, 3, 4')
  assert 'have 14 exact copies among the training examples that stay' in warning
  said = capsys.readouterr().out
  assert f'Warning: {warning}' in said
  in_test, both, done = found.notes
  assert '1 of the rows to forget (2) has 1 exact copy' in in_test
  assert '4 of the training examples (2, 62, 122, 182) have 1' in both
  assert 'with_copies=True forgets them' in done
  # This was said at the start of the run.
  assert both not in said and both == forget_set.part_copies(data)


@pytest.mark.parametrize('given', [True, False])
def test_copies_are_named_as_soon_as_the_groups_are_known(
    prepared, capsys, monkeypatch, tmp_path, given):
  path = tmp_path / 'groups.json'
  path.write_text(json.dumps(dict(zip(GROUPS, ROWS))))
  recipe, data = prepared(groups=str(path) if given else '')
  before = []

  def scores(*_):
    before.append(capsys.readouterr().out)
    return forget_set.Difficulty(np.linspace(0, 1, data.num_train))

  monkeypatch.setattr(forget_set, 'difficulty', scores)
  found = forget_set.chosen(recipe, data, None, scored=True)
  said = before[0] if given else capsys.readouterr().out
  assert len(before) == 1 and bool(before[0]) == given
  assert f'Warning: {found.copies.warnings[0]}' in said
  assert found.score is not None and sum(map(len, found.groups)) == 6
  if given:  # Without scores nothing is trained at all.
    assert forget_set.chosen(recipe, data, None).score is None
    assert len(before) == 1


@pytest.mark.parametrize('with_copies', [False, True])
def test_each_set_alone_has_its_own_copies(prepared, capsys, with_copies):
  recipe, data = prepared(with_copies=with_copies)
  found = difficulty.named(recipe, data, 'entanglement', groups_of(data))
  said = capsys.readouterr().out
  assert list(found) == [
      f'{x} entanglement' for x in ('Low', 'Medium', 'High')]
  assert [len(x) for x in found.values()] == (
      [8, 8, 8] if with_copies else [2, 2, 2])
  # What another set holds stays when this one is forgotten.
  assert ('Warning: Medium entanglement: 2 of the rows to forget (2, 60) have '
          '6 exact copies' in said) != with_copies


def test_copies_in_parts_that_are_set_apart_are_named_too(prepared):
  recipe, data = prepared(validation=0.25)
  here = set(data.source.row[:data.num_train].tolist())
  rows = [sorted(here & set(range(60)))[:2]] * 1
  found = forget_set.copies(recipe, data, groups_of(data, rows))
  apart = set(dict(data.source.apart)['validation'].tolist())
  copied = {r + 60 * k for r in rows[0] for k in range(4)} & apart
  parts = [x for x in found.notes if 'validation' in x]
  assert len(parts) == bool(copied)


@pytest.mark.parametrize('single', [False, True])
def test_with_copies_they_are_forgotten(prepared, capsys, single):
  recipe, data = prepared(with_copies=True)
  if single:
    groups, retain = forget_set.alone(
        recipe, data, np.concatenate(groups_of(data)))
  else:
    groups = forget_set._with_copies(recipe, data, groups_of(data))
    retain = np.setdiff1d(np.arange(240), np.concatenate(groups))
  gone = np.concatenate(groups)
  assert sorted(gone % 60) == sorted([0, 1, 2, 3, 4] * 4)
  assert len(np.unique(gone)) == 20 and len(retain) == 220
  found = forget_set.copies(recipe, data, groups)
  assert not found.warnings and 'are forgotten, too' in found.notes[-1]
