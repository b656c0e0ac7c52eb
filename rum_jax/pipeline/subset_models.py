"""Estimates memorization from models that are trained on random subsets."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import functools
import math
import pathlib
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import memorization
from rum_jax.memorization import estimator, reliability, score_files
from rum_jax.memorization.ensemble import condensed, Ensemble, estimates, fit
from rum_jax.memorization.ensemble import Gathering
from rum_jax.memorization.published import Published, read, recognises
from rum_jax.pipeline import builders, context, fitting, segments
from rum_jax.pipeline import trained_models
from rum_jax.pipeline.context import Data, Runtime
from rum_jax.pipeline.progress import Progress
from rum_jax.recipes import Recipe
from rum_jax.storage import artefacts, hosts
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import Array, Examples, GROUPS, Model, Split, Variables

SEGMENT = 64  # Models in a segment; small networks take seconds on a CPU.


class Estimate(NamedTuple):
  """Memorization of the training examples.

  Attributes:
    correctness: scores from whether the models are right.
    probability: scores from the probability of the label, where there are
      models.
    models: the models that the scores come from; `None` if the scores were read
      from a file.
    halves: `[2, N]` scores of the two halves of the models, where they are
      known.
    fit: the mean accuracy of the models on their own training subsets; NaN
      where it is not known.
  """

  correctness: memorization.Memorization
  probability: memorization.Memorization | None = None
  models: Ensemble | None = None
  halves: np.ndarray | None = None
  fit: float = math.nan

  @property
  def score(self) -> np.ndarray:
    """`[N]` memorization, from correctness."""
    return self.correctness.score


def ensemble_identity(recipe: Recipe, data: Data) -> dict[str, Any]:
  """All that determines the predictions of the model with a given number."""
  return {
      'data': data.hash, 'holds': 'correctness and confidence',
      'held out': data.held_out_hash,
      **recipe.part(*trained_models.TRAINING, 'subset', 'first_seed')}


def segment_path(workdir: pathlib.Path, identity: dict[str, Any], first: int,
                 count: int) -> tuple[pathlib.Path, dict[str, Any]]:
  """The folder of a segment of models, and its identity."""
  whole = {**identity, 'first': first, 'count': count}
  return artefacts.path_of(workdir, f'models/{first:05d}', whole), whole


def ensemble(recipe: Recipe, data: Data, runtime: Runtime, first_model: int = 0
             ) -> tuple[Ensemble, list[tuple[int, Mapping[str, Any]]]]:
  """Trains `recipe.models` models, the first being number `first_model`.

  Returns:
    `(models, notes)`; `notes` holds for each segment the number of its models
    and the notes of its artefact.
  """
  identity, notes = ensemble_identity(recipe, data), []
  gathering = Gathering()
  todo = segments.segments(first_model, recipe.models, SEGMENT)
  progress = Progress('memorization', len(todo))
  for first, count in todo:
    place, whole = segment_path(runtime.workdir, identity, first, count)
    made = context.stage(runtime, place, whole, functools.partial(
        subset_models, recipe, data, runtime, place, whole, first, count))
    gathering.add(made.arrays)
    notes.append((count, made.notes))
    fitting.forget_states(place)
    progress.step(f'{first + count - first_model} models')
  return gathering.ensemble(), notes


def subset_models(recipe: Recipe, data: Data, runtime: Runtime,
                  place: pathlib.Path, identity: dict[str, Any], first: int,
                  count: int) -> Artefact:
  """The predictions of `count` models, each trained on a random subset."""
  seen, notes = trained(
      recipe, data, runtime, place, identity, first, count)
  where = f'{jax.device_count()} × {hosts.device_name()}'
  return Artefact(condensed(seen), notes={**notes, 'device': where})


@dataclasses.dataclass(frozen=True)
class Seen:
  """The function `(variables, subset, dataset) -> seen` of one model.

  Attributes:
    model: the network.
    num_train: the number of training examples.
  """

  model: Model
  num_train: int

  def __call__(self, variables: Variables, subset: Array, dataset: Examples
               ) -> memorization.Seen:
    return memorization.seen(
        self.model, self.num_train, variables, subset, dataset)


def trained(recipe: Recipe, data: Data, runtime: Runtime, place: pathlib.Path,
            identity: dict[str, Any], first: int, count: int
            ) -> tuple[memorization.Seen, dict[str, Any]]:
  """Trains `count` models.

  Returns:
    Their predictions, stacked, and the seconds.
  """
  n = data.num_train

  @jax.vmap
  def numbered(number: Array) -> tuple[Array, Array]:
    key = jax.random.fold_in(jax.random.key(recipe.first_seed), number)
    key_subset, key_fit = jax.random.split(key)
    return key_fit, memorization.random_subset(key_subset, n, recipe.subset)

  key, subset = numbered(first + jnp.arange(count))
  nobody = jnp.zeros((count, 0), jnp.int32)
  run, notes = trained_models.fit(
      recipe, data, runtime, 'subset models', place, identity, key,
      Split(nobody, subset), split_axis=0)
  lost = np.flatnonzero(~np.isfinite(np.asarray(run.loss)).all(axis=1))
  if len(lost):
    print(f'Warning: {len(lost)} models of memorization diverged, the first of '
          f'them number {first + lost[0]}; all their predictions count as '
          'wrong.', file=sys.stderr)
  seen, _ = runtime.programs.run(
      Seen(runtime.model, n), (0, 0, None), run.state.variables, subset,
      data.examples)
  return seen, notes


def check_enough(recipe: Recipe, n: int) -> None:
  """Refuses so few models that all or none of them train on some example."""
  lost = n * (recipe.subset**recipe.models + (1 - recipe.subset)**recipe.models)
  if lost > 0.5:
    raise ValueError(
        f'Expected models={recipe.models} to be enough: with '
        f'subset={recipe.subset:g}, about {lost:.0f} of {n} examples would be '
        'in all of them or in none, and have no score.')


def published(data: Data, path: str) -> Published:
  """Published scores of the training examples; prints how they were checked."""
  n = data.num_train
  scores = read(path, data.true_label[:n], row=data.source.row[:n])
  print(f'{path}: {scores.kind}; order {scores.order}.')
  return scores


def read_scores(recipe: Recipe, data: Data, path: str
                ) -> memorization.Memorization:
  """Scores of the training examples from a file, of this program or of others.

  A file of a whole published data set serves any part of it: its scores are
  matched by the published row of each example. Standard errors of a file of
  others are NaN.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if it is of other data, lacks an example, or is of published
      labels where some labels were changed.
  """
  if recognises(path):
    score = published(data, path).score
    unknown = np.full((3, data.num_train), np.nan)
    return memorization.Memorization(score, *unknown)
  if (score_files.of_examples(path, data.hash)
      or not score_files.of_published(path)):
    return score_files.load(path, data.num_train, data.hash)
  if len(data.corrupted):
    raise ValueError(
        f'Expected corrupt={recipe.corrupt} to be 0: scores={path} are of the '
        f'published labels, and {len(data.corrupted)} were made wrong.')
  return score_files.load_rows(path, data.source.row[:data.num_train],
                               builders.published_hash(recipe, data.folder))


def estimate(recipe: Recipe, data: Data, runtime: Runtime) -> Estimate:
  """Memorization of the training examples, from models or from a file."""
  path = score_files.located(recipe.scores)
  if path:
    scores, halves, fit = read_scores(recipe, data, path), None, math.nan
    if not recognises(path):
      halves, fit = score_files.load_reliability(
          path, data.source.row[:data.num_train])
    _warn_of_missing(scores.score)
    return Estimate(scores, halves=halves, fit=fit)
  check_enough(recipe, data.num_train)
  return estimated(ensemble(recipe, data, runtime)[0], data.num_train)


def estimated(models: Ensemble, num_train: int) -> Estimate:
  """Memorization of the training examples, from these models.

  A warning gives the number of examples without a score.
  """
  halves = np.stack([x.score for x in estimator.halves(
      models.correct, models.inside, num_train)])
  estimate = Estimate(**estimates(models, num_train), models=models,
                      halves=halves, fit=fit(models).mean)
  _warn_of_missing(estimate.score)
  return estimate


def _warn_of_missing(score: np.ndarray) -> None:
  lost = int((~np.isfinite(score)).sum())
  if lost:
    print(f'Warning: {lost} of {len(score)} examples are in all of the models '
          'or in none, and have no score; more models give them one.',
          file=sys.stderr)


def overlaps(recipe: Recipe, estimate: Estimate | None
             ) -> tuple[float, ...]:
  """Share of each group that two halves of the memorization models agree on.

  NaN where the halves are not known, or the groups are not chosen by them.
  """
  if estimate is None or estimate.halves is None or recipe.groups:
    return (math.nan,) * len(GROUPS)
  first, second = estimate.halves
  return reliability.group_overlaps(first, second, recipe.forget // 3)


def write(path: pathlib.Path, recipe: Recipe, data: Data, estimate: Estimate
          ) -> None:
  """Writes a score file, in the order of the training examples.

  Where no label was made wrong, the scores can be used for any part of the data
  set.
  """
  published_hash = '' if len(data.corrupted) else builders.published_hash(
      recipe, data.folder)
  score_files.save(
      path, estimate.correctness, data.source.row[:data.num_train], data.hash,
      estimate.probability, published_hash=published_hash,
      halves=estimate.halves,
      fit=estimate.fit if math.isfinite(estimate.fit) else None)
