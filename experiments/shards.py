"""Trains memorization models of a published data set, a few at a time.

  python -m experiments.shards --shards=DIR \
    --flagfile=rum_jax/recipes/cifar10_memorization.flags
  python -m experiments.shards --first_model=64 ...  # On another machine.

Every few models are written to a small file, a shard; its content is described
in `rum_jax.memorization.shards`. If the command is stopped, the same command
continues. Files of other machines may be copied into the folder at any time.
`--models` is the number of the last model plus 1.
"""

from __future__ import annotations

import pathlib
from typing import Any

from absl import flags
import numpy as np

from rum_jax import recipes
from rum_jax.commands import app
from rum_jax.memorization import shards
from rum_jax.pipeline import outlook
from rum_jax.pipeline.context import Data
from rum_jax.pipeline.progress import Progress
from rum_jax.pipeline.shards import forget_state, identity_of, missing, trained

FOLDER = flags.DEFINE_string(
    'shards', None, 'Folder of the files.', required=True)
FIRST = flags.DEFINE_integer(
    'first_model', 0, 'The first model.', lower_bound=0)
EACH = flags.DEFINE_integer(
    'each', 2, 'Models in a file.', lower_bound=1)


def models_there(identity: dict[str, Any]) -> set[int]:
  """Numbers of the models that the folder holds."""
  there = set()
  for path in sorted(pathlib.Path(FOLDER.value).glob('models-*.npz')):
    shard = shards.merged([path], identity)
    there |= set(range(shard.first, shard.first + shard.models))
  return there


def stages(recipe: recipes.Recipe, data: Data) -> list[outlook.Stage]:
  """The models that are not in the folder."""
  there = models_there(identity_of(recipe, data))
  todo = missing(there, FIRST.value, recipe.models, EACH.value)
  return [outlook.shards(recipe, data, sum(count for _, count in todo))]


def main() -> None:
  recipe, data, runtime = app.start_run(
      None, 'shards_', forgets=False, stages=stages)
  folder, identity = pathlib.Path(FOLDER.value), identity_of(recipe, data)
  there = models_there(identity)
  todo = missing(there, FIRST.value, recipe.models, EACH.value)
  print(f'{len(there)} models are in {folder}; {sum(c for _, c in todo)} are '
        'to be trained.', flush=True)
  progress = Progress('memorization models', len(todo)) if todo else None
  for first, count in todo:
    shard = trained(recipe, data, runtime, identity, first, count)
    path = shards.write(folder, shard)
    forget_state(runtime, identity, first, count)
    if progress:
      progress.step(f'{path.name}: right about '
                    f'{np.mean(shard.notes["fit"]):.2%} of their subsets and '
                    f'{np.mean(shard.notes["held_out"]):.2%} held out, '
                    f'{shard.notes["seconds"]:.0f} s')


if __name__ == '__main__':
  app.define(recipes.Recipe(corrupt=0.0))
  app.run(main)
