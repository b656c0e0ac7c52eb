"""Influence of training on single examples, from the bits of memorization.

`infl(i, j) = P[f(xⱼ) = yⱼ | i in training] − P[f(xⱼ) = yⱼ | i absent]`: which
training examples decide whether a test example is understood. With j = i it is
memorization. Among `N · n` pairs many reach any threshold by chance where
models are few: `mismatched` models say how many.

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
    train: `[P]` rows of the examples trained on.
    test: `[P]` columns of the examples judged.
    influence: `[P]` in `[-1, 1]`.
    standard_error: `[P]` as that of memorization.
    found: how many pairs reach the thresholds, kept or not.
  """

  train: np.ndarray
  test: np.ndarray
  influence: np.ndarray
  standard_error: np.ndarray
  found: int


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
    correct: `[M, ceil(n / 8)]` packed bits: who is right about each of the n
      examples judged, which may be those trained on.
    inside: `[M, ceil(N / 8)]` packed bits: who trained on each of N examples.
    memorization: `[N]`; examples below the threshold, or NaN, are left out.
    num_test: n.
    min_memorization: of the example trained on.
    min_influence: of the pair.
    keep: at most so many pairs, those of the highest influence; ties by row,
      then by column.
    block: rows, columns and models at a time: memory is that of a few arrays
      `[block, block]` and of `keep`.

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
  """Sets each model's bits beside the subset of the model after it.

  The shares of both stay and their connection goes, so that `pairs` of these
  finds what the thresholds let through by chance.
  """
  return np.roll(inside, -1, axis=0)


def _moments(correct: np.ndarray, inside: np.ndarray, rows: np.ndarray,
             columns: np.ndarray, block: int
             ) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
  """`(right and in [r, c], in [r], right [c], M)`; float32 counts exactly."""
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


def _cut(found: tuple[np.ndarray, ...], keep: int) -> tuple[np.ndarray, ...]:
  """The highest `keep`, in an order that does not depend on blocks."""
  order = np.lexsort((found[1], found[0], -found[2]))[:keep]
  return tuple(x[order] for x in found)
