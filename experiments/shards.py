"""Trains memorization models of a published data set, a few at a time.

  python -m experiments.shards --shards=DIR \
    --flagfile=experiments/flags/cifar10_memorization.flags
  python -m experiments.shards --first_model=64 ...  # On another machine.

Every few models become a small file; `rum_jax.memorization.shards` says what it
holds. Stopped, it goes on where it was. Files of other machines may be copied
into the folder at any time. `--models` is the number of the last model plus 1.
"""

from __future__ import annotations

from collections.abc import Collection
import pathlib
from typing import Any

from absl import flags
import jax
import numpy as np

from rum_jax import memorization, recipes, trees
from rum_jax.commands import app
from rum_jax.memorization import shards
from rum_jax.pipeline import fitting, subset_models
from rum_jax.pipeline.context import Data, Runtime
from rum_jax.pipeline.progress import Progress
from rum_jax.storage import artefacts, hosts

FOLDER = flags.DEFINE_string(
    'shards', None, 'Folder of the files.', required=True)
FIRST = flags.DEFINE_integer(
    'first_model', 0, 'The first model.', lower_bound=0)
EACH = flags.DEFINE_integer(
    'each', 2, 'Models in a file.', lower_bound=1)

_PUBLISHED = {'validation': 0.0, 'examples': 0, 'corrupt': 0.0,
              'held_out': 'test', 'augment': 'none', 'milestones': ''}
# The names and values in an identity never change: shards are made over months.
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
                       'shards are of all published examples, each seen as it '
                       'is, at a rate without milestones.')
  if recipe.network in recipes.OF_ANY_WIDTH and not recipe.widths:
    raise ValueError(f'Expected widths of network={recipe.network}, which are '
                     'part of what a shard is, found none.')
  parts = [trees.take(source.dataset, rows)
           for rows in (source.train, source.test)]
  return shards.identity(
      *parts, {'name': recipe.network, **recipe.channels,
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
  whole = {**identity, 'first': first, 'count': count}
  place = artefacts.place(runtime.workdir, f'models/{first:05d}', whole)
  place.parent.mkdir(parents=True, exist_ok=True)
  seen, notes = subset_models.trained(
      recipe, data, runtime, place, whole, first, count)
  seen = jax.tree.map(np.asarray, seen)
  level = np.round(seen.level * (shards.LEVELS / memorization.LEVELS))
  return shards.Shard(
      identity, first, *(memorization.pack(x) for x in (
          seen.inside, seen.correct, seen.held_out)), level.astype(np.uint8),
      {**notes, 'device': f'{jax.device_count()} × {hosts.device_name()}',
       'fit': [float(r[i].mean()) for r, i in zip(seen.correct, seen.inside)],
       'held_out': seen.held_out.mean(1).tolist()})


def missing(there: Collection[int], first: int, end: int, each: int
            ) -> list[tuple[int, int]]:
  """`(first, count)` of the files to make, `each` models in one at most."""
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


def main() -> None:
  recipe, data, runtime = app.begin('shards_', forgets=False)
  folder, identity = pathlib.Path(FOLDER.value), identity_of(recipe, data)
  there = set()
  for path in sorted(folder.glob('models-*.npz')):
    shard = shards.merged([path], identity)
    there |= set(range(shard.first, shard.first + shard.models))
  todo = missing(there, FIRST.value, recipe.models, EACH.value)
  print(f'{len(there)} models are in {folder}; {sum(c for _, c in todo)} are '
        'to be trained.', flush=True)
  progress = Progress('memorization models', len(todo)) if todo else None
  for first, count in todo:
    shard = trained(recipe, data, runtime, identity, first, count)
    path = shards.write(folder, shard)
    whole = {**identity, 'first': first, 'count': count}
    fitting.forget_states(
        artefacts.place(runtime.workdir, f'models/{first:05d}', whole))
    progress.step(f'{path.name}: right about '
                  f'{np.mean(shard.notes["fit"]):.2%} of their subsets and '
                  f'{np.mean(shard.notes["held_out"]):.2%} held out, '
                  f'{shard.notes["seconds"]:.0f} s')


if __name__ == '__main__':
  app.define(recipes.Recipe(corrupt=0.0))
  app.run(main)
