"""How well cheap proxies stand in for memorization, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import functools
from typing import Any
import warnings

import numpy as np

from rum_jax import refinement, reliability
from rum_jax.scores import GROUPS

_HEAD = ('', 'Spearman', 'one run', *GROUPS, 'memorization',
         'seconds', 'cost')


def mean(name: str, runs: np.ndarray, first_seed: int, learning_rate: float
         ) -> np.ndarray:
  """The scores of a proxy, over the runs that did not diverge.

  Args:
    name: of the proxy.
    runs: `[S, N]`.
    first_seed: of the runs; those that diverged are named in a warning.
    learning_rate: that they were trained with, for the message.

  Returns:
    `[N]`.

  Raises:
    ValueError: if all of them diverged.
  """
  fine = np.isfinite(runs).all(axis=1)
  if not fine.all():
    seeds = first_seed + np.flatnonzero(~fine)
    warnings.warn(f'{name} leaves out what diverged: seeds {seeds.tolist()}.',
                  stacklevel=2)
  if not fine.any():
    raise ValueError(f'Expected a run of {name} not to diverge with '
                     f'learning_rate={learning_rate}.')
  return runs[fine].mean(axis=0)


def compared(truth: np.ndarray | None, proxy: np.ndarray, runs: np.ndarray,
             size: int) -> dict[str, float | None]:
  """Ranks and groups of a proxy beside those of memorization.

  Args:
    truth: `[N]` memorization, or `None` where it is not known.
    proxy: `[N]`, the mean over its runs.
    runs: `[S, N]`, each of them.
    size: of each group. Medium is nearest to 0.5 in memorization and to the
      median of the proxy, whose scale means nothing.

  Returns:
    Rank correlation of the mean, and the mean one of a single run; the share
    of its low, medium and high group that memorization puts there, too (with
    random groups about `size / N`); and the mean memorization in each. All of
    it `None` where `truth` is.
  """
  means = tuple(f'{group}_memorization' for group in GROUPS)
  if truth is None:
    return dict.fromkeys(('spearman', 'one_run', *GROUPS, *means))

  by_median = functools.partial(refinement.by_score, middle=None)
  shared = reliability.overlaps(
      truth, proxy, size, refinement.by_score, by_median)
  return {
      'spearman': reliability.rank_correlation(truth, proxy),
      'one_run': float(np.mean([reliability.rank_correlation(truth, run)
                                for run in runs])),
      **dict(zip(GROUPS, shared)),
      **{name: float(np.nanmean(truth[rows]))
         for name, rows in zip(means, by_median(proxy, size, seed=1))}}


def lines(found: Mapping[str, Any]) -> Sequence[str]:
  """A table for a terminal, the best correlation first.

  Args:
    found: `proxies`, name to what `compared` says and to the `seconds` of one
      run and their `share` of the estimate's, either of which may be `None`;
      `runs`, `models`, `estimate_seconds` and `group_size`.
  """
  rows = sorted(found['proxies'].items(), reverse=True, key=lambda item: (
      -2 if item[1]['spearman'] is None else item[1]['spearman']))
  groups = GROUPS
  cells = [_HEAD] + [(
      name, *(_shown(row[x], '.3f') for x in ('spearman', 'one_run')),
      *(_shown(row[x], '.2f') for x in groups),
      ' '.join(_shown(row[f'{x}_memorization'], '.2f') for x in groups),
      _shown(row['seconds'], '.2f'), _shown(row['share'], '.2%'))
                     for name, row in rows]
  widths = [max(map(len, column)) for column in zip(*cells)]
  table = ['  '.join([row[0].ljust(widths[0]), *(
      cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
           for row in cells]
  whole = found['estimate_seconds']
  cost = ('' if whole is None else
          f', and what share they are of the {whole:.1f} s of '
          f'{found["models"]} models')
  return [*table, f'Spearman: rank correlation with memorization, of the mean '
          f'of {found["runs"]} runs and of one. low, medium, high: share of '
          f'the {found["group_size"]} examples that memorization chooses, too; '
          'then the mean memorization of each. seconds: of one run, training '
          f'included{cost}.']


def _shown(value: float | None, form: str) -> str:
  return '–' if value is None or np.isnan(value) else format(value, form)
