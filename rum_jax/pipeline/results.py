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
from rum_jax.pipeline.progress import Progress
from rum_jax.pipeline.stages import Models, Setup
from rum_jax.storage import artefacts, files, hosts
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import Split

Named = Mapping[str, np.ndarray]
_DRAWN = '.drawn.json'


def judged(
    setup: Setup,
    groups: Named,
    retain: np.ndarray,
    models: Models,
    done: Sequence[tuple[Job, Artefact]],
    scores: np.ndarray | None = None,
) -> dict[str, Any]:
  """All of `results.json`.

  Args:
    setup: of the run.
    groups: name to rows; together the forget set.
    retain: rows.
    models: originals, and two sets of oracles.
    done: what was unlearned.
    scores: of the training examples, what the groups were chosen by.
  """
  subsets = evaluation.Subsets(
      tuple(groups.values()), retain, setup.source.test)
  progress = Progress('evaluation', len(done) + 3)

  def judge(artefact: Artefact) -> evaluation.Behaviour:
    behaviour = jobs.judge(setup, artefact, subsets)
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
  first = setup.recipe.first_seed
  return {
      **origin(setup),
      'seeds': list(range(first, first + setup.recipe.seeds)),
      'examples': {'train': setup.source.num_train,
                   'held_out': len(setup.source.test)},
      'corrupted': setup.corrupted.tolist(),
      'groups': describe_groups(setup, groups, retain, models.original, scores),
      'oracle': evaluation.of_oracle(
          groups, truth, models.oracle.notes['seconds']),
      'rows': rows, 'differences': evaluation.differences(rows)}


def describe_groups(setup: Setup, groups: Named, retain: np.ndarray,
                    original: Artefact, scores: np.ndarray | None
                    ) -> dict[str, Any]:
  """Size, mean score, ES against the retain set, and rows of each."""
  score = jax.jit(jax.vmap(
      entanglement.entanglement_score, in_axes=(0, None)))
  features, measure = original.arrays['features'], setup.recipe.refine_by
  mean = {name: None if scores is None else float(scores[g].mean())
          for name, g in groups.items()}
  return {
      name: {'size': len(g), 'rows': g.tolist(),
             'published_rows': setup.source.row[g].tolist(),
             'mean_memorization':
                 mean[name] if measure == recipes.MEMORIZATION else None,
             'refined_by': measure, 'mean_score': mean[name],
             'es': evaluation.summary(score(features, Split(g, retain))),
             'corrupted': int(np.isin(g, setup.corrupted).sum())}
      for name, g in groups.items()}


def origin(setup: Setup) -> dict[str, Any]:
  """Where figures come from: recipe, environment, data."""
  return {'recipe': dataclasses.asdict(setup.recipe),
          'environment': {
              **environment(),
              'devices_per_run': setup.programs.devices_per_run},
          'data_hash': setup.data_hash}


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
