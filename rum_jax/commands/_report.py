"""`rum-jax report`: the page of a run, drawn again from its files."""

from __future__ import annotations

import pathlib
from typing import Any

from rum_jax.commands import _pages
from rum_jax.commands._flags import Command, Flags
from rum_jax.storage import files


def define(flags: Flags) -> None:
  """Defines the flags."""
  flags.group('Which page')
  flags.string('workdir', None, 'The folder of a finished run.')
  flags.string('out', None, 'Where the page goes; by default report.html in '
               'the folder.')


def run(values: Any) -> None:
  """Writes the page."""
  if not values.workdir:
    raise ValueError('Expected workdir to be given, the folder of a finished '
                     'run; rum-jax runs lists them.')
  root = pathlib.Path(values.workdir)
  page = pathlib.Path(values.out or root / 'report.html')
  files.write_text(page, _pages.page_of(root))
  print(f'Wrote {page}.')


COMMAND = Command(
    'report', 'draws the page of a finished run again, from its files',
    (('The page of a run.', 'report runs/unlearn_model-0123456789ab'),),
    define, run, 'workdir', devices=False)
