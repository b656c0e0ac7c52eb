"""Merges memorization models into one score file, with a card.

  python -m experiments.scores --shards=results/shards/cifar10 \
    --name=cifar10_airbench --card=results/scores_cifar10_airbench.json
  python -m experiments.scores --shards=DIR --name=NAME --at_least=4  # To try.

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
import numpy as np

from rum_jax import recipes
from rum_jax.commands import app
from rum_jax.memorization import ensemble, reliability, score_files, shards
from rum_jax.memorization.reliability import ScoresCard, Work
from rum_jax.pipeline import results
from rum_jax.reporting import sentences
from rum_jax.storage import digests

SHARDS = flags.DEFINE_string('shards', None, 'Folder of the models.',
                             required=True)
NAME = flags.DEFINE_string('name', None, 'Of the score file.', required=True)
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
_START = 16  # Models at the first point of the curve.
_TARGET = 0.8  # Share of the medium group that two runs should share.


def compact(scores: reliability.Memorization) -> reliability.Memorization:
  """The same in as few bytes as the standard errors warrant."""
  return scores._replace(
      score=scores.score.astype(np.float32),
      standard_error=scores.standard_error.astype(np.float32),
      models_in=scores.models_in.astype(np.uint16),
      models_out=scores.models_out.astype(np.uint16))


def made(shard: shards.Shard, path: pathlib.Path) -> ScoresCard:
  """Writes the score file of some models, and returns its card."""
  models = shards.as_ensemble(shard)
  data = shard.identity['data']
  n, held_out = data['examples']
  found = ensemble.estimates(models, n)
  score_files.save(
      path, compact(found['correctness']), np.arange(n, dtype=np.int32),
      probability=compact(found['probability']),
      published_hash=data['train'])
  report = reliability.report(models, n, SIZE.value, _TARGET, _START)
  speed = ensemble.speed([(x['models'], x) for x in shard.notes['parts']])
  return ScoresCard(
      **vars(report), name=path.stem, first_model=shard.first,
      models=shard.models, identity=shard.identity,
      held_out_accuracy=float(
          np.bitwise_count(models.held_out).sum() / (shard.models * held_out)),
      work={device: Work(**x) for device, x in speed.items()},
      file_hash=digests.file_digest(path))


def main() -> None:
  folder = pathlib.Path(SHARDS.value)
  shard = shards.merged(folder.glob('models-*.npz'))
  if shard.models < AT_LEAST.value:
    raise ValueError(f'Expected at_least={AT_LEAST.value} models in {folder}, '
                     f'found {shard.models}.')
  path = pathlib.Path(FOLDER.value or score_files.FOLDER, f'{NAME.value}.npz')
  card = made(shard, path)
  if CARD.value:
    results.write(pathlib.Path(CARD.value), card)
  print(*sentences.scores_lines(card), f'Wrote {path}.', sep='\n')


if __name__ == '__main__':
  app.define(recipes.Recipe(corrupt=0.0))
  app.run(main)
