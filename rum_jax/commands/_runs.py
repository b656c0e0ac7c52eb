"""`rum-jax runs`: what was run, and what came out."""

from __future__ import annotations

import datetime
import json
import pathlib
from typing import Any

from rum_jax import records
from rum_jax.audits import verdicts
from rum_jax.commands._flags import Command, Flags
from rum_jax.pipeline import compare_methods, runs

_ROWS = {'new': 'the new rows', 'all': 'all rows, those of earlier requests '
                                       'included'}
_RESULTS = ('evidence.json', 'results.json', 'comparison.json',
            'memorization.json', 'proxies.json', 'difficulty.json',
            'sensitivity.json', 'entanglement.json', compare_methods.NAME)


def define(flags: Flags) -> None:
  """Defines the flags."""
  flags.group('Where to look')
  flags.string('root', 'runs', 'The folder that holds the folders of runs.')


def run(values: Any) -> None:
  """Prints a line for each run, the latest last."""
  root = pathlib.Path(values.root)
  if not root.is_dir():
    raise OSError(f'There is no folder root={root}.')
  found = sorted(root.glob(f'*/{runs.NAME}'), key=lambda x: x.stat().st_mtime)
  if not found:
    print(f'There are no runs in {root}.')
  for path in found:
    print(line(path))


def line(path: pathlib.Path) -> str:
  """What one run was, from its `recipe.json`."""
  folder = path.parent
  when = datetime.datetime.fromtimestamp(path.stat().st_mtime)
  try:
    about = records.read(runs.Run, path)
  except ValueError:
    return f'{when:%Y-%m-%d %H:%M}  {folder}: of another version.'
  recipe = about.recipe
  what = recipe.get('data') or recipe.get('dataset', '')
  how = (','.join(recipe.get('methods') or ()) or recipe.get('method') or '')
  left = next((x for x in _RESULTS if (folder / x).exists()), '')
  state = (_answer(folder) if left == 'evidence.json' else
           _answers(folder) if left == compare_methods.NAME else
           left or 'not finished')
  return (f'{when:%Y-%m-%d %H:%M}  {folder}  {about.command}  {what}  {how}  '
          f'{state}')


def _answer(folder: pathlib.Path) -> str:
  """The worst of the answers, and which rows it is about."""
  try:
    found = json.loads((folder / 'evidence.json').read_text())
    answers = {str(x['name']): str(x['verdict']['answer'])
               for x in found['parts']}
    name = min(answers, key=lambda x: verdicts.WORST_FIRST.index(answers[x]))
  except (OSError, ValueError, KeyError, TypeError):
    return 'evidence.json cannot be read'
  if len(answers) == 1:
    return answers[name]
  if len(set(answers.values())) == 1:
    return f'{answers[name]} (the new rows, and all rows)'
  return f'{answers[name]} ({_ROWS.get(name, name)})'


def _answers(folder: pathlib.Path) -> str:
  """The answer of each method of a comparison."""
  try:
    names = json.loads((folder / compare_methods.NAME).read_text())['methods']
    places = {x: folder / compare_methods.folder_of(x) for x in names}
  except (ValueError, KeyError, TypeError):
    return f'{compare_methods.NAME} cannot be read'
  return ', '.join(f'{x}: {_answer(place)}' for x, place in places.items())


COMMAND = Command(
    'runs', 'lists what was run, and what came out',
    (('All runs of this folder.', 'runs'),
     ('Those of another one.', 'runs --root=/data/runs')),
    define, run, 'root', devices=False)
