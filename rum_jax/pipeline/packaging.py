"""Makes a packaged score file and its card from memorization models."""

from __future__ import annotations

import pathlib

import numpy as np

from rum_jax.memorization import ensemble, Memorization, reliability
from rum_jax.memorization import score_files, shards
from rum_jax.memorization.reliability import ScoresCard, Work
from rum_jax.storage import digests

_START = 16  # Number of models at the first point of the curve.
_TARGET = 0.8  # Share of their medium groups that two runs should share.


def _compact(scores: Memorization) -> Memorization:
  """The same scores in types that take fewer bytes."""
  return scores._replace(
      score=scores.score.astype(np.float32),
      standard_error=scores.standard_error.astype(np.float32),
      models_in=scores.models_in.astype(np.uint16),
      models_out=scores.models_out.astype(np.uint16))


def package(shard: shards.Shard, path: pathlib.Path, size: int) -> ScoresCard:
  """Writes the score file of some models, and returns its card.

  Args:
    shard: the models.
    path: the path of the score file; it ends in `.npz`.
    size: the number of examples in each group, for the agreement of halves.
  """
  models = shards.as_ensemble(shard)
  data = shard.identity['data']
  n, held_out = data['examples']
  found = ensemble.estimates(models, n)
  score_files.save(
      path, _compact(found['correctness']), np.arange(n, dtype=np.int32),
      probability=_compact(found['probability']),
      published_hash=data['train'])
  report = reliability.report(models, n, size, _TARGET, _START)
  speed = ensemble.speed([(x['models'], x) for x in shard.notes['parts']])
  return ScoresCard(
      **vars(report), name=path.stem, first_model=shard.first,
      models=shard.models, identity=shard.identity,
      held_out_accuracy=float(
          np.bitwise_count(models.held_out).sum() / (shard.models * held_out)),
      work={device: Work(**x) for device, x in speed.items()},
      file_hash=digests.file_digest(path))
