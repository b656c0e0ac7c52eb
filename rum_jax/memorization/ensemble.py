"""Memorization models as one ensemble, and the estimates from it.

Models are trained, stored and merged in segments. Of the probabilities only
sums are stored; of each model only packed bits are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from rum_jax import trees
from rum_jax.memorization import estimator
from rum_jax.memorization.estimator import Memorization, Seen, Sums

BITS = ('correct', 'inside', 'held_out')
FITTED = 0.99  # A model with this accuracy on its own subset counts as fitted.
LEAST_FIT = 0.95  # With a lower mean, scores do not measure memorization.


class Ensemble(NamedTuple):
  """M models, in ascending order of their numbers.

  Attributes:
    correct: `[M, ceil(N / 8)]` packed bits: which models classify which
      training examples correctly.
    inside: `[M, ceil(N / 8)]` packed bits: which models trained on which
      examples.
    held_out: `[M, ceil(n / 8)]` packed bits: which models classify which
      held-out examples correctly.
    sums: sums of probabilities, `[2, 2, N]`, over the models with even numbers
      and over those with odd numbers.
  """

  correct: np.ndarray
  inside: np.ndarray
  held_out: np.ndarray
  sums: Sums


def condensed(seen: Seen) -> dict[str, np.ndarray]:
  """The arrays that are stored for a segment of models.

  Args:
    seen: stacked, `[m, ...]`; the number of the first model is even.
  """
  seen = jax.tree.map(np.asarray, seen)
  sums = [estimator.add_up(seen.level[i::2], seen.inside[i::2])
          for i in (0, 1)]
  return {**{name: estimator.pack(getattr(seen, name)) for name in BITS},
          **dict(zip(Sums._fields, map(np.stack, zip(*sums))))}


class Gathering:
  """Collects the segments of an ensemble one by one."""

  def __init__(self):
    self._bits: list[list[np.ndarray]] = []
    self._sums: Sums | None = None

  def add(self, arrays: Mapping[str, np.ndarray]) -> None:
    """Adds a segment that `condensed` returned."""
    self._bits.append([arrays[name] for name in BITS])
    sums = Sums(*(arrays[name] for name in Sums._fields))
    self._sums = estimator.join(
        [sums] if self._sums is None else [self._sums, sums])

  def ensemble(self) -> Ensemble:
    if self._sums is None:
      raise ValueError('Expected segments to gather, found none.')
    correct, inside, held_out = trees.concatenate(self._bits)
    return Ensemble(correct, inside, held_out, self._sums)


def estimates(models: Ensemble, num_examples: int
              ) -> dict[str, Memorization]:
  """The estimates from correctness and from probability, by name."""
  return {
      'correctness': estimator.estimate(
          models.correct, models.inside, num_examples),
      'probability': estimator.estimate_probability(models.sums)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
  """How well models fit their own training subsets.

  Estimates of memorization are meaningful only for models that fit them well.

  Attributes:
    mean: mean over models of the accuracy on their own subsets.
    least: the lowest of these accuracies.
    fitted: number of models whose accuracy is at least `FITTED`.
    models: M.
  """

  mean: float
  least: float
  fitted: int
  models: int


def fit(models: Ensemble) -> Fit:
  """How well models fit their own training subsets."""
  correct = np.bitwise_count(models.correct & models.inside).sum(1)
  accuracy = correct / np.bitwise_count(models.inside).sum(1)
  return Fit(mean=float(accuracy.mean()), least=float(accuracy.min()),
             fitted=int((accuracy >= FITTED).sum()), models=len(accuracy))


def speed(parts: Sequence[tuple[int, Mapping[str, Any]]]
          ) -> dict[str, dict[str, float]]:
  """Training time for each device.

  Args:
    parts: for each segment the number of its models, and the notes of its
      artefact: `seconds`, `compile_seconds` and, if it is known, the name of
      the `device`.

  Returns:
    Device to `models`, `seconds` (compilation included) and `models_an_hour`.
  """
  devices: dict[str, dict[str, float]] = {}
  for count, notes in parts:
    of_device = devices.setdefault(notes.get('device', 'an unrecorded device'),
                                   {'models': 0, 'seconds': 0.0})
    of_device['models'] += count
    of_device['seconds'] += notes['seconds'] + notes['compile_seconds']
  return {device: {**x, 'models_an_hour': 3600 * x['models'] / x['seconds']}
          for device, x in devices.items()}
