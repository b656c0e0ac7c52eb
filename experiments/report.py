"""Writes the page of a finished run again, from its numbers alone.

  python -m experiments.report --workdir=runs/digits_mlp-0123456789ab

Reads `results.json` and `figures.npz` and writes `report.html` beside them.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any
import zipfile

import numpy as np

from rum_jax import recipes, reporting
from rum_jax.commands import app
from rum_jax.reporting import figures, vocabulary
from rum_jax.storage import files

_RESULTS = ('recipe', 'environment', 'data_hash', 'seeds', 'examples',
            'corrupted', 'groups', 'oracle', 'rows', 'differences')
_FIGURES = ('score', 'group', 'plane', 'image', 'label', 'true_label', 'shown',
            'classes')


def write(root: pathlib.Path) -> None:
  """Writes `report.html`, all of it or nothing.

  Args:
    root: folder with `results.json` and `figures.npz`.

  Raises:
    OSError: if a file cannot be read or written.
    ValueError: if a file is not what this program writes.
  """
  results = _read_results(root / 'results.json')
  arrays = _read_figures(root / 'figures.npz')
  score, group = arrays['score'], arrays['group']
  pictures = {
      'tow_by_method': figures.tow_by_method(results),
      'memorization_histogram': figures.memorization_histogram(
          score, group, vocabulary.measure(results)),
      'examples': figures.examples(
          arrays['image'], arrays['label'], arrays['true_label'],
          arrays['classes'].tolist(), score[arrays['shown']]),
      'tow_by_group': figures.tow_by_group(results),
      'embedding': figures.embedding(arrays['plane'], group),
      'cost': figures.cost(results)}
  files.write_text(root / 'report.html', reporting.page(results, pictures))


def _read_results(path: pathlib.Path) -> dict[str, Any]:
  try:
    results = json.loads(path.read_text())
    missing = [key for key in _RESULTS if key not in results]
  except OSError as error:
    raise OSError(f'Cannot read {path}: {error.strerror or error}.') from error
  except (ValueError, TypeError) as error:
    raise ValueError(f'{path} is not a results.json of this program: {error}.'
                     ) from error
  if missing:
    raise ValueError(f'{path} is not a results.json of this program: it lacks '
                     f'{", ".join(missing)}.')
  return results


def _read_figures(path: pathlib.Path) -> dict[str, np.ndarray]:
  try:
    with np.load(path, allow_pickle=False) as file:
      return {name: file[name] for name in _FIGURES}
  except OSError as error:
    raise OSError(f'Cannot read {path}: {error.strerror or error}.') from error
  except (AttributeError, EOFError, KeyError, TypeError, ValueError,
          zipfile.BadZipFile) as error:
    raise ValueError(f'{path} is not a figures.npz of this program: {error}.'
                     ) from error


def main() -> None:
  if not app.FLAGS.workdir:
    raise ValueError('Expected --workdir, the folder of a finished run.')
  root = pathlib.Path(app.FLAGS.workdir)
  write(root)
  print(f'Wrote {root}/report.html.')


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
