"""Memorization: how much worse a label is predicted when its example is absent.

`mem(i) = P[f(xᵢ) = yᵢ | i in training] − P[f(xᵢ) = yᵢ | i absent]`, estimated
from many models, each trained on a random subset of the data. The estimand is
that of training on the subset's share of the data, not on all of it.

References:
  Feldman and Zhang, What neural networks memorize and why, 2020.
"""

from __future__ import annotations

import pathlib
from typing import NamedTuple
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from rum_jax import trees
from rum_jax.types import Array, Key


class Memorization(NamedTuple):
  """Scores of all examples in original order.

  Attributes:
    score: `[N]` in `[-1, 1]`; NaN where an example was never in or never out.
    standard_error: `[N]` binomial; NaN where fewer than two models were in or
      out.
    models_in: `[N]` number of models that trained on the example.
    models_out: `[N]` number of models that did not.
  """

  score: np.ndarray
  standard_error: np.ndarray
  models_in: np.ndarray
  models_out: np.ndarray


def random_subset(key: Key, num_examples: int, fraction: float) -> Array:
  """The training subset of one model: `[round(fraction · N)]` int32 rows.

  Args:
    key: consumed; one key a model, so that models can be added later.
    num_examples: N.
    fraction: share of the examples, in `(0, 1)`.

  Returns:
    Sorted rows, no two equal.

  Raises:
    ValueError: if the subset is empty or everything.
  """
  trees.check_range('fraction', fraction, 0, 1)
  size = round(fraction * num_examples)
  if not 0 < size < num_examples:
    raise ValueError(
        f'Expected fraction={fraction} of num_examples={num_examples} to be '
        f'more than none and fewer than all, found {size}.')
  chosen = jax.random.permutation(key, num_examples)[:size]
  return jnp.sort(chosen).astype(jnp.int32)


def membership(subset: Array, num_examples: int) -> Array:
  """`[n]` rows to `[N]` bool: who is in the subset."""
  return jnp.zeros((num_examples,), bool).at[subset].set(True)


def pack(bits: np.ndarray) -> np.ndarray:
  """`[M, N]` bool to `[M, ceil(N / 8)]` uint8."""
  return np.packbits(np.asarray(bits), axis=-1)


def unpack(packed: np.ndarray, num_examples: int) -> np.ndarray:
  """The inverse of `pack`."""
  return np.unpackbits(packed, axis=-1, count=num_examples).astype(bool)


def estimate(correct: np.ndarray, inside: np.ndarray, num_examples: int,
             block: int = 64) -> Memorization:
  """Feldman and Zhang's estimator from packed bits.

  Args:
    correct: `[M, ceil(N / 8)]` uint8 from `pack`: whether each model is right.
    inside: likewise: whether each model trained on the example.
    num_examples: N.
    block: models unpacked at a time, so that memory does not grow with M.

  Returns:
    Scores, and their standard errors
    `√(p(1−p)/(n−1) + q(1−q)/(m−1))` with p of the n models in, q of m out.

  Raises:
    ValueError: if the shapes of the bits differ or do not fit N.
  """
  width = -(-num_examples // 8)
  if correct.shape != inside.shape or correct.shape[1] != width:
    raise ValueError(
        f'Expected bits of shape [M, {width}] for num_examples={num_examples}, '
        f'found correct {correct.shape} and inside {inside.shape}.')
  counts = np.zeros((3, num_examples), np.int64)
  for first in range(0, len(correct), block):
    rows = slice(first, first + block)
    right = unpack(correct[rows], num_examples)
    member = unpack(inside[rows], num_examples)
    counts[0] += member.sum(0)
    counts[1] += (right & member).sum(0)
    counts[2] += right.sum(0)
  members, right_in, right_all = counts
  others = len(correct) - members
  with np.errstate(divide='ignore', invalid='ignore'):
    p, q = right_in / members, (right_all - right_in) / others
    variance = _variance(p, members) + _variance(q, others)
  return Memorization(
      score=p - q, standard_error=np.sqrt(variance),
      models_in=members, models_out=others)


def _variance(p: np.ndarray, n: np.ndarray) -> np.ndarray:
  """Unbiased variance of the mean of n bits; NaN below two of them."""
  return np.where(n > 1, p * (1 - p) / (n - 1), np.nan)


def save(path: pathlib.Path, scores: Memorization, row: np.ndarray,
         data_hash: str) -> None:
  """Writes a score file: the fields of `scores`, `row` and `data_hash`.

  Args:
    path: ends in `.npz`.
    scores: of the N training examples.
    row: `[N]` where each stands in the published data set.
    data_hash: of the training images and labels.
  """
  partial = path.with_name(f'.partial-{path.name}')
  np.savez(partial, **scores._asdict(), row=row, data_hash=data_hash)
  partial.rename(path)


def load(path: str, num_examples: int, data_hash: str) -> Memorization:
  """Reads a score file of the same data set, or refuses it.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if it is not a score file, or its length or hash differ.
  """
  if not pathlib.Path(path).exists():
    raise FileNotFoundError(f'No file scores={path}.')
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
                     f'{owner[:12]}, that of the data {data_hash[:12]}.')
  return scores


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
  """Spearman correlation over the examples that both have a score for."""
  both = np.isfinite(first) & np.isfinite(second)
  return float(stats.spearmanr(first[both], second[both]).statistic)


def spearman_brown(correlation: float) -> float:
  """Reliability of all models from the correlation of their two halves.

  References:
    Spearman, Correlation calculated from faulty data, 1910; Brown, Some
    experimental results in the correlation of mental abilities, 1910.
  """
  return 2 * correlation / (1 + correlation)
