"""The main job: from raw images to the paper's table, in one command.

  python -m experiments.rum
  python -m experiments.rum --flagfile=rum_jax/recipes/digits_cnn.flags

The stages are: train original models; estimate memorization, or compute the
proxy that `--refine_by` names; choose groups of low, medium and high
memorization as the forget set; retrain oracles; unlearn with every method as
vanilla, matched, shuffle and RUM^F, and with full RUM; evaluate all models; and
write the report.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
import sys

from absl import flags
import numpy as np

from experiments import report
from rum_jax import entanglement, recipes, refinement, reporting
from rum_jax.commands import app
from rum_jax.evaluation import Results
from rum_jax.pipeline import forget_set, outlook, proxies, results
from rum_jax.pipeline import subset_models, trained_models, unlearning
from rum_jax.pipeline.context import Data, Runtime
from rum_jax.pipeline.progress import Progress
from rum_jax.reporting import vocabulary
from rum_jax.storage import artefacts, files, hosts
from rum_jax.types import GROUPS


SHOW_IMAGES = flags.DEFINE_bool(
    'show_images', None, 'Show some of the forgotten images in the report. By '
    'default only those of the demo on digits are shown: nobody\'s own images '
    'are in the report or in figures.npz unless this flag is given.')


def unlearn_all(recipe: recipes.Recipe, data: Data, runtime: Runtime,
                todo: list[unlearning.Job], start: artefacts.Artefact
                ) -> list[artefacts.Artefact]:
  """Runs all jobs; a warning names each run that diverged."""
  unlearning.compile_ahead(recipe, data, runtime, todo, start)
  progress, done = Progress('unlearning', len(todo)), []
  for job in todo:
    done.append(unlearning.unlearn(recipe, data, runtime, job, start))
    progress.step(f'{job.method} {job.variant}')
    for case in done[-1].notes['diverged']:
      print(f'Warning: {job.method} {job.variant} diverged with '
            f'seed={case["seed"]} in stage {case["stage"] + 1} of '
            f'{len(job.splits)}; the other seeds are reported.',
            file=sys.stderr)
  return done


def say_full_rum(recipe: recipes.Recipe) -> None:
  """Says why full RUM has no row, if it has none, and how to get it."""
  path, settings = recipes.settings_path(recipe), app.settings(recipe)
  more = recipes.unasked(recipe, settings)
  if more:
    methods = ','.join((*recipe.method_names, *more))
    print(f'There is no row of full RUM, as its stages in {path} take '
          f'{vocabulary.listed(more)}, which methods={recipe.methods} does not '
          f'name. --methods={methods} gives the row.')
  elif not settings.rum:
    command = dataclasses.replace(recipe, methods=','.join(recipes.MAIN)).tuning
    print(f'There is no row of full RUM, as {path} holds no stages of it. This '
          f'command finds them: {command}{app.data_flag()}')


def shows_images(recipe: recipes.Recipe) -> bool:
  """Whether the report shows images that are forgotten."""
  if SHOW_IMAGES.value is None:
    return recipe.dataset == 'digits'
  return SHOW_IMAGES.value


def write_figures(path: pathlib.Path, data: Data, scores: np.ndarray | None,
                  features: np.ndarray, groups: refinement.Groups,
                  images: bool) -> None:
  """Writes the arrays that the figures of the report need.

  Args:
    path: the file.
    data: the data of the run.
    scores: `[N]`, by which the groups were chosen; `None` if rows were given.
    features: `[N, D]` of the first original.
    groups: positions of the images to forget.
    images: whether the file holds pixels of some of them.
  """
  count = min(12, len(groups[0]))
  source, group = data.source, np.full(data.num_train, -1, np.int8)
  for g, rows in enumerate(groups):
    group[rows] = g
  shown = np.stack([rows[np.linspace(0, len(rows) - 1, count).astype(int)]
                    for rows in groups])
  pixels = {'image': source.dataset.image[shown]} if images else {}
  files.write_arrays(path, {
      **pixels,
      'score': (np.full(data.num_train, np.nan) if scores is None else
                scores), 'group': group,
      'plane': entanglement.principal_plane(features[:source.num_train]),
      'label': source.dataset.label[shown],
      'true_label': data.true_label[shown], 'shown': shown,
      'classes': np.asarray(source.classes)})


def is_current(workdir: pathlib.Path, judged: Results, images: bool) -> bool:
  """Whether the workdir holds these results, and the report that is wanted."""
  if not results.is_current(workdir, judged):
    return False
  with np.load(workdir / 'figures.npz', allow_pickle=False) as file:
    return ('image' in file.files) == images


def stages(recipe: recipes.Recipe, data: Data) -> list[outlook.Stage]:
  """What there is to do."""
  return [
      outlook.originals(recipe, data), *outlook.scores(recipe, data),
      outlook.oracles(recipe, data),
      outlook.unlearned(recipe, data, outlook.table_jobs(recipe))]


def main() -> None:
  """Runs all stages."""
  context = recipe, data, runtime = app.start_run(
      'rum', '', check=app.settings, varying=(SHOW_IMAGES,), stages=stages)
  workdir = runtime.workdir
  groups, retain, copies, scores, estimate = forget_set.chosen(*context)
  if estimate:
    subset_models.write(workdir / 'memorization.npz', recipe, data, estimate)
  seconds = math.nan
  if estimate and not recipe.scores:
    seconds = proxies.estimate_seconds(*context)
  models = trained_models.references(*context, retain)
  say_full_rum(recipe)
  todo = unlearning.jobs_of(*context, groups)
  done = unlearn_all(*context, todo, models.original)
  judged = results.judged(*context, dict(zip(GROUPS, groups)), retain, models,
                          list(zip(todo, done)), scores, seconds, estimate,
                          *copies)
  images = shows_images(recipe)
  current = is_current(workdir, judged, images)
  if not current and hosts.first():
    results.write(workdir / 'results.json', judged)
    write_figures(workdir / 'figures.npz', data, scores,
                  models.original.arrays['features'][0], groups, images)
    report.write(workdir)
    results.mark_current(workdir)
  print(reporting.table(judged))
  unlearning.check_any_finite(recipe, list(zip(todo, done)))
  print(f'\n{"Found" if current else "Wrote"} {workdir}/results.json, '
        f'{"memorization" if estimate else "figures"}.npz and report.html.')


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
