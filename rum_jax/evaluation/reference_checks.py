"""Checks whether original and retrained models are accurate enough."""

from __future__ import annotations

from collections.abc import Mapping
import math

import numpy as np

from rum_jax.evaluation import statistics
from rum_jax.evaluation.statistics import Summary

FIT = 0.9  # The accuracy on the training set that models must reach.
AGREED = 0.5  # The share of a group that two halves of the models must share.
_NORMAL = 1.96  # Half-width of the 95 % interval of a standard normal.
_SURE = 3.0  # Standard errors by which a model must exceed chance.
ALL_DIVERGED = 'All runs of all methods diverged: there is no unlearned model.'


def chance_of(labels: np.ndarray, classes: int) -> float:
  """Accuracy of always predicting the most frequent class; at least 1 / K.

  Args:
    labels: `[N]` of the training examples.
    classes: K.
  """
  return max(1 / classes, float(np.bincount(labels).max()) / len(labels))


def at_chance(accuracy: float, chance: float | None, count: int) -> bool:
  """Whether the accuracy of one model is not significantly above chance.

  Args:
    accuracy: the accuracy on `count` examples; NaN for a model that diverged,
      which does not count as at chance.
    chance: accuracy of a guess; `None` where the task has none.
    count: number of examples.
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
  """Faults of the models that unlearned ones are compared with, as sentences.

  Args:
    kind: `original` or `retrained`.
    test: their accuracy on the held-out examples.
    held_out: number of held-out examples.
    fit: their accuracy on the training examples.
    chance: accuracy of a guess; `None` where the task has none.

  Returns:
    A sentence if the test accuracy is not significantly above chance, given the
    seeds and the number of held-out examples, and one if `fit` is below `FIT`.
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


def group_faults(overlaps: Mapping[str, float], chance: float, fit: float
                 ) -> list[str]:
  """Faults of groups that were chosen by memorization, as sentences.

  Args:
    overlaps: name of a group to the share of it that two halves of the models
      agree on; NaN where it is not known.
    chance: that share for random groups.
    fit: mean accuracy of the models on their own training subsets; NaN where it
      is not known.

  Returns:
    A sentence if `fit` is below `FIT`, and one on the groups of which the
    halves of the models agree on less than `AGREED`.
  """
  sentences = []
  if fit < FIT:
    sentences.append(
        f'The models of memorization are right about {fit:.1%} of what they '
        f'trained on, less than {FIT:.0%}: their scores say little.')
  loose = [f'{share:.0%} of {name}' for name, share in overlaps.items()
           if share < AGREED]
  if loose:
    sentences.append(
        'Which examples are in a group is mostly chance where two halves of '
        'the memorization models agree on less than half of it: they agree on '
        f'{", ".join(loose)} (random groups: {chance:.0%}). More models, or '
        'models that fit what they trained on, make a group certain.')
  return sentences


def _error(share: float, count: int) -> float:
  """The standard error of a share that was measured on `count` examples."""
  return math.sqrt(share * (1 - share) / count)
