"""Trains the memorization models of a shard; gives the identity of shards."""

from __future__ import annotations

from collections.abc import Collection
import pathlib
from typing import Any

import jax
import numpy as np

from rum_jax import memorization, recipes, trees
from rum_jax.memorization import shards
from rum_jax.pipeline import fitting, subset_models
from rum_jax.pipeline.context import Data, Runtime
from rum_jax.storage import artefacts, hosts

_PUBLISHED = {'validation': 0.0, 'examples': 0, 'corrupt': 0.0,
              'held_out': 'test', 'augment': 'none', 'milestones': ''}
# The names and values in an identity must never change, because shards are made
# over months.
_TRAINING = {'precision': 'precision', 'epochs': 'epochs',
             'batch_size': 'batch_size', 'learning_rate': 'peak_learning_rate',
             'momentum': 'momentum', 'bias_rate': 'norm_bias_rate',
             'weight_decay': 'weight_decay'}
_SCHEDULES = {'cosine': 'cosine to 0', 'triangle': 'linear, 0.2 to 1 at 23 %, '
              'then to 0.07'}


def identity_of(recipe: recipes.Recipe, data: Data) -> dict[str, Any]:
  """The identity of a shard of this recipe.

  Raises:
    ValueError: if the recipe does not train on all published examples.
  """
  source = data.source
  for name, value in _PUBLISHED.items():
    found = getattr(recipe, name)
    if found != value:
      raise ValueError(f'Expected {name}={found} to be {value or "empty"}: '
                       'shards use all published examples without '
                       'augmentation, and a learning rate without milestones.')
  if recipe.network in recipes.OF_ANY_WIDTH and not recipe.widths:
    raise ValueError(f'Expected widths of network={recipe.network}, which are '
                     'part of what a shard is, found none.')
  train, held_out = (trees.take(source.dataset, rows)
                     for rows in (source.train, source.test))
  return shards.identity(
      train, held_out, {'name': recipe.network, **recipe.channels,
               'input': 'normalised by channel moments of the training images'},
      {'loss': 'cross-entropy', 'augmentation': 'none', 'optimiser':
       "SGD with Nesterov's momentum" if recipe.nesterov else
       'SGD with momentum', 'schedule': _SCHEDULES[recipe.schedule],
       **{name: getattr(recipe, field) for field, name in _TRAINING.items()}},
      {'rule': 'fold_in(key(seed), number), split, permutation',
       'share': recipe.subset, 'seed': recipe.first_seed})


def trained(recipe: recipes.Recipe, data: Data, runtime: Runtime,
            identity: dict[str, Any], first: int, count: int) -> shards.Shard:
  """Trains models `first` to `first + count − 1`."""
  whole, place = _place(runtime, identity, first, count)
  place.parent.mkdir(parents=True, exist_ok=True)
  seen, notes = subset_models.trained(
      recipe, data, runtime, place, whole, first, count)
  seen = jax.tree.map(np.asarray, seen)
  level = np.round(seen.level * (shards.LEVELS / memorization.LEVELS))
  return shards.Shard(
      identity, first, memorization.pack(seen.inside),
      memorization.pack(seen.correct), memorization.pack(seen.held_out),
      level.astype(np.uint8),
      {**notes, 'device': f'{jax.device_count()} × {hosts.device_name()}',
       'fit': [float(r[i].mean()) for r, i in zip(seen.correct, seen.inside)],
       'held_out': seen.held_out.mean(1).tolist()})


def forget_state(runtime: Runtime, identity: dict[str, Any], first: int,
                 count: int) -> None:
  """Deletes the saved states of a shard's training."""
  fitting.forget_states(_place(runtime, identity, first, count)[1])


def _place(runtime: Runtime, identity: dict[str, Any], first: int, count: int
           ) -> tuple[dict[str, Any], pathlib.Path]:
  whole = {**identity, 'first': first, 'count': count}
  return whole, artefacts.path_of(
      runtime.workdir, f'models/{first:05d}', whole)


def missing(there: Collection[int], first: int, end: int, each: int
            ) -> list[tuple[int, int]]:
  """`(first, count)` of the missing files, with at most `each` models."""
  parts: list[tuple[int, int]] = []
  for number in range(first, end):
    if number in there:
      continue
    start, count = parts[-1] if parts else (-1, 0)
    if count < each and start + count == number:
      parts[-1] = start, count + 1
    else:
      parts.append((number, 1))
  return parts
