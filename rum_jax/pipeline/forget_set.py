"""Scores of the training examples, and the groups to forget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rum_jax import datasets, recipes, refinement
from rum_jax.pipeline import builders, inputs, proxies, subset_models
from rum_jax.pipeline.context import Data, Runtime
from rum_jax.recipes import Recipe


class Difficulty(NamedTuple):
  """The scores by which low, medium and high groups are chosen.

  Attributes:
    score: `[N]`, the scores of the training examples; `None` if there are none.
    estimate: the estimate of memorization, or `None` where the scores are of a
      proxy.
  """

  score: np.ndarray | None
  estimate: subset_models.Estimate | None = None


def difficulty(recipe: Recipe, data: Data, runtime: Runtime) -> Difficulty:
  """The scores that the recipe names: memorization or a proxy of it."""
  if recipe.refine_by == recipes.MEMORIZATION:
    estimate = subset_models.estimate(recipe, data, runtime)
    return Difficulty(estimate.score, estimate)
  return Difficulty(proxies.score(recipe, data, runtime, recipe.refine_by))


def named(recipe: Recipe, data: Data, rows: str
          ) -> tuple[refinement.Groups, np.ndarray]:
  """The one group that somebody named, and the retain set; says what it holds.

  Args:
    recipe: gives the batch size.
    data: the data of the run.
    rows: what is to be forgotten, as `datasets.read_rows` takes it.

  Raises:
    OSError: if a file cannot be read.
    ValueError: if a row cannot be forgotten, or too little is left to retain.
  """
  found = datasets.read_rows(rows, data.source)
  groups, retain = alone(
      recipe, data, datasets.positions(found, data.source))
  whole = data.source.row[groups[0]]
  print(f'To forget: {datasets.describe_rows(whole, data.source)}')
  return groups, retain


def check_file(rows: str) -> None:
  """Refuses rows in a file that cannot be read, before anything else is done.

  Raises:
    OSError: naming the file.
  """
  if not rows or rows.startswith('class='):
    return
  try:
    with open(rows, 'rb'):
      pass
  except OSError as error:
    raise OSError(f'Cannot read rows={rows}: {error.strerror}.') from error


def alone(recipe: Recipe, data: Data, positions: np.ndarray
          ) -> tuple[refinement.Groups, np.ndarray]:
  """One group, and the retain set.

  Raises:
    ValueError: if too little is left to retain.
  """
  groups = _with_copies(recipe, data, (np.asarray(positions, np.int32),))
  inputs.check_retain(data.num_train, recipe.batch_size, len(groups[0]),
                      f'{len(groups[0])} rows to forget')
  retain = refinement.stages(groups, data.num_train)[0].retain
  return groups, np.asarray(retain)


def choose(recipe: Recipe, data: Data, score: np.ndarray | None
           ) -> tuple[refinement.Groups, np.ndarray]:
  """The low, medium and high groups, and the rows of the retain set.

  The medium group is nearest to 0.5 in memorization, and nearest to the median
  in a proxy.

  Raises:
    OSError: if the file of groups cannot be read.
    ValueError: if the groups are not usable, or a training example has no score
      in the file that the recipe names.
  """
  if recipe.groups:
    groups = inputs.read_groups(recipe.groups, data.source)
  elif score is None:
    raise ValueError('Expected scores, or groups in the recipe, found neither.')
  else:
    _check_known(recipe, data, score)
    middle = 0.5 if recipe.refine_by == recipes.MEMORIZATION else None
    groups = refinement.by_score(score, recipe.forget // 3, middle=middle,
                                 seed=refinement.TIES)
  groups = _with_copies(recipe, data, groups)
  count = sum(map(len, groups))
  inputs.check_retain(data.num_train, recipe.batch_size, count,
                      f'{count} rows to forget')
  return groups, refinement.retain_untouched(groups, data.num_train)[0]


class Chosen(NamedTuple):
  """The low, medium and high groups of a run, and how they were chosen.

  Attributes:
    groups: positions of the examples of each group.
    retain: positions of the retain set.
    copies: sentences on exact copies of the images to forget.
    score: `[N]`, the scores of the training examples; `None` if rows were given
      and no scores.
    estimate: the estimate of memorization that these scores are of.
  """

  groups: refinement.Groups
  retain: np.ndarray
  copies: Copies
  score: np.ndarray | None = None
  estimate: subset_models.Estimate | None = None


def chosen(recipe: Recipe, data: Data, runtime: Runtime,
           scored: bool = False) -> Chosen:
  """Chooses the groups, and names copies as soon as the groups are known.

  Groups that somebody gave are known before any model is trained; all others
  when the scores are.

  Args:
    recipe: names the groups, or the scores by which they are chosen.
    data: the data of the run.
    runtime: trains models for the scores.
    scored: whether scores are wanted even if groups are given.

  Raises:
    OSError: if a file cannot be read.
    ValueError: as `choose` does.
  """
  found = Difficulty(None)
  if recipe.groups:
    groups, retain = choose(recipe, data, None)
    said = copies(recipe, data, groups)
    if recipe.scores or scored:
      found = difficulty(recipe, data, runtime)
  else:
    found = difficulty(recipe, data, runtime)
    groups, retain = choose(recipe, data, found.score)
    said = copies(recipe, data, groups)
  return Chosen(groups, retain, said, *found)


def _with_copies(recipe: Recipe, data: Data, groups: refinement.Groups
                 ) -> refinement.Groups:
  """The groups, and after each group the copies that nobody has named."""
  if not recipe.with_copies:
    return groups
  ids = datasets.pixel_ids(data.source.dataset.image[:data.num_train])
  taken = np.zeros(data.num_train, bool)
  taken[np.concatenate(groups)] = True
  grown = []
  for rows in groups:
    more = np.flatnonzero(np.isin(ids, ids[rows]) & ~taken)
    taken[more] = True
    grown.append(np.concatenate([rows, more]).astype(np.int32))
  return tuple(grown)


class Copies(NamedTuple):
  """Exact copies of images, as whole sentences.

  Attributes:
    warnings: on those because of which nothing can be seen to be forgotten.
    notes: on all others, and on what was done.
  """

  warnings: tuple[str, ...] = ()
  notes: tuple[str, ...] = ()


def copies(recipe: Recipe, data: Data, groups: refinement.Groups,
           name: str = '') -> Copies:
  """Finds copies of the images to forget, and says so.

  Copies between the training and the held-out part are not printed, as every
  run names them at its start. Unless a name is given, they are in the notes.

  Args:
    recipe: says whether copies are forgotten, too.
    data: the data of the run.
    groups: positions, with copies where the recipe wants them.
    name: of the forget set, if a command has several.
  """
  source = data.source
  whole = builders.whole(recipe, data.folder) if source.apart else None
  found = datasets.exact_copies(
      source.row[np.concatenate(groups)], source, whole)
  texts = {x.part: datasets.describe_copies(x) for x in found if len(x.rows)}
  warnings = tuple(x for part, x in texts.items() if part == 'retain')
  both = '' if name else part_copies(data)
  notes = [*(x for part, x in texts.items() if part != 'retain'),
           *filter(None, [both])]
  if recipe.with_copies:
    notes.append('Exact copies of the images to forget are forgotten, too, '
                 'where they are among the training examples.')
  elif warnings:
    notes.append('The copies are not forgotten; with_copies=True forgets them, '
                 'too.')
  start = f'{name}: ' if name else ''
  for line in (*(f'Warning: {start}{x}' for x in warnings),
               *(f'{start}{x}' for x in notes if x != both)):
    print(line, flush=True)
  return Copies(warnings, tuple(notes))


def part_copies(data: Data) -> str:
  """A sentence on copies between training and held-out part; empty if none."""
  return datasets.describe_copies(
      datasets.part_copies(data.source), 'training examples')


def each_alone(recipe: Recipe, data: Data, sets: Mapping[str, np.ndarray]
               ) -> dict[str, np.ndarray]:
  """Several forget sets, each with its copies if they are wanted; names them.

  Args:
    recipe: says whether copies are forgotten, too.
    data: the data of the run.
    sets: name to positions.

  Raises:
    ValueError: if too little is left to retain.
  """
  grown = {}
  for name, rows in sets.items():
    groups, _ = alone(recipe, data, rows)
    copies(recipe, data, groups, name)
    grown[name] = groups[0].astype(rows.dtype)
  return grown


def _check_known(recipe: Recipe, data: Data, score: np.ndarray) -> None:
  """Refuses a file of scores that lacks some of the training examples."""
  lost = np.flatnonzero(~np.isfinite(score))
  if recipe.scores and len(lost):
    raise ValueError(
        f'Expected scores={recipe.scores} to hold a score of each of '
        f'{data.num_train} training examples, found none of {len(lost)} of '
        f'them, the first in row {data.source.row[lost[0]]} of the published '
        'training part.')
