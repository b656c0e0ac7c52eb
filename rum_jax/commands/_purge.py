"""`rum-jax purge`: removes what a run keeps of forgotten rows."""

from __future__ import annotations

import pathlib
import sys
from typing import Any

from rum_jax.commands._flags import Command, Flags
from rum_jax.pipeline import leftovers, runs


def define(flags: Flags) -> None:
  """Defines the flags."""
  flags.group('What to remove')
  flags.string('workdir', None, 'The folder of a run, in runs.')
  flags.boolean('yes', 'Remove without asking.')


def run(values: Any) -> None:
  """Lists what is left, asks, and removes it."""
  if not values.workdir:
    raise ValueError('Expected workdir to be given, the folder of a run; '
                     'rum-jax runs lists them.')
  root = pathlib.Path(values.workdir)
  if not (root / runs.NAME).exists():
    raise OSError(f'Expected workdir={root} to be the folder of a run: there '
                  f'is no {root / runs.NAME}.')
  lock = runs.claim(root)
  try:
    found = leftovers.of_run(root)
    print(*leftovers.sentences(found), sep='\n')
    ours = [x for x in found if x.ours]
    if not ours:
      return
    if not values.yes and not _agreed(len(ours)):
      print('Nothing was removed.')
      return
    leftovers.remove(ours)
    print(f'Removed {len(ours)} of them, {sum(x.size for x in ours):,} bytes. '
          'Copies in backups and in the trash of the system are not touched.')
  finally:
    lock.release()


def _agreed(count: int) -> bool:
  if not sys.stdin.isatty():
    raise ValueError(f'Expected yes to be given: {count} files would be '
                     'removed, and nobody can be asked here.')
  return input('Remove them? [y/N] ').strip().lower() in ('y', 'yes')


COMMAND = Command(
    'purge', 'removes images and weights that a run keeps of forgotten rows',
    (('Lists what is there, and asks before it removes it.',
      'purge runs/unlearn_model-0123456789ab'),
     ('Without asking.', 'purge runs/unlearn_model-0123456789ab --yes')),
    define, run, 'workdir', devices=False)
