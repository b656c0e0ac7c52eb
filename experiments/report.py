"""Writes the page of a finished run again, from its numbers alone.

  python -m experiments.report --workdir=runs/digits_mlp-0123456789ab

Reads what a command left in the folder (`results.json`, `evidence.json`,
`difficulty.json` and the like) and writes `report.html` beside it.
"""

from __future__ import annotations

import pathlib

from rum_jax import recipes
from rum_jax.commands import app
from rum_jax.reporting import folders
from rum_jax.storage import files


def write(root: pathlib.Path) -> None:
  """Writes `report.html`, all of it or nothing.

  Args:
    root: folder with the files of a finished run.

  Raises:
    OSError: if a file cannot be read or written.
    ValueError: if a file is not what this program writes.
  """
  files.write_text(root / 'report.html', folders.page_of(root))


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
