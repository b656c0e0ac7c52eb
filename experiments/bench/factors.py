"""Times of memorization and entanglement scores against NumPy.

The sizes are those of CIFAR, and everything runs on one core. Memorization in
NumPy is that of Feldman and Zhang's released code: it multiplies and sums
boolean arrays `[M, N]` and gives only the scores. Ours counts packed bits, and
also gives standard errors and the scores of both halves of the models.
Entanglement in NumPy computes one set after the other from the features of both
sides. Ours computes all sets in one pass.
"""

from __future__ import annotations

import jax
import numpy as np

from experiments.bench import timing
from rum_jax import entanglement, memorization
from rum_jax.reporting.speed import FactorCost

_MODELS, _EXAMPLES, _FEATURES, _SETS, _FORGET = 2000, 50_000, 512, 100, 3000


def _mean_where(values: np.ndarray, where: np.ndarray) -> np.ndarray:
  return (values * where).sum(0) / np.maximum(where.sum(0), 1e-10)


def _one_score(x: np.ndarray, rows: np.ndarray) -> float:
  kept = np.ones(len(x), bool)
  kept[rows] = False
  parts = x[rows], x[kept]
  means = [part.mean(0) for part in parts]
  middle = np.concatenate(parts).mean(0)
  inner = sum(((part - mean)**2).sum(1).mean()
              for part, mean in zip(parts, means))
  return 2 * inner / sum(((mean - middle)**2).sum() for mean in means)


def factor_costs(repeats: int) -> list[FactorCost]:
  """A row for each factor; the two sides are measured in turn."""
  rng = np.random.default_rng(0)
  inside = rng.random((_MODELS, _EXAMPLES), np.float32) < 0.7
  right = rng.random((_MODELS, _EXAMPLES), np.float32) < 0.8
  bits = memorization.pack(right), memorization.pack(inside)
  x = rng.normal(1, 1, (_EXAMPLES, _FEATURES)).astype(np.float32)
  sets = np.stack([rng.permutation(_EXAMPLES)[:_FORGET] for _ in range(_SETS)])
  scores = jax.jit(entanglement.entanglement_scores)
  costs = []

  def compare(factor: str, ours: timing.Call, plain: timing.Call) -> None:
    with timing.one_core():
      mine, other = timing.medians([ours, plain], repeats)
    costs.append(FactorCost(factor=factor, seconds=mine, plain_seconds=other,
                            times_as_fast=other / mine))
    print(f'{factor:44} {mine:7.3f} s, NumPy {other:7.3f} s: '
          f'{other / mine:5.1f} times as fast', flush=True)

  compare(
      f'memorization, {_EXAMPLES:,} × {_MODELS:,}',
      lambda: (memorization.estimate(*bits, _EXAMPLES),
               memorization.halves(*bits, _EXAMPLES)),
      lambda: _mean_where(right, inside) - _mean_where(right, ~inside))
  compare(
      f'ES of {_SETS} sets, {_EXAMPLES:,} × {_FEATURES}',
      lambda: jax.block_until_ready(scores(x, sets)),
      lambda: [_one_score(x, rows) for rows in sets])
  return costs
