"""Searches the hyper-parameters of every method on seeds that are not reported.

  python -m experiments.tune
  python -m experiments.tune --network=cnn --models=200

For each method and variant the same `--budget` random settings are tried, and
the one with the highest mean ToW over the tuning seeds wins; full RUM is the
best of all choices of a main algorithm (or none) for low, medium and high,
each with the setting that RUM^F found. The judge is a validation part of the
training examples: the test set is never seen. Writes `--settings`, by default
`<dataset>_<network>.json` in the workdir, and prints the flag by which the
other commands read it. Methods that are not searched keep what they had there,
or, in a new file of the workdir, what those that come with rum_jax have.
"""

from __future__ import annotations

import itertools
import json
import pathlib
import shlex
import sys
from typing import Any

from absl import flags
import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import evaluation, recipes, records, refinement, search
from rum_jax.commands import app
from rum_jax.evaluation import metrics
from rum_jax.pipeline import builders, forget_set, results, trained_models
from rum_jax.pipeline import unlearning
from rum_jax.pipeline.context import Data, Runtime
from rum_jax.pipeline.progress import Progress
from rum_jax.storage import files
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import Array, Signals, Variables

# On other seeds than those that are reported, and judged on other examples.
DEFAULT = recipes.Recipe(
    held_out='validation', seeds=4, first_seed=1000, methods='all')
BUDGET = flags.DEFINE_integer(
    'budget', 32, 'Settings tried for each method and variant.', lower_bound=1)


class Judge:
  """Scores unlearned variables by ToW against the oracles."""

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
    signals = trained_models.predicted(self._data, self._runtime, variables)
    gaps = [a - b for a, b in zip(self._accuracies(signals), self._truth)]
    return np.nan_to_num(np.asarray(metrics.tug_of_war(*gaps)))


def best_of(recipe: recipes.Recipe, data: Data, runtime: Runtime,
            job: unlearning.Job, start: Variables, judge: Judge,
            progress: Progress) -> tuple[dict[str, Any], float]:
  """The best setting of a job's method, and its mean ToW."""
  tried = search.draw(*recipes.SPACES[job.method], BUDGET.value, 4)
  scored = []
  for setting in tried:
    trial = job._replace(setting=[(job.method, setting)] * len(job.splits))
    (variables, _), _ = unlearning.run_job(recipe, data, runtime, trial, start)
    scored.append(float(judge(variables).mean()))
    progress.step(f'{job.method} {job.variant} ToW {max(scored):.3f}')
  best = int(np.argmax(scored))
  return tried[best], scored[best]


def search_methods(recipe: recipes.Recipe, data: Data, runtime: Runtime,
                   groups: refinement.Groups, start: Variables, judge: Judge
                   ) -> dict[str, Any]:
  """Method to variant to `{setting, tow}`."""
  names = recipe.method_names
  progress = Progress('search', BUDGET.value * sum(
      3 + builders.takes(method, 'steps') for method in names))
  found = {}
  for method in names:
    first = search.draw(*recipes.SPACES[method], 1, 4)[0]
    named = {
        v: unlearning.job_of(recipe, data.num_train, runtime.model, groups,
                             method, v, first)
        for v in recipes.VARIANTS}
    if builders.takes(method, 'steps'):
      steps = unlearning.count_steps(recipe, data, runtime, named['rum_f'])
      named['matched'] = named['matched']._replace(steps=steps)
    else:
      del named['matched']  # A closed form takes no steps to match.
    found[method] = {}
    for variant, job in named.items():
      setting, tow = best_of(
          recipe, data, runtime, job, start, judge, progress)
      found[method][variant] = {'setting': setting, 'tow': tow}
    if not all(x['tow'] > 0 for x in found[method].values()):
      print(f'Warning: all settings of {method} that were tried ruin the '
            'network, so none is stored.', file=sys.stderr)
      del found[method]
  return found


def search_rum(recipe: recipes.Recipe, data: Data, runtime: Runtime,
               groups: refinement.Groups, start: Variables, judge: Judge,
               found: dict[str, Any]
               ) -> tuple[list[unlearning.Stage], dict[Any, float]]:
  """The best algorithm for low, medium and high, and the ToW of them all."""
  choices = [('identity', {})] + [
      (method, found[method]['rum_f']['setting'])
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
  tows = {picked: float(judge(v).mean()) for picked, v in states.items()}
  best = max(tows, key=tows.__getitem__)
  return [choices[i] for i in best], tows


def settings_paths(recipe: recipes.Recipe, workdir: pathlib.Path
                   ) -> tuple[pathlib.Path, pathlib.Path]:
  """Where settings are written, and where those are that it adds to."""
  known = recipes.settings_path(recipe)
  path = known if recipe.settings else workdir / known.name
  return path, path if path.exists() else known


def main() -> None:
  """Searches, and writes what it found."""
  context = recipe, data, runtime = app.start_run('tune')
  scores = forget_set.difficulty(*context).score
  groups, retain = forget_set.choose(recipe, data, scores)
  models = trained_models.references(*context, retain)
  start = Variables(**jax.tree.map(jnp.asarray, models.original.tree))
  judge = Judge(
      data, runtime, evaluation.Subsets(groups, retain, data.source.test),
      models.oracle)
  found = search_methods(*context, groups, start, judge)
  how = {
      'command': shlex.join(['python', '-m', 'experiments.tune', *(
          x for x in sys.argv[1:]
          if not x.startswith(('--workdir=', '--data_dir=')))]),
      'criterion': 'mean ToW over the tuning seeds, judged on validation',
      **records.as_json(results.origin(*context, sum(map(len, groups))))}
  kept = {'methods': {}, 'rum': [], 'searched': {}}
  path, before = settings_paths(recipe, runtime.workdir)
  if before.exists():
    kept.update(json.loads(before.read_text()))
  for method, variants in found.items():
    kept['methods'][method] = {v: x['setting'] for v, x in variants.items()}
    kept['searched'][method] = {
        **how, 'settings tried for each variant': BUDGET.value,
        'space': recipes.SPACES[method],
        'tow': {v: x['tow'] for v, x in variants.items()}}
  if set(recipes.MAIN) <= set(found):
    kept['rum'], tows = search_rum(*context, groups, start, judge, found)
    kept['searched']['rum'] = {**how, 'sequences tried': len(tows),
                               'tow': max(tows.values())}
  files.write_json(path, kept)
  print(f'Wrote {path}. The other commands read it with '
        f'--settings={shlex.quote(str(path))}')


if __name__ == '__main__':
  app.define(DEFAULT)
  app.run(main)
