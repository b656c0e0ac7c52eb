"""The two factors at the size of CIFAR, against the way of peers.

Peers keep correctness and membership as `[M, N]` floats and multiply them, as
Feldman and Zhang's released code does, which gives the scores alone; and they
gather forget and retain features of one candidate set after the other. Ours
counts packed bits, with standard errors and both halves of the models, and
takes all candidates in one pass.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from experiments import timing
from rum_jax import entanglement, memorization

_MODELS, _EXAMPLES, _FEATURES, _SETS, _FORGET = 2000, 50_000, 512, 100, 3000


def _mean_where(values: np.ndarray, where: np.ndarray) -> np.ndarray:
  return (values * where).sum(0) / np.maximum(where.sum(0), 1e-8)


def _one_score(x: np.ndarray, rows: np.ndarray) -> float:
  kept = np.ones(len(x), bool)
  kept[rows] = False
  parts = x[rows], x[kept]
  means = [part.mean(0) for part in parts]
  middle = np.concatenate(parts).mean(0)
  inner = sum(((part - mean)**2).sum(1).mean()
              for part, mean in zip(parts, means))
  return 2 * inner / sum(((mean - middle)**2).sum() for mean in means)


def measure(repeats: int) -> list[dict[str, Any]]:
  """A row for each factor, both ways measured in turn."""
  rng = np.random.default_rng(0)
  inside = rng.random((_MODELS, _EXAMPLES), np.float32) < 0.7
  right = rng.random((_MODELS, _EXAMPLES), np.float32) < 0.8
  bits = memorization.pack(right), memorization.pack(inside)
  values, where = right.astype(np.float32), inside.astype(np.float32)
  x = rng.normal(1, 1, (_EXAMPLES, _FEATURES)).astype(np.float32)
  sets = np.stack([rng.permutation(_EXAMPLES)[:_FORGET] for _ in range(_SETS)])
  scores = jax.jit(entanglement.entanglement_scores)
  found = []

  def compare(factor: str, ours: timing.Call, peers: timing.Call) -> None:
    mine, other = timing.medians([ours, peers], repeats)
    found.append({'factor': factor, 'seconds': mine, 'peer_seconds': other,
                  'times_faster': other / mine})
    print('{factor:44} {seconds:7.3f} s, as peers {peer_seconds:7.3f} s: '
          '{times_faster:5.1f} times as fast'.format(**found[-1]), flush=True)

  compare(
      f'memorization, {_EXAMPLES:,} × {_MODELS:,}',
      lambda: (memorization.estimate(*bits, _EXAMPLES),
               memorization.halves(*bits, _EXAMPLES)),
      lambda: _mean_where(values, where) - _mean_where(values, 1 - where))
  compare(
      f'ES of {_SETS} sets, {_EXAMPLES:,} × {_FEATURES}',
      lambda: jax.block_until_ready(scores(x, sets)),
      lambda: [_one_score(x, rows) for rows in sets])
  return found
