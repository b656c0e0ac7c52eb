"""Merges memorization models into one score file, with a card.

  python -m experiments.scores --models_in=results/shards/cifar10 \
    --name=cifar10_airbench --card=results/scores_cifar10_airbench.json
  python -m experiments.scores --models_in=DIR --name=TRY --at_least=4

Reads the files that `experiments.shards` wrote, wherever they were made, and
writes `NAME.npz`: a score and its standard error for each published training
example, and the hash of the published data. `--scores=NAME` finds it among the
files of the package, where it is written by default. Any part of the data set
can use it. The card says what the models are, how well they fit, how reliable
the scores are, and what the models took to train; `experiments.readme` shows it
in the README of the score files.
"""

from __future__ import annotations

import pathlib

from absl import flags

from rum_jax import recipes
from rum_jax.commands import app
from rum_jax.memorization import score_files, shards
from rum_jax.pipeline import packaging, results
from rum_jax.reporting import sentences

SHARDS = flags.DEFINE_string('models_in', '', 'Folder of the models.')
NAME = flags.DEFINE_string('name', '', 'Of the score file.')
FOLDER = flags.DEFINE_string(
    'folder', '', 'Where to write the score file; by default among those that '
    'come with rum_jax.')
CARD = flags.DEFINE_string('card', '', 'A JSON file for the card.')
AT_LEAST = flags.DEFINE_integer(
    'at_least', 64, 'The fewest models that are turned into scores.',
    lower_bound=2)
SIZE = flags.DEFINE_integer(
    'size', 1000, 'Examples in each group, for the agreement of halves.',
    lower_bound=1)


def main() -> None:
  for flag in (SHARDS, NAME):
    if not flag.value:
      raise ValueError(f'Expected {flag.name}= to be given, found none.')
  folder = pathlib.Path(SHARDS.value)
  shard = shards.merged(folder.glob('models-*.npz'))
  if shard.models < AT_LEAST.value:
    raise ValueError(f'Expected at_least={AT_LEAST.value} models in {folder}, '
                     f'found {shard.models}.')
  path = pathlib.Path(FOLDER.value or score_files.FOLDER, f'{NAME.value}.npz')
  card = packaging.package(shard, path, SIZE.value)
  if CARD.value:
    results.write(pathlib.Path(CARD.value), card)
  print(*sentences.scores_lines(card), f'Wrote {path}.', sep='\n')


if __name__ == '__main__':
  app.define(recipes.Recipe(corrupt=0.0))
  app.run(main)
