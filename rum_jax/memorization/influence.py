"""Influence of single training examples, from the models of memorization.

`infl(i, j) = P[f(xⱼ) = yⱼ | i in training] − P[f(xⱼ) = yⱼ | i absent]`: how
much training example i increases the accuracy on test example j. With j = i it
is memorization. With few models, many of the `N · n` pairs reach a threshold by
chance. `mismatched` models estimate how many.

References:
  Feldman and Zhang, What neural networks memorize and why, 2020.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rum_jax import _checks


class Pairs(NamedTuple):
  """Pairs of high influence, the highest first.

  Attributes:
    train: `[P]` rows of the training examples.
    test: `[P]` rows of the test examples.
    influence: `[P]` in `[-1, 1]`.
    standard_error: `[P]`, computed as that of memorization.
    total: how many pairs reach the thresholds, with those left out by `keep`.
  """

  train: np.ndarray
  test: np.ndarray
  influence: np.ndarray
  standard_error: np.ndarray
  total: int


def pairs(
    correct: np.ndarray,
    inside: np.ndarray,
    memorization: np.ndarray,
    num_test: int,
    *,
    min_memorization: float = 0.25,
    min_influence: float = 0.15,
    keep: int = 100_000,
    block: int = 1024,
) -> Pairs:
  """Finds the pairs whose influence and memorization reach the thresholds.

  Args:
    correct: `[M, ceil(n / 8)]` packed bits: which models classify which of the
      n test examples correctly. These may be the training examples.
    inside: `[M, ceil(N / 8)]` packed bits: which models trained on which of the
      N training examples.
    memorization: `[N]`; examples below the threshold, or NaN, are left out.
    num_test: n.
    min_memorization: the threshold of the training example's memorization.
    min_influence: the threshold of the pair's influence.
    keep: the largest number of pairs to return, those of the highest influence.
      Pairs of equal influence are ordered by training row, then by test row.
    block: rows, columns and models at a time. The memory is that of a few
      arrays `[block, block]` and of `keep` pairs.

  Returns:
    The pairs.

  Raises:
    ValueError: if the shapes of the bits do not fit each other, N or n.
  """
  _checks.check_count('block', block, 1)
  _checks.check_count('keep', keep, 1)
  memorization = np.asarray(memorization)
  widths = [-(-x // 8) for x in (num_test, len(memorization))]
  shapes = (len(inside), widths[0]), (len(correct), widths[1])
  if (correct.shape, inside.shape) != shapes:
    raise ValueError(
        f'Expected bits [M, {widths[0]}] for num_test={num_test} and '
        f'[M, {widths[1]}] for {len(memorization)} scores, found '
        f'{correct.shape} and {inside.shape}.')
  with np.errstate(invalid='ignore'):
    rows = np.flatnonzero(memorization >= min_memorization)
  best, found = _concatenate([]), 0
  for a in range(0, len(rows), block):
    part = rows[a:a + block]
    for b in range(0, num_test, block):
      columns = np.arange(b, min(b + block, num_test))
      more = _select(*_moments(correct, inside, part, columns, block),
                     part, columns, min_influence)
      found += len(more[0])
      best = _cut(_concatenate([best, more]), keep)
  train, test, influence, error = best
  return Pairs(train, test, influence, error, found)


def mismatched(inside: np.ndarray) -> np.ndarray:
  """Assigns to each model the training subset of the next model.

  This keeps the distributions of subsets and of correct examples but makes them
  independent. So `pairs` with these bits counts the pairs that reach the
  thresholds by chance.
  """
  return np.roll(inside, -1, axis=0)


def _moments(correct: np.ndarray, inside: np.ndarray, rows: np.ndarray,
             columns: np.ndarray, block: int
             ) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
  """`(correct and in [r, c], in [r], correct [c], M)`, exact in float32."""
  both = np.zeros((len(rows), len(columns)), np.float32)
  members, right = np.zeros(len(rows)), np.zeros(len(columns))
  for m in range(0, len(correct), block):
    member, hit = (_bits(x[m:m + block], which)
                   for x, which in ((inside, rows), (correct, columns)))
    both += member.T @ hit
    members += member.sum(0)
    right += hit.sum(0)
  return both, members, right, len(correct)


def _bits(packed: np.ndarray, columns: np.ndarray) -> np.ndarray:
  """Some columns of packed bits, as float32."""
  shift = (7 - columns % 8).astype(np.uint8)
  return ((packed[:, columns // 8] >> shift) & 1).astype(np.float32)


def _select(both: np.ndarray, members: np.ndarray, right: np.ndarray,
            models: int, rows: np.ndarray, columns: np.ndarray,
            threshold: float) -> tuple[np.ndarray, ...]:
  """The pairs of one block that reach the threshold."""
  n = members[:, None]
  with np.errstate(divide='ignore', invalid='ignore'):
    p, q = both / n, (right - both) / (models - n)
    i, j = np.nonzero(p - q >= threshold)
    n, p, q = members[i], p[i, j], q[i, j]
    variance = (np.where(n > 1, p * (1 - p) / (n - 1), np.nan)
                + np.where(models - n > 1, q * (1 - q) / (models - n - 1),
                           np.nan))
  return rows[i], columns[j], p - q, np.sqrt(variance)


def _concatenate(parts: list[tuple[np.ndarray, ...]]
                 ) -> tuple[np.ndarray, ...]:
  empty = (np.zeros(0, int), np.zeros(0, int), np.zeros(0), np.zeros(0))
  return tuple(map(np.concatenate, zip(empty, *parts)))


def _cut(candidates: tuple[np.ndarray, ...], keep: int
         ) -> tuple[np.ndarray, ...]:
  """The highest `keep`, in an order that does not depend on blocks."""
  order = np.lexsort((candidates[1], candidates[0], -candidates[2]))[:keep]
  return tuple(x[order] for x in candidates)
