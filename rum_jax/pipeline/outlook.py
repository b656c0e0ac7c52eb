"""What a command would do: its stages, how many are done, the time left.

The seconds are those of a training step that is timed here and now, times the
steps that are missing. They leave out what takes little beside training, and
are right within a factor of two or so.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import pathlib
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rum_jax import plans, resumable
from rum_jax.pipeline import builders, segments, subset_models, trained_models
from rum_jax.pipeline.context import Data, Runtime
from rum_jax.pipeline.waiting import duration
from rum_jax.recipes import full_rum, MEMORIZATION, Recipe, tuned, VARIANTS
from rum_jax.storage import artefacts
from rum_jax.types import Split

_PROBE = 16  # Batches of the training that is timed.
_PASSES = 2  # Over all examples, of a method that takes no epochs.

Settings = Sequence[dict[str, Any]]  # Of each stage of an unlearning job.


class Stage(NamedTuple):
  """The artefacts of one stage, which a command makes or finds.

  Attributes:
    name: the name of the stage.
    patterns: for each artefact, a glob of its folder in the workdir.
    steps: training steps, times models, of one artefact.
    programs: programs that all of them take, in programs of plain training.
  """

  name: str
  patterns: tuple[str, ...]
  steps: float
  programs: float


class Pace(NamedTuple):
  """The seconds that one training step of one model takes, and compiling it."""

  step: float
  compilation: float


def originals(recipe: Recipe, data: Data) -> Stage:
  """The models that are trained on all training examples."""
  rows = data.source.train
  folder = artefacts.path_of(
      pathlib.Path(), 'originals',
      trained_models.training_identity(recipe, data, rows))
  return Stage('originals', (folder.name,),
               recipe.seeds * _steps(recipe, data.num_train), 1.5)


def oracles(recipe: Recipe, data: Data, count: int = 1) -> Stage:
  """Two sets of retrained models for each of `count` forget sets."""
  one = 2 * recipe.seeds * _steps(recipe, data.num_train)
  return Stage('oracles', _numbered('oracles-*', count), one, 1.5 * count)


def memorization(recipe: Recipe, data: Data, first_model: int = 0
                 ) -> list[Stage]:
  """The models on random subsets; nothing where scores come from a file."""
  if recipe.scores or recipe.groups:
    return []
  identity = subset_models.ensemble_identity(recipe, data)
  parts = segments.segments(first_model, recipe.models, subset_models.SEGMENT)
  here = pathlib.Path()
  folders = [subset_models.segment_path(here, identity, *part)[0]
             for part in parts]
  return [Stage(
      'memorization', tuple(f'models/{x.name}' for x in folders),
      recipe.models / len(parts) * _steps(
          recipe, round(recipe.subset * data.num_train)),
      1.5 * len({count for _, count in parts}))]


def scores(recipe: Recipe, data: Data) -> list[Stage]:
  """What groups are chosen by: memorization, or a proxy of it."""
  if recipe.refine_by == MEMORIZATION:
    return memorization(recipe, data)
  return [] if recipe.groups else proxies(recipe, data, [recipe.refine_by])


def proxies(recipe: Recipe, data: Data, names: Sequence[str]) -> list[Stage]:
  """Runs with a probe, one for curvature and one for all others."""
  probes = {'curvature' if x == 'curvature' else 'learning' for x in names}
  return [Stage('proxies', tuple(f'proxies/{x}-*' for x in sorted(probes)),
                2 * recipe.seeds * _steps(recipe, data.num_train),
                3.0 * len(probes))]


def unlearned(recipe: Recipe, data: Data,
              jobs: Sequence[tuple[str, str, Settings]], count: int = 1
              ) -> Stage:
  """Models that unlearned.

  Args:
    recipe: the recipe of the run.
    data: the data of the run.
    jobs: method, variant, and the setting of each stage.
    count: forget sets.
  """
  length = plans.num_steps(data.num_train, recipe.batch_size)
  steps = [sum(recipe.seeds * length * setting.get('epochs', _PASSES)
               for setting in settings) for _, _, settings in jobs]
  programs = {(method, 1 if variant == 'matched' else len(settings), variant
               == 'matched') for method, variant, settings in jobs}
  return Stage(
      'unlearning',
      tuple(x for method, variant, _ in jobs for x in _numbered(
          f'unlearned/{method}-{variant}-*'.replace(':', '_'), count)),
      sum(steps) / max(1, len(steps)),
      count * sum(stages for _, stages, _ in programs))


def table_jobs(recipe: Recipe) -> list[tuple[str, str, Settings]]:
  """The jobs of the main table, as `unlearned` takes them.

  A matched run takes one stage, of as many steps as the three of RUM^F.
  """
  settings, jobs = tuned(recipe), []
  for method in recipe.method_names:
    found = settings.methods[method]
    jobs += [(method, variant, [found[variant]] * (
        1 if variant == 'vanilla' else 3))
             for variant in VARIANTS if variant in found]
  stages = full_rum(recipe, settings)
  if stages:
    jobs.append(('rum', 'rum', [setting for _, setting in stages]))
  return jobs


def vanilla_jobs(recipe: Recipe) -> list[tuple[str, str, Settings]]:
  """Every method in one stage, as `unlearned` takes them."""
  methods = tuned(recipe, variants=('vanilla',)).methods
  return [(method, 'vanilla', [dict(methods[method]['vanilla'])])
          for method in recipe.method_names]


def shards(recipe: Recipe, data: Data, count: int) -> Stage:
  """The `count` models on random subsets that are still to be trained."""
  return Stage('models to train', ('missing/*',) * count, _steps(
      recipe, round(recipe.subset * data.num_train)), 1.5)


def _numbered(pattern: str, count: int) -> tuple[str, ...]:
  """A pattern `count` times: each artefact that matches it counts once."""
  return (pattern,) * count


def _steps(recipe: Recipe, count: int) -> int:
  """Steps of one training on so many examples."""
  return recipe.epochs * plans.num_steps(count, recipe.batch_size)


def num_there(stage: Stage, runtime: Runtime) -> int:
  """Counts the artefacts of a stage in the workdir, or beside it."""
  found = 0
  for pattern in dict.fromkeys(stage.patterns):
    exact = '*' not in pattern
    folders = (runtime.workdir, *(runtime.others if exact else ()))
    there = {path.parent.name for root in folders
             for path in root.glob(f'{pattern}/manifest.json')}
    found += min(len(there), stage.patterns.count(pattern))
  return found


def measured_pace(recipe: Recipe, data: Data, runtime: Runtime) -> Pace:
  """Trains for a few batches, and measures the seconds of a step."""
  rows = jnp.arange(min(data.num_train, _PROBE * recipe.batch_size))
  split = Split(rows[:0], rows)
  fit = builders.fit_of(
      dataclasses.replace(recipe, epochs=1, milestones=''), runtime.model,
      len(rows))

  @jax.jit
  def trained(key, examples):
    run = resumable.initial_run(runtime.model, fit)(key, examples, split)
    return resumable.advance(fit)(key, run, jnp.int32(1), examples, split).loss

  args, seconds = (jax.random.key(0), data.examples), []
  for _ in range(3):
    begun = time.perf_counter()
    jax.block_until_ready(trained(*args))
    seconds.append(time.perf_counter() - begun)
  return Pace(min(seconds[1:]) / fit.steps, seconds[0] - min(seconds[1:]))


def found_line(stages: Sequence[Stage], runtime: Runtime) -> str:
  """Says how many artefacts a new run finds; empty if there are none."""
  there = [(stage, num_there(stage, runtime)) for stage in stages]
  if not any(found for _, found in there):
    return ''
  if all(found == len(stage.patterns) for stage, found in there):
    return 'Everything is there: nothing is to be trained.'
  return 'There already: ' + ', '.join(
      f'{stage.name} {found} of {len(stage.patterns)}'
      for stage, found in there if found) + '.'


def lines(stages: Sequence[Stage], recipe: Recipe, data: Data,
          runtime: Runtime) -> list[str]:
  """The lines to print: one for each stage, and the sum."""
  there = [num_there(stage, runtime) for stage in stages]
  total = [len(stage.patterns) for stage in stages]
  if there == total:
    return [*(f'{stage.name:<14} {n} of {n} there'
              for stage, n in zip(stages, total)), found_line(stages, runtime)]
  pace, devices = measured_pace(recipe, data, runtime), jax.device_count()
  table, work, programs = [], 0.0, 0.0
  for stage, found, count in zip(stages, there, total):
    left = count - found
    seconds = left * stage.steps * pace.step / devices
    work += seconds
    programs += stage.programs * left / count
    table.append(f'{stage.name:<14} {found} of {count} there'
                 + (f', about {_estimate(seconds)}' if left else ''))
  compilation = programs * pace.compilation / devices
  return [*table, f'In all about {_estimate(work)} of work on {devices} '
          f'device{"s" * (devices > 1)}, and {_estimate(compilation)} of '
          'compilation where no earlier run has left its programs.']


def _estimate(seconds: float) -> str:
  """A duration as text; less than a second is rounded up to one."""
  return duration(max(1.0, seconds))
