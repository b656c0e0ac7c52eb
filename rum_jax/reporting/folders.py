"""The page of a folder: whatever a command left there becomes HTML.

Nothing is computed again, and nothing is written: the caller writes the page.
"""

from __future__ import annotations

from collections.abc import Callable
import pathlib
from typing import Any
import zipfile

import numpy as np

from rum_jax import records, reporting
from rum_jax.audits import Evidence
from rum_jax.entanglement.measures import EntanglementFile
from rum_jax.evaluation import Results
from rum_jax.evaluation.difficulty import Difficulty, Sensitivity
from rum_jax.memorization.comparison import ProxiesFile
from rum_jax.memorization.reliability import MemorizationFile
from rum_jax.recipes.settings import TunedSettings
from rum_jax.reporting import _sections, markup, vocabulary
from rum_jax.reporting._evidence_page import evidence_page
from rum_jax.reporting._page import page
from rum_jax.types import GROUPS

_ARRAYS = ('score', 'group', 'plane', 'label', 'true_label', 'shown',
           'classes')
# Name of a file to its record and to the function that makes sections of it.
_PARTS: dict[str, tuple[type[Any], Callable[[Any], list[str]]]] = {
    'difficulty.json': (Difficulty, _sections.difficulty),
    'sensitivity.json': (Sensitivity, _sections.sensitivity),
    'entanglement.json': (EntanglementFile, _sections.entanglement),
    'memorization.json': (MemorizationFile, _sections.memorization),
    'proxies.json': (ProxiesFile, _sections.proxies)}
NAMES = ('evidence.json', 'results.json', *_PARTS)
# Files of other kinds, which a search for settings does not write.
_OTHER = ('recipe.json', 'memorization_speed.json')


def page_of(root: pathlib.Path) -> str:
  """The page of what a command left in a folder.

  Args:
    root: a folder that holds one of `NAMES`, or tuned settings. If there is
      `evidence.json`, the page is of it; else of `results.json`, with the
      pictures of `figures.npz` where that is there; else of all other files.

  Returns:
    HTML that needs no other file.

  Raises:
    OSError: if a file cannot be read, or none of them is there; the message
      names them.
    ValueError: if a file is not what this program writes.
  """
  if (root / 'evidence.json').exists():
    evidence = records.read(Evidence, root / 'evidence.json')
    return evidence_page(
        evidence, reporting.figures.evidence.all_of(evidence.worst_first))
  if (root / 'results.json').exists():
    return _of_results(root)
  sections = []
  for name, (kind, sections_of) in _PARTS.items():
    if (root / name).exists():
      sections += sections_of(records.read(kind, root / name))
  for path in sorted(root.glob('*.json')):
    if path.name not in (*_PARTS, *_OTHER) and (tuned := _tuned(path)):
      sections += _sections.tuned(path.name, tuned)
  if not sections:
    raise OSError(f'Expected {root} to hold the files of a finished run, which '
                  f'are {vocabulary.listed(NAMES)} or tuned settings; found '
                  'none of them.')
  return markup.document(
      'What was measured', f'From the files in {root.name}.', *sections)


def _of_results(root: pathlib.Path) -> str:
  results = records.read(Results, root / 'results.json')
  pictures = {'tow_by_method': reporting.figures.tow_by_method(results),
              'cost': reporting.figures.cost(results)}
  if set(results.groups) == set(GROUPS):
    pictures['tow_by_group'] = reporting.figures.tow_by_group(results.rows)
  path = root / 'figures.npz'
  if path.exists():
    arrays = _read_arrays(path)
    score, group = arrays['score'], arrays['group']
    if np.isfinite(score).any():
      pictures['memorization_histogram'] = (
          reporting.figures.memorization_histogram(
              score, group, vocabulary.score_name(results)))
    if 'image' in arrays:
      pictures['examples'] = reporting.figures.examples(
          arrays['image'], arrays['label'], arrays['true_label'],
          arrays['classes'].tolist(), score[arrays['shown']])
    pictures['embedding'] = reporting.figures.embedding(arrays['plane'], group)
  return page(results, pictures)


def _tuned(path: pathlib.Path) -> TunedSettings | None:
  """Tuned settings; `None` where the file is something else."""
  try:
    return records.read(TunedSettings, path)
  except ValueError:
    return None


def _read_arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
  """The arrays; `image` is among them only if somebody wants to see pixels."""
  try:
    with np.load(path, allow_pickle=False) as file:
      return {name: file[name]
              for name in (*_ARRAYS, *({'image'} & set(file.files)))}
  except OSError as error:
    raise OSError(f'Cannot read {path}: {error.strerror or error}.') from error
  except (AttributeError, EOFError, KeyError, TypeError, ValueError,
          zipfile.BadZipFile) as error:
    raise ValueError(f'{path} is not a figures.npz of this program: {error}.'
                     ) from error
