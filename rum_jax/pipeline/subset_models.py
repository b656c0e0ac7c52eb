"""Memorization, from models on random subsets: made, kept and put together."""

from __future__ import annotations

from collections.abc import Mapping
import functools
import pathlib
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import memorization
from rum_jax.memorization import score_files
from rum_jax.memorization.ensemble import condensed, Ensemble, estimates
from rum_jax.memorization.ensemble import Gathering
from rum_jax.memorization.published import Published, read, recognises
from rum_jax.pipeline import fitting, segments, stages
from rum_jax.pipeline.progress import Progress
from rum_jax.pipeline.stages import Setup
from rum_jax.storage import artefacts, hosts
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import Array, Split

SEGMENT = 64  # Models between two saves: seconds on a CPU with small networks.


def ensemble_identity(setup: Setup) -> dict[str, Any]:
  """What decides what a memorization model of a given number says."""
  return {
      'data': setup.data_hash, 'holds': 'correctness and probability',
      'held out': setup.held_out_hash,
      **setup.recipe.part(*stages.TRAINING, 'subset', 'first_seed')}


def segment_place(root: pathlib.Path, identity: dict[str, Any], first: int,
                  count: int) -> tuple[pathlib.Path, dict[str, Any]]:
  """Where a segment of models lies, and its identity."""
  whole = {**identity, 'first': first, 'count': count}
  return artefacts.place(root, f'models/{first:05d}', whole), whole


def ensemble(setup: Setup, first_model: int = 0) -> tuple[
    Ensemble, list[tuple[int, Mapping[str, Any]]]]:
  """Trains `recipe.models` models, the first being number `first_model`.

  Returns:
    `(models, notes)`, the latter of each segment, with how many it has.
  """
  identity, notes = ensemble_identity(setup), []
  gathering = Gathering()
  todo = segments.segments(first_model, setup.recipe.models, SEGMENT)
  progress = Progress('memorization', len(todo))
  for first, count in todo:
    place, whole = segment_place(setup.root, identity, first, count)
    made = artefacts.stage(place, whole, functools.partial(
        subset_models, setup, place, whole, first, count))
    gathering.add(made.arrays)
    notes.append((count, made.notes))
    fitting.forget_states(place)
    progress.step(f'{first + count - first_model} models')
  return gathering.ensemble(), notes


def subset_models(setup: Setup, place: pathlib.Path, identity: dict[str, Any],
                  first: int, count: int) -> Artefact:
  """What `count` models say, each trained on a random subset of its own."""
  seen, notes = trained(setup, place, identity, first, count)
  where = f'{jax.device_count()} × {hosts.device_name()}'
  return Artefact(condensed(seen), notes={**notes, 'device': where})


def trained(setup: Setup, place: pathlib.Path, identity: dict[str, Any],
            first: int, count: int) -> tuple[memorization.Seen, dict[str, Any]]:
  """Trains `count` models; returns what they say, stacked, and the seconds."""
  recipe, n = setup.recipe, setup.source.num_train

  @jax.vmap
  def numbered(number: Array) -> tuple[Array, Array]:
    key = jax.random.fold_in(jax.random.key(recipe.first_seed), number)
    key_subset, key_fit = jax.random.split(key)
    return key_fit, memorization.random_subset(key_subset, n, recipe.subset)

  key, subset = numbered(first + jnp.arange(count))
  nobody = jnp.zeros((count, 0), jnp.int32)
  run, notes = stages.fitted(setup, 'subset models', place, identity, key,
                      Split(nobody, subset), split_axis=0)
  lost = np.flatnonzero(~np.isfinite(np.asarray(run.loss)).all(axis=1))
  if len(lost):
    print(f'Warning: {len(lost)} models of memorization diverged, the first of '
          f'them number {first + lost[0]}; they count as wrong about all.',
          file=sys.stderr)
  seen, _ = setup.programs.run(
      'seen', functools.partial(memorization.seen, setup.model, n),
      (0, 0, None), run.state.variables, subset, setup.dataset)
  return seen, notes


def check_enough(setup: Setup) -> None:
  """Refuses so few models that some examples are in all or in none."""
  recipe, n = setup.recipe, setup.source.num_train
  lost = n * (recipe.subset**recipe.models + (1 - recipe.subset)**recipe.models)
  if lost > 0.5:
    raise ValueError(
        f'Expected models={recipe.models} to be enough: with '
        f'subset={recipe.subset:g}, about {lost:.0f} of {n} examples would be '
        'in all of them or in none, and have no score.')


def published(setup: Setup, path: str) -> Published:
  """Scores of others for the training examples; says how sure the order is."""
  n = setup.source.num_train
  found = read(
      path, setup.true_label[:n], row=setup.source.row[:n])
  print(f'{path}: {found.kind}; order {found.order}.')
  return found


def estimate(setup: Setup, models: Ensemble | None = None
             ) -> memorization.Memorization:
  """Memorization of the training examples, from models or from a file."""
  n, probability = setup.source.num_train, None
  path = score_files.located(setup.recipe.scores)
  if path and recognises(path):
    found = published(setup, path)
    estimated = memorization.Memorization(found.score, *np.full((3, n), np.nan))
  elif path:
    estimated = score_files.load(path, n, setup.data_hash)
  else:
    if models is None:
      check_enough(setup)
      models, _ = ensemble(setup)
    estimated, probability = estimates(models, n).values()
  score_files.save(setup.root / 'memorization.npz', estimated,
                   setup.source.row[:n], setup.data_hash, probability)
  return estimated
