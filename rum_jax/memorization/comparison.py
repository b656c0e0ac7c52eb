"""How well cheap proxies stand in for memorization."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import functools
import math
from typing import ClassVar
import warnings

import numpy as np

from rum_jax import evaluation, refinement
from rum_jax.evaluation.results import Origin
from rum_jax.memorization import reliability
from rum_jax.types import GROUPS

_record = dataclasses.dataclass(frozen=True, kw_only=True)


@_record
class Comparison:
  """Ranks and groups of a proxy beside those of memorization.

  All of it is NaN where memorization is not known.

  Attributes:
    spearman: rank correlation of the mean over runs.
    one_run: mean rank correlation of a single run.
    low: share of the low group that memorization puts there, too; random groups
      share about `size / N`.
    medium: likewise of the medium group.
    high: likewise of the high group.
    low_memorization: mean memorization in the low group.
    medium_memorization: likewise in the medium group.
    high_memorization: likewise in the high group.
  """

  spearman: float
  one_run: float
  low: float
  medium: float
  high: float
  low_memorization: float
  medium_memorization: float
  high_memorization: float


@_record
class Proxy(Comparison):
  """The same, with the seconds of one run and their share of the estimate's."""

  seconds: float
  share: float


@_record
class ProxiesFile(Origin):
  """All of `proxies.json`.

  Attributes:
    runs: of each proxy.
    models: M, of the estimate.
    estimate_seconds: what they took together; NaN where it is not known.
    group_size: examples in each group.
    proxies: by name.
  """

  SCHEMA: ClassVar[int] = 1

  runs: int
  models: int
  estimate_seconds: float
  group_size: int
  proxies: Mapping[str, Proxy]


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
             size: int) -> Comparison:
  """Ranks and groups of a proxy beside those of memorization.

  Args:
    truth: `[N]` memorization, or `None` where it is not known.
    proxy: `[N]`, the mean over its runs.
    runs: `[S, N]`, each of them.
    size: of each group. Medium is nearest to 0.5 in memorization and to the
      median of the proxy, whose scale means nothing.
  """
  means = tuple(f'{group}_memorization' for group in GROUPS)
  if truth is None:
    return Comparison(
        **{field.name: math.nan for field in dataclasses.fields(Comparison)})

  by_median = functools.partial(refinement.by_score, middle=None)
  shared = reliability.overlaps(
      truth, proxy, size, refinement.by_score, by_median)
  return Comparison(
      spearman=evaluation.rank_correlation(truth, proxy),
      one_run=float(np.mean([evaluation.rank_correlation(truth, run)
                             for run in runs])),
      **dict(zip(GROUPS, shared)),
      **{name: float(np.nanmean(truth[rows]))
         for name, rows in zip(means, by_median(proxy, size, seed=1))})
