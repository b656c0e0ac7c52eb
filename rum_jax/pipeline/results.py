"""Makes `Results` from the signals of models, and writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import importlib.metadata
import importlib.resources
import json
import math
import os
import pathlib
import platform
from typing import Any

import jax
import numpy as np

import rum_jax
from rum_jax import entanglement, evaluation, recipes, records
from rum_jax.evaluation import Group, Results
from rum_jax.evaluation.results import Divergence, Environment, Examples
from rum_jax.evaluation.results import Origin, RecordedRecipe, REFINED, Versions
from rum_jax.pipeline import subset_models, unlearning
from rum_jax.pipeline.context import Data, Runtime
from rum_jax.pipeline.progress import Progress
from rum_jax.pipeline.subset_models import Estimate
from rum_jax.pipeline.trained_models import Models
from rum_jax.pipeline.unlearning import Job
from rum_jax.recipes import Recipe
from rum_jax.storage import artefacts, files, hosts
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import AnyArray, GROUPS, Split

Named = Mapping[str, np.ndarray]
_DRAWN = '.drawn.json'


def judged(
    recipe: Recipe,
    data: Data,
    runtime: Runtime,
    groups: Named,
    retain: AnyArray,
    models: Models,
    done: Sequence[tuple[Job, Artefact]],
    scores: np.ndarray | None = None,
    beforehand_seconds: float = math.nan,
    estimate: Estimate | None = None,
    warnings: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Results:
  """The content of `results.json`.

  Args:
    recipe: the recipe of the run.
    data: the data of the run.
    runtime: the runtime of the run.
    groups: name to rows; the groups together are the forget set.
    retain: rows of the retain set.
    models: the originals and two sets of oracles.
    done: the jobs that were run, with their artefacts.
    scores: the scores of the training examples, by which the groups were
      chosen.
    beforehand_seconds: the time to compute these scores; NaN where it is not
      known.
    estimate: the estimate of memorization that these scores are of.
    warnings: sentences on problems of the forget set.
    notes: sentences on what was done to the data.
  """
  labels, test = np.asarray(data.source.dataset.label), data.source.test
  gone = evaluation.measurements.forgotten_classes(
      labels, np.concatenate([*groups.values()]), retain)
  subsets = evaluation.Subsets(
      tuple(groups.values()), retain, test,
      test[~np.isin(labels[test], gone)] if len(gone) else None)
  progress = Progress('evaluation', len(done) + 3)

  def judge(artefact: Artefact) -> evaluation.Behaviour:
    behaviour = unlearning.judge(data, runtime, artefact, subsets)
    progress.step()
    return behaviour

  truth = judge(models.oracle)
  rows = [
      evaluation.row('do_nothing', 'reference', groups, judge(models.original),
                     truth),
      evaluation.row('another_oracle', 'reference', groups, judge(models.other),
                     truth, **_noted(models.other))]
  for job, artefact in done:
    rows.append(evaluation.row(
        job.method, job.variant, groups, judge(artefact), truth,
        setting=job.setting, **_noted(artefact), beforehand_seconds=(
            beforehand_seconds if job.variant in REFINED else 0.0),
        tuning_seconds=job.tuning_seconds))
  first = recipe.first_seed
  return evaluation.assemble(
      origin(recipe, data, runtime, sum(map(len, groups.values()))),
      seeds=range(first, first + recipe.seeds),
      examples=Examples(train=data.num_train, held_out=len(data.source.test)),
      corrupted=data.source.row[data.corrupted].tolist(),
      groups=describe_groups(
          recipe, data, groups, retain, models.original, scores, estimate),
      oracle=evaluation.of_oracle(
          groups, truth, models.oracle.notes['seconds']),
      rows=rows, chance=evaluation.reference_checks.chance_of(
          labels[data.source.train], len(data.source.classes)),
      forgotten_classes=[str(data.source.classes[k]) for k in gone],
      memorization_fit=math.nan if estimate is None else estimate.fit,
      warnings=warnings, notes=(*data.source.notes, *notes))


def _noted(artefact: Artefact) -> dict[str, Any]:
  """The fields of a row that the notes of an artefact hold."""
  notes = dict(artefact.notes)
  diverged = [Divergence(**case) for case in notes.pop('diverged', ())]
  names = ('seconds', 'compile_seconds', 'steps', 'probes')
  return {'diverged': diverged,
          **{name: notes[name] for name in names if name in notes}}


def describe_groups(recipe: Recipe, data: Data, groups: Named,
                    retain: AnyArray, original: Artefact,
                    scores: np.ndarray | None,
                    estimate: Estimate | None = None) -> dict[str, Group]:
  """Size, rows, scores and entanglement score of each group."""
  features, refined_by = original.arrays['features'], recipe.refine_by
  shares = dict(zip(GROUPS, subset_models.overlaps(recipe, estimate)))

  def describe(name: str, rows: np.ndarray) -> Group:
    mean = math.nan if scores is None else float(scores[rows].mean())
    error = (math.nan if estimate is None else
             float(estimate.correctness.standard_error[rows].mean()))
    return Group(
        size=len(rows), rows=tuple(data.source.row[rows].tolist()),
        positions=tuple(rows.tolist()), standard_error=error,
        overlap=shares.get(name, math.nan),
        mean_memorization=(
            mean if refined_by == recipes.MEMORIZATION else math.nan),
        refined_by=refined_by, mean_score=mean,
        es=evaluation.summary(entanglement.double_precision_scores(
            features, Split(rows, retain))),
        corrupted=int(np.isin(rows, data.corrupted).sum()))

  return {name: describe(name, rows) for name, rows in groups.items()}


def origin(recipe: Recipe, data: Data, runtime: Runtime,
           forget: int | None = None) -> Origin:
  """The recipe, the environment and the data that figures come from.

  Args:
    recipe: the recipe of the run.
    data: the data of the run.
    runtime: the runtime of the run.
    forget: the number of examples that were forgotten, if it is not the number
      in the recipe because rows were given.
  """
  fields = dataclasses.asdict(recipe)
  if forget is not None:
    fields['forget'] = forget
  return Origin(
      recipe=records.from_json(RecordedRecipe, fields),
      environment=environment(runtime.programs.devices_per_run),
      data_hash=data.hash)


def environment(devices_per_run: int | None = None) -> Environment:
  """The versions of libraries, and the device."""
  names = ('jaxlib', 'flax', 'optax', 'numpy', 'scikit-learn')
  version = importlib.metadata.version
  return Environment(
      versions=Versions(jax=version('jax'), rest={
          'python': platform.python_version(),
          **{name: version(name) for name in names},
          'rum-jax': rum_jax.__version__}),
      device=hosts.device_name(), platform=jax.default_backend(),
      devices=jax.device_count(), cores=os.cpu_count(), commit=commit(),
      devices_per_run=devices_per_run)


def commit() -> str | None:
  """The commit that this package was built from; None in a clone.

  It ends with + if the files had changed since that commit.
  """
  path = importlib.resources.files('rum_jax').joinpath('COMMIT')
  return path.read_text().strip() if path.is_file() else None


def write(path: pathlib.Path, record: Any) -> None:
  """Writes a record, which `records.read` can read.

  Raises:
    OSError: if it cannot be written.
  """
  files.write_json(path, records.as_json(record))


def is_current(root: pathlib.Path, results: Results) -> bool:
  """Whether `root` holds these results and an unchanged report of them."""
  try:
    same = (root / 'results.json').read_bytes() == files.to_json(
        records.as_json(results)).encode()
    return same and json.loads((root / _DRAWN).read_text()) == _hashes(root)
  except (OSError, ValueError):
    return False


def mark_current(root: pathlib.Path) -> None:
  """Records that the report in `root` belongs to the results there."""
  files.write_json(root / _DRAWN, _hashes(root))


def _hashes(root: pathlib.Path) -> dict[str, str]:
  return {name: artefacts.file_digest(root / name)
          for name in ('results.json', 'figures.npz', 'report.html')}
