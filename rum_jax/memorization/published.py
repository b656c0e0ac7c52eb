"""Reads the score files that others published, in the order of their data set.

| of | file | arrays | score |
|---|---|---|---|
| Feldman | `cifar100_infl_matrix.npz` | `tr_mem`, `tr_labels` | as is |
| Jiang | `*-cscores-orig-order.npz` | `scores`, `labels` | 1 − C, a proxy |
| Zhao | `estimates_results.npz` | `memorization` | as is |
| anyone | `*.npy` | one array `[N]` | as is |

Rows in another order are a common error that stays unnoticed, for example
because TFDS shuffles. Labels verify the order, except for swaps within a class.
Without labels, the order cannot be verified, but it is checked to be plausible
in each stretch of rows of the file. The scores have to correlate with reference
scores or, without these, differ significantly between classes.

References:
  Feldman and Zhang, What neural networks memorize and why, 2020; Jiang et al.,
  Characterizing structural regularities of labeled data in overparameterized
  models, 2021; Zhao et al., What makes unlearning hard and what to do about
  it, 2024.
"""

from __future__ import annotations

import pathlib
from typing import NamedTuple
import zipfile

import numpy as np
import scipy  # Its parts are imported when they are first used.



class Format(NamedTuple):
  """Names of the arrays in an npz file, and what its scores mean.

  Attributes:
    score: name of the scores.
    label: name of the labels; `None` where there are none.
    regular: whether high scores mean regular examples, not memorized ones.
  """

  score: str
  label: str | None
  regular: bool


FORMATS = {
    'Feldman and Zhang': Format('tr_mem', 'tr_labels', False),
    'C-scores': Format('scores', 'labels', True),
    'Zhao et al.': Format('memorization', None, False)}
_STRETCH = 5000  # Rows that are checked together.
_CHANCE = 1e-6
_BROKEN = (KeyError, TypeError, ValueError, OSError, EOFError,
           zipfile.BadZipFile)


class Published(NamedTuple):
  """Scores that somebody published.

  Attributes:
    score: `[N]` memorization, or a proxy that rises with it.
    kind: the name of the format of the file.
    verified: whether labels verified the order.
    order: how the order was checked, in words.
  """

  score: np.ndarray
  kind: str
  verified: bool
  order: str


def recognises(path: str) -> bool:
  """Whether a file has one of the formats."""
  try:
    return path.endswith('.npy') or _kind(path) is not None
  except _BROKEN:
    return False


def read(path: str, label: np.ndarray, *, row: np.ndarray | None = None,
         reference: np.ndarray | None = None, min_agreement: float = 0.2
         ) -> Published:
  """Reads a score file and checks the order of its rows.

  Args:
    path: the path of the file.
    label: `[N]` true labels of the examples.
    row: `[N]`, the row of each example in the published data set; by default
      the examples are the whole data set in its order.
    reference: `[N]` scores of the same examples that should correlate with
      those of the file, such as an estimate or a proxy. They are used only
      where the file has no labels.
    min_agreement: the Spearman correlation with `reference` that is required.

  Returns:
    Scores of the N examples and how their order was checked.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if the file has none of the formats; its length does not fit;
      a score is not finite or out of range; or the order is wrong: the message
      names the first row whose label differs, or the rows that are implausible.
  """
  label = np.asarray(label)
  if not pathlib.Path(path).exists():
    raise FileNotFoundError(f'No file scores={path}.')
  kind, score, theirs = _arrays(path)
  if row is None:
    row = np.arange(len(label))
    if len(score) != len(label):
      raise ValueError(f'Expected scores={path} to hold {len(label)} scores, '
                       f'found {len(score)}.')
  elif len(score) <= row.max():
    raise ValueError(f'Expected scores={path} to hold more than {row.max()} '
                     f'scores, found {len(score)}.')
  regular = kind in FORMATS and FORMATS[kind].regular
  low = 0 if regular else -1
  wrong = ~((score >= low) & (score <= 1))
  if wrong.any():
    first = int(np.flatnonzero(wrong)[0])
    raise ValueError(f'Expected scores={path} in [{low}, 1], found '
                     f'{score[first]} at row {first}.')
  score = (1 - score if regular else score)[row]
  if theirs is not None:
    return Published(score, kind, True, _labels(path, theirs[row], label, row))
  if reference is not None:
    order = _ranks(path, score, np.asarray(reference), row, min_agreement)
  else:
    order = _classes(path, score, label, row)
  return Published(score, kind, False, order)


def _kind(path: str) -> str | None:
  """Name of the format, or `None` if it is unknown."""
  with np.load(path, allow_pickle=False) as file:
    for kind, names in FORMATS.items():
      if names.score in file and (names.label or names.score) in file:
        return kind
  return None


def _arrays(path: str) -> tuple[str, np.ndarray, np.ndarray | None]:
  """`(kind, scores, labels)`; other arrays, which may be large, stay unread."""
  theirs: np.ndarray | None = None
  try:
    if path.endswith('.npy'):
      kind, score = 'array', np.load(path, allow_pickle=False)
    else:
      kind = _kind(path)
      if kind is None:
        raise ValueError('no such arrays')
      names = FORMATS[kind]
      with np.load(path, allow_pickle=False) as file:
        score = file[names.score]
        theirs = None if names.label is None else file[names.label]
    score = score.astype(float)
  except _BROKEN as error:
    raise ValueError(
        f'scores={path} has none of the formats that are known: an .npy of one '
        'array, or an .npz with tr_mem and tr_labels, scores and labels, or '
        'memorization.') from error
  if score.ndim != 1 or (theirs is not None and theirs.shape != score.shape):
    raise ValueError(
        f'Expected scores={path} to hold one score and one label an example, '
        f'found {score.shape} and {None if theirs is None else theirs.shape}.')
  return kind, score, theirs


def _labels(path: str, theirs: np.ndarray, label: np.ndarray, row: np.ndarray
            ) -> str:
  differ = np.flatnonzero(theirs != label)
  if len(differ):
    i = differ[0]
    raise ValueError(
        f'scores={path} is in another order than the data, or of other data: '
        f'{len(differ)} of {len(label)} labels differ, first in row {row[i]}: '
        f'{theirs[i]} in the file, {label[i]} in the data.')
  return f'verified: the labels of all {len(label)} examples agree'


def _stretches(row: np.ndarray) -> list[np.ndarray]:
  """Consecutive rows of the file in parts of about `_STRETCH`."""
  return np.array_split(np.argsort(row), max(1, round(len(row) / _STRETCH)))


def _ranks(path: str, score: np.ndarray, reference: np.ndarray,
           row: np.ndarray, least: float) -> str:
  if reference.shape != score.shape:
    raise ValueError(f'Expected a reference of shape {score.shape}, found '
                     f'{reference.shape}.')
  found = []
  for part in _stretches(row):
    both = part[np.isfinite(reference[part])]
    test = scipy.stats.spearmanr(
        score[both], reference[both], alternative='greater')
    found.append(test.statistic)
    if not (test.statistic >= least and test.pvalue < _CHANCE):
      _refuse(path, row[part], 'the Spearman correlation with the reference '
              f'is {test.statistic:.3f} (p = {test.pvalue:.1g}), less than '
              f'{least} or within chance')
  return ('plausible, not verified: Spearman correlation with the reference of '
          f'at least {min(found):.3f} in each of {len(found)} stretches')


def _classes(path: str, score: np.ndarray, label: np.ndarray, row: np.ndarray
             ) -> str:
  worst = 0.0
  for part in _stretches(row):
    groups = [score[part][label[part] == k] for k in np.unique(label[part])]
    spread = len(groups) > 1 and len(np.unique(score[part])) > 1
    chance = float(scipy.stats.kruskal(*groups).pvalue) if spread else 1.0
    worst = max(worst, chance)
    if not chance < _CHANCE:
      _refuse(path, row[part], 'the scores of classes differ no more than by '
              f'chance (Kruskal and Wallis, p = {chance:.1g}); other scores, '
              'given as reference, allow a comparison of ranks')
  return ('plausible, not verified: classes differ (Kruskal and Wallis, '
          f'p ≤ {max(worst, 1e-300):.1g} in each of {len(_stretches(row))} '
          'stretches)')


def _refuse(path: str, rows: np.ndarray, why: str) -> None:
  raise ValueError(
      f'scores={path} has no labels and its order is not plausible: in rows '
      f'{rows.min()} to {rows.max()} {why}.')
