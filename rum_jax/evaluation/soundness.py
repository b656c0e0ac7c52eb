"""Whether models are good enough that figures about them mean something."""

from __future__ import annotations

import math

import numpy as np

from rum_jax.evaluation import statistics
from rum_jax.evaluation.statistics import Summary

FIT = 0.9  # Share of the training set that models must be right about.
_NORMAL = 1.96  # Half of the 95 % interval of a standard normal.
_SURE = 3.0  # Standard errors above chance from which on one model is above it.
ALL_DIVERGED = 'All runs of all methods diverged: there is no unlearned model.'


def chance_of(labels: np.ndarray, classes: int) -> float:
  """Accuracy of always giving the most frequent class; at least 1 / K.

  Args:
    labels: `[N]` of the training examples.
    classes: K.
  """
  return max(1 / classes, float(np.bincount(labels).max()) / len(labels))


def at_chance(accuracy: float, chance: float | None, count: int) -> bool:
  """Whether one model is not shown to be above chance on `count` examples.

  A model that diverged has no accuracy, and is not at chance.
  """
  if chance is None or not count or not math.isfinite(accuracy):
    return False
  return accuracy <= chance + _SURE * _error(chance, count)


def mean_of(first: Summary, count: int, second: Summary, other: int) -> Summary:
  """Accuracy on two sets together, of `count` and of `other` examples."""
  values = (count * np.array(first.values) + other * np.array(second.values))
  return statistics.summary(values / max(count + other, 1))


def faults(kind: str, test: Summary, held_out: int, fit: Summary,
           chance: float | None) -> list[str]:
  """What is wrong with the models that unlearned ones are compared with.

  Args:
    kind: `original` or `retrained`.
    test: their accuracy on the examples that are held out.
    held_out: how many these are.
    fit: their accuracy on what they trained on.
    chance: accuracy of a guess; `None` where the task has none.

  Returns:
    A sentence on a test accuracy that is not shown to be above chance, by the
    seeds and by the number of held-out examples, and one on a fit below `FIT`.
  """
  sentences = []
  if chance is not None and held_out and math.isfinite(test.mean):
    spread = max(_NORMAL * _error(chance, held_out),
                 test.ci95 if math.isfinite(test.ci95) else 0.0)
    if test.mean - spread <= chance:
      sentences.append(
          f'The {kind} models are not shown to be better than a guess: their '
          f'test accuracy is {test.mean:.3f}, that of a guess {chance:.3f}. '
          'No figure below says anything about unlearning.')
  if fit.mean < FIT:
    sentences.append(
        f'The {kind} models are right about {fit.mean:.1%} of what they '
        f'trained on, less than {FIT:.0%}: they have little to forget.')
  return sentences


def _error(share: float, count: int) -> float:
  """The standard error of a share that `count` examples show."""
  return math.sqrt(share * (1 - share) / count)
