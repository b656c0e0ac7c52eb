"""How well cheap proxies predict memorization."""

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
  """Agreement of a proxy with memorization, in ranks and in groups.

  All fields are NaN where memorization is not known.

  Attributes:
    spearman: rank correlation of memorization with the mean of the proxy over
      runs.
    one_run: mean over runs of the rank correlation with a single run.
    low: share of the low group that is also in the low group of memorization;
      for random groups it is about `size / N`.
    medium: the same for the medium group.
    high: the same for the high group.
    low_memorization: mean memorization in the low group.
    medium_memorization: the same for the medium group.
    high_memorization: the same for the high group.
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
  """A comparison with its cost.

  Attributes:
    seconds: time of one run of the proxy.
    share: that time as a share of the time of the memorization estimate.
  """

  seconds: float
  share: float


@_record
class ProxiesFile(Origin):
  """The content of `proxies.json`.

  Attributes:
    runs: number of runs of each proxy.
    models: M, of the estimate.
    estimate_seconds: training time of all M models; NaN where it is not known.
    group_size: examples in each group.
    proxies: name of a proxy to its figures.
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
    name: the name of the proxy.
    runs: `[S, N]`.
    first_seed: seed of the first run; a warning names the runs that diverged.
    learning_rate: the learning rate of the runs, for the message.

  Returns:
    `[N]`.

  Raises:
    ValueError: if all of them diverged.
  """
  finite = np.isfinite(runs).all(axis=1)
  if not finite.all():
    seeds = first_seed + np.flatnonzero(~finite)
    warnings.warn(f'{name} leaves out the runs that diverged: seeds '
                  f'{seeds.tolist()}.', stacklevel=2)
  if not finite.any():
    raise ValueError(f'Expected a run of {name} not to diverge with '
                     f'learning_rate={learning_rate}.')
  return runs[finite].mean(axis=0)


def compared(truth: np.ndarray | None, proxy: np.ndarray, runs: np.ndarray,
             size: int) -> Comparison:
  """Compares a proxy with memorization, in ranks and in groups.

  Args:
    truth: `[N]` memorization, or `None` where it is not known.
    proxy: `[N]`, the mean over its runs.
    runs: `[S, N]`, each of them.
    size: the size of each group. The medium group is nearest to 0.5 in
      memorization, and nearest to the median in the proxy, whose scale is
      arbitrary.
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
