"""The main job: from raw images to the paper's table, in one command.

  python -m experiments.rum
  python -m experiments.rum --flagfile=rum_jax/recipes/digits_cnn.flags

Trains originals, estimates memorization (with `--refine_by=confidence`, or
another proxy, the proxy instead), picks a forget set of low, medium and high
memorization, retrains oracles, unlearns with every method as vanilla, matched,
shuffle and RUM^F, and with full RUM; then judges, and reports.
"""

from __future__ import annotations

import sys

import numpy as np

from experiments import report
from rum_jax import entanglement, recipes, refinement, reporting
from rum_jax.commands import app
from rum_jax.pipeline import jobs, proxies, results, stages
from rum_jax.pipeline.progress import Progress
from rum_jax.storage import artefacts, files, hosts
from rum_jax.types import GROUPS


def unlearn_all(setup: stages.Setup, todo: list[jobs.Job],
                start: artefacts.Artefact) -> list[artefacts.Artefact]:
  """Runs all jobs; a diverged run is named and the rest go on."""
  jobs.compile_ahead(setup, todo, start)
  progress, done = Progress('unlearning', len(todo)), []
  for job in todo:
    done.append(jobs.unlearn(setup, job, start))
    progress.step(f'{job.method} {job.variant}')
    for case in done[-1].notes['diverged']:
      print(f'Warning: {job.method} {job.variant} diverged with '
            f'seed={case["seed"]} in stage {case["stage"] + 1} of '
            f'{len(job.splits)}; the other seeds are reported.',
            file=sys.stderr)
  return done


def write_figures(setup: stages.Setup, scores: np.ndarray,
                  features: np.ndarray, groups: refinement.Groups) -> None:
  """Writes the arrays that the report draws."""
  count = min(12, len(groups[0]))
  source, group = setup.source, np.full(setup.source.num_train, -1, np.int8)
  for g, rows in enumerate(groups):
    group[rows] = g
  shown = np.stack([rows[np.linspace(0, len(rows) - 1, count).astype(int)]
                    for rows in groups])
  files.write_arrays(setup.root / 'figures.npz', {
      'score': scores, 'group': group,
      'plane': entanglement.principal_plane(features[:source.num_train]),
      'image': source.dataset.image[shown],
      'label': source.dataset.label[shown],
      'true_label': setup.true_label[shown], 'shown': shown,
      'classes': np.asarray(source.classes)})


def main() -> None:
  """Runs all stages."""
  setup = app.begin(tuned=True)
  scores = proxies.difficulty(setup)
  groups, retain = stages.choose(setup, scores)
  models = stages.references(setup, retain)
  todo = jobs.jobs_of(setup, groups)
  done = unlearn_all(setup, todo, models.original)
  named = dict(zip(GROUPS, groups))
  found = results.judged(
      setup, named, retain, models, list(zip(todo, done)), scores)
  stood = results.stands(setup.root, found)
  if not stood and hosts.first():
    files.write_json(setup.root / 'results.json', found)
    write_figures(setup, scores, models.original.arrays['features'][0], groups)
    report.write(setup.root)
    results.mark(setup.root)
  print(reporting.table(found))
  estimated = setup.recipe.refine_by == recipes.MEMORIZATION
  print(f'\n{"Found" if stood else "Wrote"} {setup.root}/results.json, '
        f'{"memorization" if estimated else "figures"}.npz and report.html.')


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
