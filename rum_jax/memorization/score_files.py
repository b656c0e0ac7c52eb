"""Files of memorization scores.

Some score files come with the package and are found by name.
`measured/README.md` tells how each was made and how reliable it is.
"""

from __future__ import annotations

import math
import pathlib
import zipfile

import numpy as np

from rum_jax.memorization.estimator import Memorization
from rum_jax.storage import files

FOLDER = pathlib.Path(__file__).parent / 'measured'  # Of the package's own.


def save(path: pathlib.Path, scores: Memorization, row: np.ndarray,
         data_hash: str = '', probability: Memorization | None = None, *,
         published_hash: str = '', halves: np.ndarray | None = None,
         fit: float | None = None) -> None:
  """Writes a score file: the fields of `scores`, `row` and a hash.

  Args:
    path: ends in `.npz`.
    scores: the scores of the N examples, from correctness.
    row: `[N]`, the row of each example in the published data set.
    data_hash: the hash of the images and labels of these N examples.
    probability: the estimate of the same models from softmax probabilities; it
      is written as `probability_score` and `probability_standard_error`.
    published_hash: the hash of all images and labels of the published training
      part, in place of `data_hash`. Any part of the data set can use such a
      file.
    halves: `[2, N]` scores of the two halves of the models, if they are known.
    fit: the mean accuracy of the models on their own training subsets.
  """
  more = {'data_hash': data_hash or None, 'fit': fit,
          'published_hash': published_hash or None, 'half_score': halves}
  arrays = {**scores._asdict(), 'row': row,
            **{name: x for name, x in more.items() if x is not None}}
  if probability is not None:
    for name in ('score', 'standard_error'):
      arrays[f'probability_{name}'] = getattr(probability, name)
  files.write_arrays(path, arrays)


def names() -> list[str]:
  """Names of the score files that come with the package, sorted."""
  return sorted(path.stem for path in FOLDER.glob('*.npz'))


def located(name: str) -> str:
  """The path of the score file of this name; other paths are unchanged."""
  return str(FOLDER / f'{name}.npz') if name in names() else name


def of_published(path: str) -> bool:
  """Whether a score file is of a published data set, not of a run's examples.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if it is not a score file.
  """
  return 'published_hash' in _arrays(path)


def of_examples(path: str, data_hash: str) -> bool:
  """Whether a score file is of just these examples, in their order.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if it is not a score file.
  """
  return str(_arrays(path).get('data_hash', '')) == data_hash


def load_reliability(path: str, row: np.ndarray
                     ) -> tuple[np.ndarray | None, float]:
  """Loads the scores of each half of the models, and their accuracy.

  Args:
    path: the path of the score file.
    row: `[N]`, the row of each example in the published training part; the file
      must hold them.

  Returns:
    The scores `[2, N]` of the two halves of the models, and the accuracy of the
    models on their subsets; `None` and NaN where the file does not tell.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if it is not a score file.
  """
  arrays = _arrays(path)
  fit = float(arrays.get('fit', math.nan))
  if 'half_score' not in arrays or 'row' not in arrays:
    return None, fit
  order = np.argsort(arrays['row'], kind='stable')
  place = order[np.searchsorted(arrays['row'], row, sorter=order)]
  return arrays['half_score'][:, place], fit


def load(path: str, num_examples: int, data_hash: str) -> Memorization:
  """Reads a score file of the same examples.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if it is not a score file, or if its length or hash differs.
  """
  arrays = _arrays(path)
  found = len(arrays['score'])
  if found != num_examples:
    raise ValueError(f'Expected scores={path} to hold {num_examples} scores, '
                     f'found {found}.')
  _check_owner(path, arrays.get('data_hash', 'another'), data_hash)
  return _scores(arrays)


def load_rows(path: str, row: np.ndarray, published_hash: str) -> Memorization:
  """Reads the scores of some examples of a published data set.

  Args:
    path: the path of a file that `save` wrote with the hash of the published
      data.
    row: `[N]`, the row of each example in the published training part.
    published_hash: the hash of the published training part.

  Returns:
    Scores `[N]` of these examples, in their order.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if it is not a score file, belongs to another data set, or does
      not hold a score of each row; the message names the first such row.
  """
  arrays = _arrays(path)
  _check_owner(path, arrays.get('published_hash', 'another'), published_hash)
  row, held = np.asarray(row), np.asarray(arrays['row'])
  place = np.full(1 + max(row.max(initial=0), held.max(initial=0)), -1)
  place[held] = np.arange(len(held))
  lost = row[place[row] < 0]
  if len(lost):
    raise ValueError(
        f'Expected scores={path} to hold a score of each of {len(row)} '
        f'training examples, found none of {len(lost)} of them, the first in '
        f'row {lost[0]} of the published training part.')
  return Memorization(*(x[place[row]] for x in _scores(arrays)))


def _arrays(path: str) -> dict[str, np.ndarray]:
  """All arrays of a score file."""
  if not pathlib.Path(path).exists():
    raise FileNotFoundError(
        f'No file scores={path}. The score files that come with rum_jax are '
        f'{", ".join(names())}.')
  try:
    with np.load(path, allow_pickle=False) as file:
      arrays = {name: file[name] for name in file}
    needed = ((*Memorization._fields, 'row') if 'published_hash' in arrays
              else (*Memorization._fields, 'data_hash'))
    for name in needed:
      arrays[name]
  except (KeyError, TypeError, ValueError, OSError, EOFError,
          zipfile.BadZipFile) as error:
    raise ValueError(f'scores={path} is not a memorization.npz of this '
                     f'program: {error}.') from error
  return arrays


def _scores(arrays: dict[str, np.ndarray]) -> Memorization:
  """Scores and errors in double precision, counts as whole numbers."""
  score, error, inside, outside = (
      arrays[name] for name in Memorization._fields)
  return Memorization(score.astype(float), error.astype(float),
                      inside.astype(int), outside.astype(int))


def _check_owner(path: str, found: object, wanted: str) -> None:
  owner = str(found)
  if owner != wanted:
    raise ValueError(f'scores={path} belongs to another data set: its hash is '
                     f'{owner[:12]}, the hash of the data is {wanted[:12]}.')
