"""Files of memorization scores.

Some score files come with the package and are found by name.
`measured/README.md` tells how each was made and how reliable it is.
"""

from __future__ import annotations

import pathlib
import zipfile

import numpy as np

from rum_jax.memorization.estimator import Memorization
from rum_jax.storage import files

_MEASURED = pathlib.Path(__file__).parent / 'measured'


def save(path: pathlib.Path, scores: Memorization, row: np.ndarray,
         data_hash: str, probability: Memorization | None = None) -> None:
  """Writes a score file: the fields of `scores`, `row` and `data_hash`.

  Args:
    path: ends in `.npz`.
    scores: of the N training examples, from correctness.
    row: `[N]`, the row of each example in the published data set.
    data_hash: of the training images and labels.
    probability: the estimate of the same models from softmax probabilities; it
      is written as `probability_score` and `probability_standard_error`.
  """
  arrays = {**scores._asdict(), 'row': row, 'data_hash': data_hash}
  if probability is not None:
    for name in ('score', 'standard_error'):
      arrays[f'probability_{name}'] = getattr(probability, name)
  files.write_arrays(path, arrays)


def names() -> list[str]:
  """Names of the score files that come with the package, sorted."""
  return sorted(path.stem for path in _MEASURED.glob('*.npz'))


def located(name: str) -> str:
  """The path of the score file of this name; other paths are unchanged."""
  return str(_MEASURED / f'{name}.npz') if name in names() else name


def load(path: str, num_examples: int, data_hash: str) -> Memorization:
  """Reads a score file of the same data set.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if it is not a score file, or if its length or hash differs.
  """
  if not pathlib.Path(path).exists():
    raise FileNotFoundError(
        f'No file scores={path}. The score files that come with rum_jax are '
        f'{", ".join(names())}.')
  try:
    with np.load(path, allow_pickle=False) as file:
      scores = Memorization(*(file[name] for name in Memorization._fields))
      owner = str(file['data_hash'])
  except (KeyError, TypeError, ValueError, OSError, EOFError,
          zipfile.BadZipFile) as error:
    raise ValueError(f'scores={path} is not a memorization.npz of this '
                     f'program: {error}.') from error
  if len(scores.score) != num_examples:
    raise ValueError(f'Expected scores={path} to hold {num_examples} scores, '
                     f'found {len(scores.score)}.')
  if owner != data_hash:
    raise ValueError(f'scores={path} belongs to another data set: its hash is '
                     f'{owner[:12]}, the hash of the data is {data_hash[:12]}.')
  return scores
