"""Runs unlearning methods for all seeds at once, and measures their models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent import futures
import dataclasses
import math
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import evaluation, recipes, refinement, rum
from rum_jax.pipeline import builders
from rum_jax.pipeline.context import Data, Runtime
from rum_jax.pipeline.progress import Progress
from rum_jax.pipeline.trained_models import as_artefact, keys
from rum_jax.recipes import Recipe
from rum_jax.storage import artefacts
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import (
    Examples, Info, Key, Model, PyTree, Sequential, Signals, Split, Variables)

Stage = tuple[str, Mapping[str, Any]]  # A method, and its hyper-parameters.


class Job(NamedTuple):
  """An unlearning run: one row of the table.

  Attributes:
    method: name of the algorithm, or `rum`.
    variant: vanilla, matched, shuffle, rum_f or rum.
    setting: the method and the hyper-parameters of each stage.
    splits: the split of each stage, with a leading axis of seeds.
    steps: the number of steps of every stage; `None` for that of the setting.
    tuning_seconds: time of the search for its setting; NaN where it was not
      recorded.
  """

  method: str
  variant: str
  setting: Sequence[Stage]
  splits: tuple[Split, ...]
  steps: int | None = None
  tuning_seconds: float = math.nan


@dataclasses.dataclass(frozen=True)
class Unlearn:
  """The program of a job.

  It is `(key, variables, dataset, splits, values) -> (variables, infos)`.

  Attributes:
    recipe: gives batch size, momentum, weight decay and the mode of batch-norm.
    model: the network.
    setting: for each stage, a method and the values that the program holds.
    steps: the number of steps of every stage; `None` for that of the setting.
  """

  recipe: builders.HasLoop
  model: Model
  setting: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]
  steps: int | None = None

  def unlearner(self, values: Sequence[dict[str, Any]]) -> Sequential:
    """The unlearner of all stages, with the values that are arguments."""
    return rum.sequential(*(
        builders.build(self.recipe, self.model, method,
                       {**dict(held), **given}, self.steps)
        for (method, held), given in zip(self.setting, values, strict=True)))

  def __call__(self, key: Key, variables: Variables, dataset: Examples,
               splits: Sequence[Split], values: Sequence[dict[str, Any]]
               ) -> tuple[Variables, tuple[Info, ...]]:
    return self.unlearner(values)(key, variables, dataset, splits)


def program_of(recipe: builders.HasLoop, model: Model, job: Job
               ) -> tuple[Unlearn, list[dict[str, float]]]:
  """The program of a job, and the values that it takes as arguments.

  Real-valued hyper-parameters are arguments of the program. So jobs that differ
  only in these share one program.

  Raises:
    ValueError: if a method refuses a value, before anything is traced.
  """
  values = [{k: v for k, v in setting.items()
             if isinstance(v, float) and k in builders.searched(method)}
            for method, setting in job.setting]
  held = tuple(
      (method, tuple(sorted((k, _hashable(v)) for k, v in setting.items()
                            if k not in given)))
      for (method, setting), given in zip(job.setting, values))
  program = Unlearn(recipe, model, held, job.steps)
  program.unlearner(values)
  return program, values


def _hashable(value: Any) -> Any:
  """A JSON value in which lists are tuples."""
  return tuple(map(_hashable, value)) if isinstance(value, list) else value


def call_of(recipe: Recipe, data: Data, runtime: Runtime, job: Job,
            start: Variables) -> tuple[Any, ...]:
  """The arguments of `Programs.run`."""
  program, values = program_of(recipe, runtime.model, job)
  return (program, (0, 0, None, 0, None),
          keys(recipe, f'{job.method}-{job.variant}'), start, data.examples,
          job.splits, jax.tree.map(jnp.float32, values))


def run_job(recipe: Recipe, data: Data, runtime: Runtime, job: Job,
            start: Variables
            ) -> tuple[tuple[Variables, tuple[Info, ...]], dict[str, float]]:
  """Unlearns S models.

  Returns:
    `(variables, infos)` of all seeds, and the seconds.
  """
  return runtime.programs.run(*call_of(recipe, data, runtime, job, start))


def compile_ahead(recipe: Recipe, data: Data, runtime: Runtime,
                  jobs: Sequence[Job], start: Artefact) -> None:
  """Compiles the programs of these jobs on all cores, before the first runs.

  So the seconds of a job do not include compilation.
  """
  variables = Variables(**jax.tree.map(jnp.asarray, start.tree))
  todo = [job for job in jobs if not artefact_path(
      recipe, runtime.workdir, job, start).exists()]
  try:
    wanted = {runtime.programs.ahead(
        *call_of(recipe, data, runtime, job, variables)) for job in todo}
    progress = Progress('compiling', len(wanted)) if wanted else None
    for program in futures.as_completed(wanted):
      program.result()  # Raises the error of the compilation, if any.
      if progress:
        progress.step()
  finally:
    runtime.programs.cancel()


def identity_of(recipe: Recipe, job: Job, start: Artefact) -> dict[str, Any]:
  """All that determines the result of a job."""
  return {
      'holds': 'signals', 'setting': job.setting, 'steps': job.steps,
      'originals': start.digest,
      'splits': artefacts.array_digest(*jax.tree.leaves(job.splits)),
      'source': [builders.source_hash(method) for method, _ in job.setting],
      **recipe.part('batch_size', 'momentum', 'weight_decay', 'batch_norm',
                    'precision')}


def artefact_path(recipe: Recipe, workdir: pathlib.Path, job: Job,
                  start: Artefact) -> pathlib.Path:
  """The folder of a job's artefact."""
  name = f'unlearned/{job.method}-{job.variant}'
  return artefacts.path_of(
      workdir, name.replace(':', '_'), identity_of(recipe, job, start))


def unlearn(recipe: Recipe, data: Data, runtime: Runtime, job: Job,
            start: Artefact) -> Artefact:
  """The artefact of a job that starts from the originals."""

  def compute() -> Artefact:
    (variables, infos), taken = run_job(
        recipe, data, runtime, job,
        Variables(**jax.tree.map(jnp.asarray, start.tree)))
    notes: dict[str, Any] = dict(taken)
    losses = [np.asarray(info.loss) for info in infos]
    notes['steps'] = [x.shape[1] for x in losses]
    notes['probes'] = [_means(info.probes) for info in infos]
    artefact = as_artefact(
        data, runtime, variables, np.concatenate(losses, 1), notes)
    diverged = [
        {'seed': recipe.first_seed + s, 'stage': stage}
        for s, stage in evaluation.diverged(
            losses, evaluation.finite(artefact.arrays['loss']))]
    return artefact._replace(notes={**artefact.notes, 'diverged': diverged})

  return artefacts.stage(
      artefact_path(recipe, runtime.workdir, job, start),
      identity_of(recipe, job, start), compute)


def check_any_finite(recipe: Recipe, done: Sequence[tuple[Job, Artefact]]
                     ) -> None:
  """Raises an error if all runs of all jobs diverged.

  Raises:
    ValueError: if they did.
  """
  for _, artefact in done:
    lost = {case['seed'] for case in artefact.notes['diverged']}
    if len(lost) < recipe.seeds:
      return
  if done:
    names = ', '.join(f'{job.method} {job.variant}' for job, _ in done)
    raise ValueError(f'All {recipe.seeds} runs of {names} diverged, so there '
                     'is no unlearned model: a lower learning rate may help.')


def _means(probes: PyTree) -> dict[str, float]:
  """Path of each probe to the mean over seeds of its last value."""
  return {jax.tree_util.keystr(path, simple=True, separator=' '):
              float(x.reshape(x.shape[0], -1)[:, -1].mean())
          for path, x in jax.tree.leaves_with_path(probes)}


def judge(data: Data, runtime: Runtime, artefact: Artefact,
          subsets: evaluation.Subsets) -> evaluation.Behaviour:
  """Accuracies and attack of the models of an artefact."""
  signals = Signals(artefact.arrays['loss'], artefact.arrays['score'])

  def compute() -> Artefact:
    figures = evaluation.behaviour(signals, subsets)._asdict()
    return Artefact({k: x for k, x in figures.items() if x is not None})

  judged = artefacts.array_digest(signals.loss, signals.score)
  rows = artefacts.array_digest(*jax.tree.leaves(subsets))
  identity = {'signals': judged, 'rows': rows, 'data': data.hash,
              'held out': data.held_out_hash}
  arrays = artefacts.stage(
      artefacts.path_of(runtime.workdir, f'judged/{judged[:8]}', identity),
      identity, compute).arrays
  return evaluation.Behaviour(**arrays)


def count_steps(recipe: Recipe, data: Data, runtime: Runtime, job: Job) -> int:
  """The number of steps of a job in all stages.

  It is kept as an artefact, because tracing is slow.
  """

  def compute() -> Artefact:
    unlearner = rum.sequential(*(
        builders.build(recipe, runtime.model, *stage, job.steps)
        for stage in job.setting))
    variables = jax.eval_shape(runtime.model.init, jax.random.key(0))
    _, infos = jax.eval_shape(
        unlearner, jax.random.key(0), variables, data.examples,
        jax.tree.map(lambda x: x[0], job.splits))
    steps = sum(info.loss.shape[0] for info in infos)
    return Artefact({}, notes={'steps': steps})

  identity = {
      'setting': job.setting, 'steps': job.steps,
      'sizes': [tuple(x.shape for x in split) for split in job.splits],
      'source': [builders.source_hash(method) for method, _ in job.setting],
      **recipe.part('batch_size')}
  kept = artefacts.stage(
      artefacts.path_of(runtime.workdir, 'unlearned/steps', identity), identity,
      compute)
  return kept.notes['steps']


def splits_of(recipe: Recipe, n: int, groups: refinement.Groups, variant: str
              ) -> tuple[Split, ...]:
  """The split of each stage of a variant, with a leading axis of seeds."""
  chosen = [
      refinement.merged(groups) if variant in ('vanilla', 'matched') else
      refinement.shuffled(groups, seed) if variant == 'shuffle' else groups
      for seed in range(recipe.first_seed, recipe.first_seed + recipe.seeds)]
  return refinement.stacked([refinement.stages(g, n) for g in chosen])


def jobs_of(recipe: Recipe, data: Data, runtime: Runtime,
            groups: refinement.Groups) -> list[Job]:
  """All rows of the table that unlearn."""
  tuned, jobs, n = recipes.tuned(recipe), [], data.num_train
  for method in recipe.method_names:
    settings = tuned.methods[method]
    named = {variant: job_of(recipe, n, runtime.model, groups, method, variant,
                             settings[variant])
             for variant in recipes.VARIANTS if variant in settings}
    if 'matched' in named:
      steps = count_steps(recipe, data, runtime, named['rum_f'])
      named['matched'] = named['matched']._replace(steps=steps)
    jobs += named.values()
  stages = recipes.full_rum(recipe, tuned)
  if stages:
    jobs.append(Job('rum', 'rum', stages,
                    splits_of(recipe, n, groups, 'rum')))
  return [job._replace(tuning_seconds=tuned.seconds(job.method, job.variant))
          for job in jobs]


def job_of(recipe: Recipe, n: int, model: Model, groups: refinement.Groups,
           method: str, variant: str, setting: Mapping[str, Any]) -> Job:
  """The job of a variant of one method, for `n` training examples.

  Raises:
    ValueError: if `builders.build` refuses the setting.
  """
  builders.build(recipe, model, method, setting)
  splits = splits_of(recipe, n, groups, variant)
  return Job(method, variant, [(method, setting)] * len(splits), splits)
