"""Writes the page of a finished run again, from its numbers alone.

  python -m experiments.report --workdir=runs/digits_mlp-0123456789ab

Reads `results.json` and, of groups of memorization, `figures.npz`, and writes
`report.html` beside them.
"""

from __future__ import annotations

import pathlib
import zipfile

import numpy as np

from rum_jax import recipes, records, reporting
from rum_jax.commands import app
from rum_jax.evaluation import Results
from rum_jax.reporting import figures, vocabulary
from rum_jax.storage import files
from rum_jax.types import GROUPS

_ARRAYS = ('score', 'group', 'plane', 'image', 'label', 'true_label', 'shown',
           'classes')


def write(root: pathlib.Path) -> None:
  """Writes `report.html`, all of it or nothing.

  Args:
    root: folder with `results.json` and, of groups of memorization,
      `figures.npz`.

  Raises:
    OSError: if a file cannot be read or written.
    ValueError: if a file is not what this program writes.
  """
  results = records.read(Results, root / 'results.json')
  pictures = {'tow_by_method': figures.tow_by_method(results),
              'cost': figures.cost(results)}
  if set(results.groups) == set(GROUPS):
    pictures |= _of_groups(results, _read_arrays(root / 'figures.npz'))
  files.write_text(root / 'report.html', reporting.page(results, pictures))


def _of_groups(results: Results, arrays: dict[str, np.ndarray]
               ) -> dict[str, str]:
  """Pictures of groups of low, medium and high memorization."""
  score, group = arrays['score'], arrays['group']
  pictures = {
      'examples': figures.examples(
          arrays['image'], arrays['label'], arrays['true_label'],
          arrays['classes'].tolist(), score[arrays['shown']]),
      'tow_by_group': figures.tow_by_group(results.rows),
      'embedding': figures.embedding(arrays['plane'], group)}
  if np.isfinite(score).any():
    pictures['memorization_histogram'] = figures.memorization_histogram(
        score, group, vocabulary.score_name(results))
  return pictures


def _read_arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
  try:
    with np.load(path, allow_pickle=False) as file:
      return {name: file[name] for name in _ARRAYS}
  except OSError as error:
    raise OSError(f'Cannot read {path}: {error.strerror or error}.') from error
  except (AttributeError, EOFError, KeyError, TypeError, ValueError,
          zipfile.BadZipFile) as error:
    raise ValueError(f'{path} is not a figures.npz of this program: {error}.'
                     ) from error


def main() -> None:
  app.refuse_dry_run()
  if not app.FLAGS.workdir:
    raise ValueError('Expected --workdir, the folder of a finished run.')
  root = pathlib.Path(app.FLAGS.workdir)
  write(root)
  print(f'Wrote {root}/report.html.')


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
