"""Asks what makes unlearning hard: memorization, entanglement, or both.

  python -m experiments.difficulty
  python -m experiments.difficulty --methods=all

Makes every method forget a set of low, of medium and of high memorization, and
one of low, of medium and of high entanglement (by the embedding of the first
original, measured over all), each judged against an oracle of its own. Writes
`difficulty.json` and a figure for each factor, and says in plain words whether
the paper's two statements hold here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rum_jax import recipes, refinement
from rum_jax.commands import app
from rum_jax.entanglement import partitions
from rum_jax.evaluation.factors import by_level
from rum_jax.pipeline import assembly, jobs, results, stages, subset_models
from rum_jax.reporting import figures, findings_on_factors
from rum_jax.storage import files
from rum_jax.types import GROUPS

PARTS_SEED = 3  # Breaks ties where the partition is cut.


def by_entanglement(setup: stages.Setup) -> refinement.Groups:
  """Three sets, each of a third of `forget`, of low, middling and high ES."""
  features = stages.embedding(setup)
  parts = assembly.partition(
      'distance', setup.source.num_train // (setup.recipe.forget // 3),
      features[0], setup.source.dataset.label, seed=PARTS_SEED)
  return partitions.by_measured_score(features, parts).groups


def judged(setup: stages.Setup, rows: np.ndarray,
           scores: np.ndarray | None) -> dict[str, Any]:
  """All methods with one forget set, as `results.json` has it."""
  settings = recipes.tuned(setup.recipe)['methods']
  retain = refinement.stages((rows,), setup.source.num_train)[0].retain
  models = stages.references(setup, retain)
  todo = [jobs.job_of(setup, (rows,), method, 'vanilla',
                      settings[method]['vanilla'])
          for method in setup.recipe.method_names]
  done = [(job, jobs.unlearn(setup, job, models.original)) for job in todo]
  return results.judged(
      setup, {'forget': rows}, retain, models, done, scores)


def main() -> None:
  """Runs both factors."""
  recipes.one_of('refine_by', app.recipe().refine_by, (recipes.MEMORIZATION,))
  setup = app.begin(tuned=True)
  scores = subset_models.estimate(setup).score
  factors = {'memorization': stages.choose(setup, scores)[0],
             'entanglement': by_entanglement(setup)}
  found = {}
  for factor, groups in factors.items():
    each = dict(zip(GROUPS, (
        judged(setup, rows, scores) for rows in groups), strict=True))
    rows = by_level(each)
    said = findings_on_factors.answer(rows, factor)
    found[factor] = {
        'levels': {level: x['groups']['forget'] for level, x in each.items()},
        'oracles': {level: x['oracle'] for level, x in each.items()},
        'rows': rows, 'answer': said}
    files.write_text(setup.root / f'difficulty_{factor}.svg',
                     figures.tow_by_group({'rows': rows}, factor))
    print(f'\nBy {factor}:', *(f'- {x}' for x in said), sep='\n')
  files.write_json(setup.root / 'difficulty.json', {
      **results.origin(setup), 'seeds': each['low']['seeds'],
      'factors': found})
  print(f'\nWrote {setup.root}/difficulty.json, difficulty_memorization.svg '
        'and difficulty_entanglement.svg.')


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
