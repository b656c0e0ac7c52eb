"""Searches the hyper-parameters of every method on seeds that are not reported.

  python -m experiments.tune
  python -m experiments.tune --network=cnn --models=200

The same `--budget` random settings are tried for each method and variant. The
setting with the highest mean ToW over the tuning seeds is the best one. The
space of each method fixes its epochs, so all settings of a method and variant
train for the same number of epochs.

Full RUM is searched after the methods. Each group (low, medium, high) gets one
of the main algorithms or none, with the setting that was best for RUM^F. All
choices are tried, and the one with the highest mean ToW is the best one.

ToW is measured on a validation part of the training examples. The test set is
never used.

The command writes the file `--settings`, by default `<dataset>_<network>.json`
in the workdir, and prints the flag with which other commands read it. Methods
that were not searched keep the settings that they had in that file. A new file
in the workdir starts from the settings that come with rum_jax.
"""

from __future__ import annotations

from collections.abc import Mapping
import itertools
import pathlib
import shlex
import sys
import time
from typing import Any, NamedTuple

from absl import flags
import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import evaluation, recipes, records, refinement, search
from rum_jax.commands import app
from rum_jax.evaluation import metrics
from rum_jax.pipeline import builders, forget_set, outlook, results
from rum_jax.pipeline import trained_models, unlearning
from rum_jax.pipeline.context import Data, Runtime
from rum_jax.pipeline.progress import Progress
from rum_jax.recipes.settings import MethodSearch, RumSearch, Searches
from rum_jax.recipes.settings import Setting, TunedSettings
from rum_jax.storage import artefacts
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import Array, Signals, Variables

# On other seeds than those that are reported, and judged on other examples.
DEFAULT = recipes.Recipe(
    held_out='validation', seeds=4, first_seed=1000, methods='all')
ROWS = flags.DEFINE_string(
    'rows', '', 'Rows to forget in place of the groups, for the command '
    'unlearn: class=NAME, or a file that lists rows of the published training '
    'part. Only the vanilla variants are searched.',
    allow_override=True)  # In one process with that command, as in tests.
BUDGET = flags.DEFINE_integer(
    'budget', 32, 'Number of settings to try for each method and variant.',
    lower_bound=1)


class Best(NamedTuple):
  """The best setting of a method and variant, and its mean ToW over seeds.

  Attributes:
    setting: the hyper-parameters.
    tow: the mean ToW.
    seconds: time of the search.
  """

  setting: Setting
  tow: float
  seconds: float


Found = Mapping[str, Mapping[str, Best]]  # Method to variant to the best.


class MeasureTow:
  """Measures the ToW of unlearned models against the oracles."""

  def __init__(self, data: Data, runtime: Runtime,
               subsets: evaluation.Subsets, oracle: Artefact):
    self._data, self._runtime = data, runtime
    self._rows = (subsets.forget, subsets.retain, subsets.test)
    self._truth = self._accuracies(
        Signals(oracle.arrays['loss'], oracle.arrays['score']))

  def _accuracies(self, signals: Signals) -> list[Array]:
    return [metrics.accuracy(signals, rows) for rows in self._rows]

  def __call__(self, variables: Variables) -> np.ndarray:
    """`[S]` ToW; 0 where a run diverged."""
    signals = trained_models.signals(self._data, self._runtime, variables)
    gaps = [a - b for a, b in zip(self._accuracies(signals), self._truth)]
    return np.nan_to_num(np.asarray(metrics.tug_of_war(*gaps)))


def best_of(recipe: recipes.Recipe, data: Data, runtime: Runtime,
            job: unlearning.Job, start: Variables, measure_tow: MeasureTow,
            progress: Progress) -> Best:
  """The best of the settings that are drawn for a job's method."""
  tried = search.draw(*recipes.SPACES[job.method], BUDGET.value, 4)
  scored, begun = [], time.perf_counter()
  for setting in tried:
    trial = job._replace(setting=[(job.method, setting)] * len(job.splits))
    (variables, _), _ = unlearning.run_job(recipe, data, runtime, trial, start)
    scored.append(float(measure_tow(variables).mean()))
    progress.step(f'{job.method} {job.variant} ToW {max(scored):.3f}')
  best = int(np.argmax(scored))
  return Best(tried[best], scored[best], time.perf_counter() - begun)


def search_methods(recipe: recipes.Recipe, data: Data, runtime: Runtime,
                   groups: refinement.Groups, start: Variables,
                   measure_tow: MeasureTow) -> Found:
  """The best setting of each method and variant.

  One group alone has a vanilla variant only. Methods of which all settings ruin
  the network are left out.
  """
  names = recipe.method_names
  wanted = {method: _variants(method, len(groups)) for method in names}
  progress = Progress(
      'search', BUDGET.value * sum(map(len, wanted.values())))
  found: dict[str, dict[str, Best]] = {}
  for method in names:
    first = search.draw(*recipes.SPACES[method], 1, 4)[0]
    named = {
        v: unlearning.job_of(recipe, data.num_train, runtime.model, groups,
                             method, v, first)
        for v in wanted[method]}
    if 'matched' in named:
      steps = unlearning.count_steps(recipe, data, runtime, named['rum_f'])
      named['matched'] = named['matched']._replace(steps=steps)
    found[method] = {}
    for variant, job in named.items():
      found[method][variant] = best_of(
          recipe, data, runtime, job, start, measure_tow, progress)
    if not all(best.tow > 0 for best in found[method].values()):
      print(f'Warning: all settings of {method} that were tried ruin the '
            'network, so none is stored.', file=sys.stderr)
      del found[method]
  return found


def _variants(method: str, groups: int) -> tuple[str, ...]:
  """The variants of a method for so many groups."""
  if groups == 1:
    return ('vanilla',)
  if builders.takes(method, 'steps'):
    return recipes.VARIANTS
  return recipes.REFINEMENT  # A closed form takes no steps to match.


def search_rum(recipe: recipes.Recipe, data: Data, runtime: Runtime,
               groups: refinement.Groups, start: Variables,
               measure_tow: MeasureTow, found: Found
               ) -> tuple[list[unlearning.Stage], dict[Any, float]]:
  """The best stages of full RUM, and the mean ToW of every choice of stages."""
  choices: list[unlearning.Stage] = [('identity', {})]
  choices += [(method, found[method]['rum_f'].setting)
              for method in recipes.MAIN if method in found]
  splits = unlearning.splits_of(recipe, data.num_train, groups, 'rum')
  states: dict[tuple[int, ...], Variables] = {(): start}
  progress = Progress('full RUM', sum(
      len(choices)**(1 + i) for i in range(len(splits))))
  for split in splits:
    grown: dict[tuple[int, ...], Variables] = {}
    for prefix, choice in itertools.product(
        states, range(len(choices))):
      job = unlearning.Job(
          'rum', f'{prefix}{choice}', [choices[choice]], (split,))
      (grown[(*prefix, choice)], _), _ = unlearning.run_job(
          recipe, data, runtime, job, states[prefix])
      progress.step()
    states = grown
  tows = {picked: float(measure_tow(v).mean()) for picked, v in states.items()}
  best = max(tows, key=tows.__getitem__)
  return [choices[i] for i in best], tows


def settings_paths(recipe: recipes.Recipe, workdir: pathlib.Path
                   ) -> tuple[pathlib.Path, pathlib.Path]:
  """The file to write settings to, and the file whose settings are kept."""
  known = recipes.settings_path(recipe)
  path = known if recipe.settings else workdir / known.name
  return path, path if path.exists() else known


def work_of(recipe: recipes.Recipe, data: Data) -> list[outlook.Stage]:
  """What there is to do; no setting that was tried is kept."""
  tried = [(method, variant, [search.draw(*recipes.SPACES[method], 1, 4)[0]] * (
      1 if variant == 'vanilla' else 3))
           for method in recipe.method_names
           for variant in _variants(method, 1 if ROWS.value else 3)]
  work = outlook.unlearned(recipe, data, tried, BUDGET.value)
  scored = [] if ROWS.value else outlook.scores(recipe, data)
  return [outlook.originals(recipe, data), *scored,
          outlook.oracles(recipe, data), work._replace(
              name='search', patterns=('tried/*',) * len(work.patterns),
              programs=work.programs / BUDGET.value)]


def _digest(data: Data, groups: refinement.Groups) -> str:
  """The hash of the published rows that are forgotten, in any order."""
  rows = data.source.row[np.concatenate(groups)]
  return artefacts.array_digest(np.sort(rows))


def main() -> None:
  """Searches, and writes the best settings."""
  if ROWS.value and app.FLAGS['groups'].value:
    raise ValueError(f'Expected groups={app.FLAGS["groups"].value} or rows='
                     f'{ROWS.value}, found both.')
  forget_set.check_file(ROWS.value)
  context = recipe, data, runtime = app.start_run(
      'tune', forgets=not ROWS.value, rows=ROWS.value, options=(ROWS,),
      varying=(BUDGET,), stages=work_of)
  if ROWS.value:
    groups, retain = forget_set.named(recipe, data, ROWS.value)
    forget_set.copies(recipe, data, groups)
  else:
    groups, retain = forget_set.chosen(*context)[:2]
  models = trained_models.references(*context, retain)
  start = Variables(**jax.tree.map(jnp.asarray, models.original.tree))
  measure_tow = MeasureTow(
      data, runtime, evaluation.Subsets(groups, retain, data.source.test),
      models.oracle)
  found = search_methods(*context, groups, start, measure_tow)
  path, before = settings_paths(recipe, runtime.workdir)
  kept = (recipes.read_settings(before) if before.exists() else
          TunedSettings(methods={}, rum=()))
  origin = records.as_json(results.origin(*context, sum(map(len, groups))))
  how: dict[str, Any] = {
      'command': shlex.join(['python', '-m', 'experiments.tune', *(
          x for x in sys.argv[1:]
          if not x.startswith(('--workdir=', '--data_dir=')))]),
      'criterion': 'mean ToW over the tuning seeds, judged on validation',
      'recipe': origin.pop('recipe'), 'rest': origin}
  searches = {method: MethodSearch(
      **how, settings_tried=BUDGET.value, space=recipes.SPACES[method],
      tow={variant: best.tow for variant, best in variants.items()},
      seconds={variant: best.seconds for variant, best in variants.items()},
      forget_rows=_digest(data, groups) if ROWS.value else None)
              for method, variants in found.items()}
  rum, rum_search = kept.rum, kept.searched.rum
  if not ROWS.value and set(recipes.MAIN) <= set(found):
    begun = time.perf_counter()
    stages, tows = search_rum(*context, groups, start, measure_tow, found)
    rum, rum_search = tuple(stages), RumSearch(
        **how, sequences_tried=len(tows), tow=max(tows.values()),
        seconds=time.perf_counter() - begun + sum(
            found[method]['rum_f'].seconds for method in recipes.MAIN))
  results.write(path, TunedSettings(
      methods={**kept.methods, **{
          method: {variant: best.setting for variant, best in variants.items()}
          for method, variants in found.items()}},
      rum=rum, searched=Searches(
          rum=rum_search, rest={**kept.searched.rest, **searches})))
  if not rum and not ROWS.value:
    lacking = ', '.join(x for x in recipes.MAIN if x not in found)
    print(f'No stages of full RUM are in {path}: they are chosen among the '
          f'settings of {", ".join(recipes.MAIN)}, of which this search has '
          f'not found {lacking}. The main job leaves out its row.')
  print(f'Wrote {path}. The other commands read it with '
        f'--settings={shlex.quote(str(path))}')


if __name__ == '__main__':
  app.define(DEFAULT)
  app.run(main)
