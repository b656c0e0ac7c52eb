"""Jobs: the rows of the table that do work, run for all seeds at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent import futures
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import evaluation, recipes, refinement, rum
from rum_jax.pipeline import assembly
from rum_jax.pipeline.progress import Progress
from rum_jax.pipeline.stages import described, keys, Setup
from rum_jax.storage import artefacts
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import Info, PyTree, Split, Unlearner, Variables


class Job(NamedTuple):
  """One row of the table.

  Attributes:
    method: name of the algorithm, or `rum`.
    variant: vanilla, matched, shuffle, rum_f or rum.
    setting: a `(method, values)` for each stage.
    splits: one for each stage, with a leading axis of seeds.
    steps: length of every stage in steps, or `None`.
  """

  method: str
  variant: str
  setting: Sequence[tuple[str, dict[str, Any]]]
  splits: tuple[Split, ...]
  steps: int | None = None


def unlearner_of(setup: Setup, job: Job, values: Sequence[dict[str, Any]]
                 ) -> Unlearner:
  """The unlearner of a job, with its numbers replaced by `values`."""
  return rum.sequential(*(
      assembly.build(setup.recipe, setup.model, name, {**fixed, **traced},
                    job.steps)
      for (name, fixed), traced in zip(job.setting, values)))


def run_job(setup: Setup, job: Job, start: Variables
            ) -> tuple[tuple[Variables, tuple[Info, ...]], dict[str, float]]:
  """Unlearns S models.

  Returns:
    `(variables, infos)` of all seeds, and the seconds.
  """
  return setup.programs.run(*call_of(setup, job, start))


def compile_ahead(setup: Setup, jobs: Sequence[Job], start: Artefact) -> None:
  """Compiles, on all cores, what `unlearn` will want of these jobs.

  All of it before the first job runs, whose seconds are then its own.
  """
  variables = Variables(**jax.tree.map(jnp.asarray, start.tree))
  todo = [job for job in jobs if not place(setup, job, start).exists()]
  try:
    wanted = {setup.programs.ahead(*call_of(setup, job, variables))
              for job in todo}
    progress = Progress('compiling', len(wanted)) if wanted else None
    for program in futures.as_completed(wanted):
      program.result()  # Raises what went wrong.
      progress.step()
  finally:
    setup.programs.cancel()


def call_of(setup: Setup, job: Job, start: Variables) -> tuple[Any, ...]:
  """The arguments of `Programs.run`.

  Real-valued hyper-parameters enter the program as arguments, so that jobs that
  differ in nothing else share it.
  """
  values = [{k: v for k, v in fixed.items()
             if isinstance(v, float) and k in assembly.searched(method)}
            for method, fixed in job.setting]
  static = [(m, sorted((k, v) for k, v in fixed.items() if k not in value))
            for (m, fixed), value in zip(job.setting, values)]
  unlearner_of(setup, job, values)  # Refuses bad values before tracing.

  def one(key, variables, dataset, split, values):
    return unlearner_of(setup, job, values)(key, variables, dataset, split)

  return (f'{static} {job.steps}', one, (0, 0, None, 0, None),
          keys(setup, f'{job.method}-{job.variant}'), start, setup.dataset,
          job.splits, jax.tree.map(jnp.float32, values))


def identity_of(setup: Setup, job: Job, start: Artefact) -> dict[str, Any]:
  """What decides the result of a job."""
  return {
      'setting': job.setting, 'steps': job.steps, 'originals': start.digest,
      'splits': artefacts.array_digest(*jax.tree.leaves(job.splits)),
      'source': [assembly.source_hash(method) for method, _ in job.setting],
      **setup.recipe.part(
          'batch_size', 'momentum', 'weight_decay', 'batch_norm',
          'precision')}


def place(setup: Setup, job: Job, start: Artefact) -> pathlib.Path:
  """The folder of a job's artefact."""
  name = f'unlearned/{job.method}-{job.variant}'
  return artefacts.place(
      setup.root, name.replace(':', '_'), identity_of(setup, job, start))


def unlearn(setup: Setup, job: Job, start: Artefact) -> Artefact:
  """The artefact of a job that starts from the originals."""

  def compute() -> Artefact:
    (variables, infos), notes = run_job(
        setup, job, Variables(**jax.tree.map(jnp.asarray, start.tree)))
    losses = [np.asarray(info.loss) for info in infos]
    notes['steps'] = [x.shape[1] for x in losses]
    notes['probes'] = [_means(info.probes) for info in infos]
    artefact = described(setup, variables, np.concatenate(losses, 1), notes)
    notes['diverged'] = [
        {'seed': setup.recipe.first_seed + s, 'stage': stage}
        for s, stage in evaluation.diverged(
            losses, evaluation.finite(artefact.arrays['logits']))]
    return artefact

  return artefacts.stage(
      place(setup, job, start), identity_of(setup, job, start), compute)


def _means(probes: PyTree) -> dict[str, float]:
  """Path to the mean over seeds of what an info reports in the end."""
  return {jax.tree_util.keystr(path, simple=True, separator=' '):
              float(x.reshape(x.shape[0], -1)[:, -1].mean())
          for path, x in jax.tree.leaves_with_path(probes)}


def judge(setup: Setup, artefact: Artefact, subsets: evaluation.Subsets
          ) -> evaluation.Behaviour:
  """What the models of an artefact do, attack included."""

  def compute() -> Artefact:
    figures = evaluation.behaviour(
        artefact.arrays['logits'], setup.source.dataset.label, subsets)
    return Artefact(figures._asdict())

  logits = artefacts.array_digest(artefact.arrays['logits'])
  rows = artefacts.array_digest(*jax.tree.leaves(subsets))
  identity = {'logits': logits, 'rows': rows, 'data': setup.data_hash,
              'held out': setup.held_out_hash}
  arrays = artefacts.stage(
      artefacts.place(setup.root, f'judged/{logits[:8]}', identity),
      identity, compute).arrays
  return evaluation.Behaviour(**arrays)


def count_steps(setup: Setup, job: Job) -> int:
  """Steps that a job takes in all its stages, kept as tracing is slow."""

  def compute() -> Artefact:
    unlearner = unlearner_of(setup, job, [{}] * len(job.setting))
    variables = jax.eval_shape(setup.model.init, jax.random.key(0))
    _, infos = jax.eval_shape(
        unlearner, jax.random.key(0), variables, setup.dataset,
        jax.tree.map(lambda x: x[0], job.splits))
    steps = sum(info.loss.shape[0] for info in infos)
    return Artefact({}, notes={'steps': steps})

  identity = {
      'setting': job.setting, 'steps': job.steps,
      'sizes': [tuple(x.shape for x in split) for split in job.splits],
      'source': [assembly.source_hash(method) for method, _ in job.setting],
      **setup.recipe.part('batch_size')}
  kept = artefacts.stage(
      artefacts.place(setup.root, 'unlearned/steps', identity), identity,
      compute)
  return kept.notes['steps']


def splits_of(setup: Setup, groups: refinement.Groups, variant: str
              ) -> tuple[Split, ...]:
  """The stages of a variant, with a leading axis of seeds."""
  recipe, n = setup.recipe, setup.source.num_train
  chosen = [
      refinement.merged(groups) if variant in ('vanilla', 'matched') else
      refinement.shuffled(groups, seed) if variant == 'shuffle' else groups
      for seed in range(recipe.first_seed, recipe.first_seed + recipe.seeds)]
  return refinement.stacked([refinement.stages(g, n) for g in chosen])


def jobs_of(setup: Setup, groups: refinement.Groups) -> list[Job]:
  """Every row of the table that does work."""
  tuned, jobs = recipes.tuned(setup.recipe), []
  for method in setup.recipe.method_names:
    settings = tuned['methods'][method]
    named = {variant: job_of(setup, groups, method, variant, settings[variant])
             for variant in recipes.VARIANTS if variant in settings}
    if 'matched' in named:
      steps = count_steps(setup, named['rum_f'])
      named['matched'] = named['matched']._replace(steps=steps)
    jobs += named.values()
  if tuned.get('rum'):  # Empty where tuning had too few methods to choose from.
    jobs.append(Job('rum', 'rum', tuned['rum'],
                    splits_of(setup, groups, 'rum')))
  return jobs


def job_of(setup: Setup, groups: refinement.Groups, method: str, variant: str,
           setting: dict[str, Any]) -> Job:
  """One algorithm, the same in all stages of a variant.

  Raises:
    ValueError: as `assembly.build`, before anything is trained.
  """
  assembly.build(setup.recipe, setup.model, method, setting)
  splits = splits_of(setup, groups, variant)
  return Job(method, variant, [(method, setting)] * len(splits), splits)
