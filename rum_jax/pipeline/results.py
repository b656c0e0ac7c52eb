"""From logits to `results.json`: rows, differences, groups, environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
from typing import Any

import jax
import numpy as np

import rum_jax
from rum_jax import entanglement, evaluation, recipes
from rum_jax.pipeline import jobs
from rum_jax.pipeline.jobs import Job
from rum_jax.pipeline.context import Data, Runtime
from rum_jax.pipeline.progress import Progress
from rum_jax.pipeline.stages import Models
from rum_jax.recipes import Recipe
from rum_jax.storage import artefacts, files, hosts
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import Split

Named = Mapping[str, np.ndarray]
_DRAWN = '.drawn.json'


def judged(
    recipe: Recipe,
    data: Data,
    runtime: Runtime,
    groups: Named,
    retain: np.ndarray,
    models: Models,
    done: Sequence[tuple[Job, Artefact]],
    scores: np.ndarray | None = None,
) -> dict[str, Any]:
  """All of `results.json`.

  Args:
    recipe: of the run.
    data: of the run.
    runtime: of the run.
    groups: name to rows; together the forget set.
    retain: rows.
    models: originals, and two sets of oracles.
    done: what was unlearned.
    scores: of the training examples, what the groups were chosen by.
  """
  subsets = evaluation.Subsets(
      tuple(groups.values()), retain, data.source.test)
  progress = Progress('evaluation', len(done) + 3)

  def judge(artefact: Artefact) -> evaluation.Behaviour:
    behaviour = jobs.judge(data, runtime, artefact, subsets)
    progress.step()
    return behaviour

  truth = judge(models.oracle)
  rows = [
      evaluation.row('do_nothing', 'reference', groups, judge(models.original),
                     truth, {}),
      evaluation.row('another_oracle', 'reference', groups, judge(models.other),
                     truth, models.other.notes)]
  for job, artefact in done:
    rows.append(evaluation.row(
        job.method, job.variant, groups, judge(artefact), truth, artefact.notes,
        job.setting))
  first = recipe.first_seed
  return {
      **origin(recipe, data, runtime),
      'seeds': list(range(first, first + recipe.seeds)),
      'examples': {'train': data.num_train,
                   'held_out': len(data.source.test)},
      'corrupted': data.corrupted.tolist(),
      'groups': describe_groups(
          recipe, data, groups, retain, models.original, scores),
      'oracle': evaluation.of_oracle(
          groups, truth, models.oracle.notes['seconds']),
      'rows': rows, 'differences': evaluation.differences(rows)}


def describe_groups(recipe: Recipe, data: Data, groups: Named,
                    retain: np.ndarray, original: Artefact,
                    scores: np.ndarray | None) -> dict[str, Any]:
  """Size, mean score, ES against the retain set, and rows of each."""
  score = jax.jit(jax.vmap(
      entanglement.entanglement_score, in_axes=(0, None)))
  features, measure = original.arrays['features'], recipe.refine_by
  mean = {name: None if scores is None else float(scores[g].mean())
          for name, g in groups.items()}
  return {
      name: {'size': len(g), 'rows': g.tolist(),
             'published_rows': data.source.row[g].tolist(),
             'mean_memorization':
                 mean[name] if measure == recipes.MEMORIZATION else None,
             'refined_by': measure, 'mean_score': mean[name],
             'es': evaluation.summary(score(features, Split(g, retain))),
             'corrupted': int(np.isin(g, data.corrupted).sum())}
      for name, g in groups.items()}


def origin(recipe: Recipe, data: Data, runtime: Runtime) -> dict[str, Any]:
  """Where figures come from: recipe, environment, data."""
  return {'recipe': dataclasses.asdict(recipe),
          'environment': {
              **environment(),
              'devices_per_run': runtime.programs.devices_per_run},
          'data_hash': data.hash}


def environment() -> dict[str, Any]:
  """Versions, device and commit."""
  names = ('jax', 'jaxlib', 'flax', 'optax', 'numpy', 'scikit-learn')
  return {
      'versions': {'python': platform.python_version(),
                   **{n: importlib.metadata.version(n) for n in names},
                   'rum-jax': rum_jax.__version__},
      'device': hosts.device_name(),
      'platform': jax.default_backend(),
      'devices': jax.device_count(),
      'cores': os.cpu_count(),
      'commit': _commit(),
  }


def _commit() -> str | None:
  folder = pathlib.Path(__file__).parent
  command = ('git', 'describe', '--always', '--dirty', '--abbrev=12')
  try:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True,
                          check=True).stdout.strip()
  except (OSError, subprocess.CalledProcessError):
    return None


def stands(root: pathlib.Path, results: dict[str, Any]) -> bool:
  """Whether `root` has these results and what was drawn of them, unharmed."""
  try:
    same = (root / 'results.json').read_bytes() == files.to_json(
        results).encode()
    return same and json.loads((root / _DRAWN).read_text()) == _hashes(root)
  except (OSError, ValueError):
    return False


def mark(root: pathlib.Path) -> None:
  """Notes that the report was drawn from the results and figures there."""
  files.write_json(root / _DRAWN, _hashes(root))


def _hashes(root: pathlib.Path) -> dict[str, str]:
  return {name: artefacts.file_digest(root / name)
          for name in ('results.json', 'figures.npz', 'report.html')}
