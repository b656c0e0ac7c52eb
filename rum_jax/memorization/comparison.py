"""How well cheap proxies stand in for memorization."""

from __future__ import annotations

import functools
import warnings

import numpy as np

from rum_jax import evaluation, refinement
from rum_jax.memorization import reliability
from rum_jax.types import GROUPS


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
      'spearman': evaluation.rank_correlation(truth, proxy),
      'one_run': float(np.mean([evaluation.rank_correlation(truth, run)
                                for run in runs])),
      **dict(zip(GROUPS, shared)),
      **{name: float(np.nanmean(truth[rows]))
         for name, rows in zip(means, by_median(proxy, size, seed=1))}}
