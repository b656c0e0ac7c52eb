"""What many memorization models say together, and how far it can be relied on.

Models come in segments that are made, kept and merged one by one. Of
probabilities only sums are kept, so that memory grows with M by the bits alone.
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
FITTED = 0.99  # Accuracy on its own subset from which on a model fits it.


class Ensemble(NamedTuple):
  """M models, in ascending order of their numbers.

  Attributes:
    correct: `[M, ceil(N / 8)]` packed bits, who is right about whom.
    inside: `[M, ceil(N / 8)]` who trained on whom.
    held_out: `[M, ceil(n / 8)]` who is right about whom of those held out.
    sums: of probabilities, `[2, 2, N]`: of every second model, and of the rest.
  """

  correct: np.ndarray
  inside: np.ndarray
  held_out: np.ndarray
  sums: Sums


def condensed(seen: Seen) -> dict[str, np.ndarray]:
  """What to keep of a segment of models: the arrays of an artefact.

  Args:
    seen: stacked, `[m, ...]`, from a model with an even number on.
  """
  seen = jax.tree.map(np.asarray, seen)
  sums = [estimator.add_up(seen.level[i::2], seen.inside[i::2])
          for i in (0, 1)]
  return {**{name: estimator.pack(getattr(seen, name)) for name in BITS},
          **dict(zip(Sums._fields, map(np.stack, zip(*sums))))}


class Gathering:
  """Takes the segments of an ensemble in, one after the other."""

  def __init__(self):
    self._bits: list[list[np.ndarray]] = []
    self._sums: Sums | None = None

  def add(self, arrays: Mapping[str, np.ndarray]) -> None:
    """Adds a segment, as `condensed` made it."""
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
  """Both estimates, by name: from correctness and from probability."""
  return {
      'correctness': estimator.estimate(
          models.correct, models.inside, num_examples),
      'probability': estimator.estimate_probability(models.sums)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
  """How well models fit what they trained on: memorization needs that.

  Attributes:
    mean: accuracy of a model on its own subset.
    least: that of the model where it is lowest.
    fitted: models whose accuracy is at least `FITTED`.
    models: M.
  """

  mean: float
  least: float
  fitted: int
  models: int


def fit(models: Ensemble) -> Fit:
  """How well models fit what they trained on."""
  right = np.bitwise_count(models.correct & models.inside).sum(1)
  accuracy = right / np.bitwise_count(models.inside).sum(1)
  return Fit(mean=float(accuracy.mean()), least=float(accuracy.min()),
             fitted=int((accuracy >= FITTED).sum()), models=len(accuracy))


def speed(parts: Sequence[tuple[int, Mapping[str, Any]]]
          ) -> dict[str, dict[str, float]]:
  """What training took, by the device that it was done on.

  Args:
    parts: of each segment, its models and the notes of its artefact: `seconds`,
      `compile_seconds`, and the name of the `device`, if it was written down.

  Returns:
    Device to `models`, `seconds` (compilation included) and `models_an_hour`.
  """
  found: dict[str, dict[str, float]] = {}
  for count, notes in parts:
    of_device = found.setdefault(notes.get('device', 'an unrecorded device'),
                                 {'models': 0, 'seconds': 0.0})
    of_device['models'] += count
    of_device['seconds'] += notes['seconds'] + notes['compile_seconds']
  return {device: {**x, 'models_an_hour': 3600 * x['models'] / x['seconds']}
          for device, x in found.items()}
