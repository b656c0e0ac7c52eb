"""Memorization: how much worse a label is predicted when its example is absent.

`mem(i) = P[f(xᵢ) = yᵢ | i in training] − P[f(xᵢ) = yᵢ | i absent]`, estimated
from many models, each trained on a random subset of the data. The estimate is
for training on that share of the data, not on all of it.

The second estimate is the same difference of the mean *confidence*
`exp(−loss)`, the softmax probability of the label in a classifier. It estimates
another quantity, which is close to the first. Its variance is lower, because a
probability has more information than a correct or wrong prediction. Reports
should name the estimate that they use.

References:
  Feldman and Zhang, What neural networks memorize and why, 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import _checks, evaluation
from rum_jax.types import AnyArray, Array, Examples, Key, Model, Variables

LEVELS = 4095  # The sum of the squares of 256 such probabilities fits uint32.
_BYTE = 255


class Seen(NamedTuple):
  """The evaluation of one model that was trained on a subset.

  An example counts as correct where its score is above 1/2.

  Attributes:
    correct: `[N]` bool, whether each training example is correct.
    inside: `[N]` bool, whether the model trained on it.
    level: `[N]` uint16, the confidence `exp(−loss)` in steps of `1 / LEVELS`;
      in a classifier it is the probability of the label.
    held_out: `[n]` bool, whether each held-out example is correct.
  """

  correct: Array
  inside: Array
  level: Array
  held_out: Array


class Sums(NamedTuple):
  """Sums over models of whole numbers, which are exact in any order.

  Attributes:
    models: `[..., 2, N]`, the number of models that did not (0) and that did
      (1) train on each example.
    first: `[..., 2, N]`, the sum of the values of these models.
    second: `[..., 2, N]`, the sum of the squares of these values.
  """

  models: np.ndarray
  first: np.ndarray
  second: np.ndarray


def random_subset(key: Key, num_examples: int, fraction: float) -> Array:
  """The training subset of one model: `[round(fraction · N)]` int32 rows.

  Args:
    key: consumed; one key a model, so that models can be added later.
    num_examples: N.
    fraction: share of the examples, in `(0, 1)`.

  Returns:
    Sorted rows, no two equal.

  Raises:
    ValueError: if the subset is empty or holds all examples.
  """
  _checks.check_range('fraction', fraction, 0, 1)
  size = round(fraction * num_examples)
  if not 0 < size < num_examples:
    raise ValueError(
        f'Expected fraction={fraction} of num_examples={num_examples} to be '
        f'more than none and fewer than all, found {size}.')
  chosen = jax.random.permutation(key, num_examples)[:size]
  return jnp.sort(chosen).astype(jnp.int32)


def membership(subset: AnyArray, num_examples: int) -> Array:
  """`[n]` rows to `[N]` bool: which examples are in the subset."""
  return jnp.zeros((num_examples,), bool).at[subset].set(True)


def seen(model: Model, num_train: int, variables: Variables, subset: AnyArray,
         examples: Examples) -> Seen:
  """Evaluates a model that trained on a subset.

  Args:
    model: the network.
    num_train: N; the first N examples are for training, the other n are held
      out.
    variables: the variables of the trained model.
    subset: `[m]` rows that the model trained on.
    examples: all N + n examples.
  """
  signals = evaluation.signals(model, variables, examples)
  # In a model that diverged, no example counts as correct.
  finite = jnp.isfinite(signals.loss)
  correct = finite & (signals.score > 0.5)
  p = jnp.where(finite, jnp.exp(-signals.loss), 0)[:num_train]
  return Seen(correct[:num_train], membership(subset, num_train),
              jnp.round(p * LEVELS).astype(jnp.uint16), correct[num_train:])


def pack(bits: AnyArray) -> np.ndarray:
  """`[M, N]` bool to `[M, ceil(N / 8)]` uint8."""
  return np.packbits(np.asarray(bits), axis=-1)


def unpack(packed: np.ndarray, num_examples: int) -> np.ndarray:
  """The inverse of `pack`."""
  return np.unpackbits(packed, axis=-1, count=num_examples).astype(bool)


def tally(correct: np.ndarray, inside: np.ndarray, num_examples: int,
          block: int = 64) -> Sums:
  """Sums packed bits over models; the arguments are those of `estimate`."""
  _checks.check_range('block', block, 1, _BYTE)
  width = -(-num_examples // 8)
  if correct.shape != inside.shape or correct.shape[1] != width:
    raise ValueError(
        f'Expected bits of shape [M, {width}] for num_examples={num_examples}, '
        f'found correct {correct.shape} and inside {inside.shape}.')
  counts = np.zeros((3, num_examples), np.int64)
  for first in range(0, len(correct), block):
    right, member = (x[first:first + block] for x in (correct, inside))
    right_in = np.bitwise_and(right, member)
    for total, bits in zip(counts, (member, right_in, right)):
      total += np.unpackbits(bits, axis=1, count=num_examples).sum(
          0, dtype=np.uint8)  # Holds up to 255, and is much faster than int64.
  members, right_in, right = counts
  value = np.stack([right - right_in, right_in])
  return Sums(np.stack([len(correct) - members, members]), value, value)


def add_up(level: AnyArray, inside: AnyArray) -> Sums:
  """Sums the probabilities of up to 256 models.

  Args:
    level: `[M, N]` whole numbers in `[0, LEVELS]`.
    inside: `[M, N]` bool.

  Returns:
    Sums of uint32. Files hold these in place of the `[M, N]` probabilities.

  Raises:
    ValueError: if there are more than 256 models.
  """
  _checks.check_range('models', len(level), 0, 256)
  level, inside = np.asarray(level, np.uint32), np.asarray(inside)
  sides = [(~inside).astype(np.uint32), inside.astype(np.uint32)]
  return Sums(*(
      np.stack([(x * side).sum(0, dtype=np.uint32) for side in sides])
      for x in (np.ones_like(level), level, level * level)))


def join(parts: Sequence[Sums]) -> Sums:
  """Adds the sums of several sets of models, in int64."""
  total = [np.zeros(x.shape, np.int64) for x in parts[0]]
  for part in parts:
    for x, y in zip(total, part):
      x += y
  return Sums(*total)


def from_sums(sums: Sums, unit: int = 1) -> Memorization:
  """Scores and their standard errors from sums.

  Args:
    sums: arrays `[2, N]`.
    unit: the value that counts as 1: 1 for bits, `LEVELS` for probabilities.

  Returns:
    Scores, and their standard errors `√(s²/n + t²/m)`, with the unbiased
    variances s² over the n models that trained on the example and t² over the m
    models that did not.
  """
  n, first, second = (np.asarray(x, np.int64) for x in sums)
  with np.errstate(divide='ignore', invalid='ignore'):
    mean = first / n / unit
    spread = (n * second - first * first) / (n * n * (n - 1)) / unit**2
  variance = np.where(n > 1, spread, np.nan)
  return Memorization(
      score=mean[1] - mean[0], standard_error=np.sqrt(variance.sum(0)),
      models_in=n[1], models_out=n[0])


def estimate(correct: np.ndarray, inside: np.ndarray, num_examples: int,
             block: int = 64) -> Memorization:
  """Feldman and Zhang's estimator from packed bits.

  Args:
    correct: `[M, ceil(N / 8)]` uint8 from `pack`: whether each model classifies
      the example correctly.
    inside: likewise: whether each model trained on the example.
    num_examples: N.
    block: number of models that are unpacked at a time, at most 255; it limits
      the memory.

  Returns:
    Scores, and their standard errors `√(p(1−p)/(n−1) + q(1−q)/(m−1))`. Of the n
    models that trained on the example the share p is correct; of the m models
    that did not, the share q.

  Raises:
    ValueError: if the shapes of the bits differ or do not fit N.
  """
  return from_sums(tally(correct, inside, num_examples, block))


class OutOfSample(NamedTuple):
  """What models that did not train on an example make of it.

  Attributes:
    mean: `[N]` mean correctness or probability in `[0, 1]`; NaN where all
      models trained on the example.
    standard_error: `[N]`; NaN where fewer than two models did not.
    models: `[N]` number of these models.
  """

  mean: np.ndarray
  standard_error: np.ndarray
  models: np.ndarray


def out_of_sample(sums: Sums, unit: int = 1) -> OutOfSample:
  """The mean over the models that did not train on each example.

  It stands in for a network that is retrained without the example. Because the
  models trained on a share of the data only, it tends to be lower.

  Args:
    sums: arrays `[..., 2, N]`; they are summed over leading axes.
    unit: the value that counts as 1: 1 for bits, `LEVELS` for probabilities.

  >>> sums = tally(pack([[1, 0], [1, 1]]), pack([[0, 0], [0, 1]]), 2)
  >>> out_of_sample(sums).mean.tolist()
  [1.0, 0.0]
  """
  n, first, second = (
      np.asarray(x, np.int64).reshape(-1, *np.shape(x)[-2:]).sum(0)[0]
      for x in sums)
  with np.errstate(divide='ignore', invalid='ignore'):
    variance = (n * second - first * first) / (n * n * (n - 1)) / unit**2
    mean = np.where(n > 0, first / n / unit, np.nan)
  return OutOfSample(mean, np.sqrt(np.where(n > 1, variance, np.nan)), n)


def halves(correct: np.ndarray, inside: np.ndarray, num_examples: int
           ) -> tuple[Memorization, Memorization]:
  """Two estimates that share no model: from even and from odd numbers."""
  even, odd = (estimate(correct[i::2], inside[i::2], num_examples)
               for i in (0, 1))
  return even, odd


def estimate_probability(sums: Sums) -> Memorization:
  """The difference of mean softmax probabilities.

  Args:
    sums: the sums that `add_up` returned, `[..., 2, N]`; they are summed over
      leading axes.
  """
  whole = (x.reshape(-1, *x.shape[-2:]).sum(0) for x in sums)
  return from_sums(Sums(*whole), LEVELS)


class Memorization(NamedTuple):
  """Scores of all examples in original order.

  Attributes:
    score: `[N]` in `[-1, 1]`; NaN where all models or no model trained on the
      example.
    standard_error: `[N]` of the score; NaN where fewer than two models trained
      on the example, or fewer than two did not.
    models_in: `[N]` number of models that trained on the example.
    models_out: `[N]` number of models that did not.
  """

  score: np.ndarray
  standard_error: np.ndarray
  models_in: np.ndarray
  models_out: np.ndarray
