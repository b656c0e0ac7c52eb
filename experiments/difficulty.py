"""Tests what makes unlearning hard: memorization, entanglement, or both.

  python -m experiments.difficulty
  python -m experiments.difficulty --methods=all

Every method unlearns six forget sets: one each of low, medium and high
memorization, and one each of low, medium and high entanglement. The partition
by entanglement uses the features of the first original model; the levels are
chosen by the mean ES over all original models. Each forget set has its own
oracle. The command writes `difficulty.json` and a figure for each factor. It
prints whether the paper's two statements hold on these data.
"""

from __future__ import annotations

import numpy as np

from rum_jax import recipes, refinement
from rum_jax.commands import app
from rum_jax.entanglement import partitions
from rum_jax.evaluation import Results
from rum_jax.evaluation.difficulty import by_level, Difficulty, Factor
from rum_jax.pipeline import builders, forget_set, outlook, results
from rum_jax.pipeline import subset_models, trained_models, unlearning
from rum_jax.pipeline.context import Data, Runtime
from rum_jax.reporting import difficulty_findings, figures
from rum_jax.storage import files
from rum_jax.types import GROUPS

PARTS_SEED = 3  # Breaks ties in the partition.


def by_entanglement(recipe: recipes.Recipe, data: Data, runtime: Runtime
                    ) -> refinement.Groups:
  """Three sets of low, medium and high ES, each of a third of `forget`."""
  features = trained_models.embedding(recipe, data, runtime)
  parts = builders.partition(
      'distance', data.num_train // (recipe.forget // 3), features[0],
      data.source.dataset.label, seed=PARTS_SEED)
  return partitions.by_measured_score(features, parts).groups


def named(recipe: recipes.Recipe, data: Data, factor: str,
          groups: refinement.Groups) -> dict[str, np.ndarray]:
  """Name to rows of three forget sets, whose copies are named."""
  return forget_set.each_alone(recipe, data, {
      f'{level} {factor}'.capitalize(): rows
      for level, rows in zip(GROUPS, groups, strict=True)})


def judged(recipe: recipes.Recipe, data: Data, runtime: Runtime,
           rows: np.ndarray, scores: np.ndarray | None) -> Results:
  """The results of all methods for one forget set."""
  settings = recipes.tuned(recipe, variants=('vanilla',)).methods
  retain = refinement.stages((rows,), data.num_train)[0].retain
  models = trained_models.references(recipe, data, runtime, retain)
  todo = [unlearning.job_of(
      recipe, data.num_train, runtime.model, (rows,), method, 'vanilla',
      settings[method]['vanilla'])
          for method in recipe.method_names]
  done = [(job, unlearning.unlearn(recipe, data, runtime, job, models.original))
          for job in todo]
  return results.judged(recipe, data, runtime, {'forget': rows}, retain, models,
                        done, scores)


def stages(recipe: recipes.Recipe, data: Data) -> list[outlook.Stage]:
  """What there is to do: each method forgets each of six sets."""
  return [outlook.originals(recipe, data),
          *outlook.memorization(recipe, data), outlook.oracles(recipe, data, 6),
          outlook.unlearned(recipe, data, outlook.vanilla_jobs(recipe), 6)]


def main() -> None:
  """Runs both factors."""
  recipes.one_of('refine_by', app.recipe().refine_by, (recipes.MEMORIZATION,))
  recipe, data, runtime = app.start_run(
      'difficulty', check=lambda x: app.settings(x, ('vanilla',)),
      stages=stages)
  by_memorization = lambda scores: named(
      recipe, data, 'memorization', forget_set.choose(recipe, data, scores)[0])
  known = by_memorization(None) if recipe.groups else None
  scores = subset_models.estimate(recipe, data, runtime).score
  factors = {
      'memorization': known or by_memorization(scores),
      'entanglement': named(recipe, data, 'entanglement',
                            by_entanglement(recipe, data, runtime))}
  parts, seeds = {}, ()
  for factor, sets in factors.items():
    each = {level: judged(recipe, data, runtime, rows, scores)
            for level, rows in zip(GROUPS, sets.values(), strict=True)}
    rows, seeds = by_level(each), each['low'].seeds
    answer = tuple(difficulty_findings.answer(rows, factor))
    parts[factor] = Factor(
        levels={level: x.groups['forget'] for level, x in each.items()},
        oracles={level: x.oracle for level, x in each.items()},
        rows=rows, answer=answer)
    files.write_text(runtime.workdir / f'difficulty_{factor}.svg',
                     figures.tow_by_group(rows, factor))
    print(f'\nBy {factor}:', *(f'- {x}' for x in answer), sep='\n')
  results.write(runtime.workdir / 'difficulty.json', Difficulty(
      **vars(results.origin(recipe, data, runtime)), seeds=seeds,
      factors=parts))
  print(f'\nWrote {runtime.workdir}/difficulty.json, '
        'difficulty_memorization.svg and difficulty_entanglement.svg.')


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
