"""What many memorization models say together, and how far it can be relied on.

Models come in segments that are made, kept and merged one by one. Of
probabilities only sums are kept, so that memory grows with M by the bits alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from rum_jax import memorization, refinement, reliability, scores, trees
from rum_jax.memorization import Seen, Sums

BITS = ('correct', 'inside', 'held_out')
FITTED = 0.99  # Accuracy on its own subset from which on a model fits it.
TIES = 3  # Seed of the rule that the main job, too, breaks ties by.


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
  sums = [memorization.add_up(seen.level[i::2], seen.inside[i::2])
          for i in (0, 1)]
  return {**{name: memorization.pack(getattr(seen, name)) for name in BITS},
          **dict(zip(Sums._fields, map(np.stack, zip(*sums))))}


class Gathering:
  """Takes the segments of an ensemble in, one after the other."""

  def __init__(self):
    self._bits, self._sums = [], None

  def add(self, arrays: Mapping[str, np.ndarray]) -> None:
    """Adds a segment, as `condensed` made it."""
    self._bits.append([arrays[name] for name in BITS])
    sums = Sums(*(arrays[name] for name in Sums._fields))
    self._sums = memorization.join(
        [sums] if self._sums is None else [self._sums, sums])

  def ensemble(self) -> Ensemble:
    return Ensemble(*trees.concatenate(self._bits), self._sums)


def estimates(models: Ensemble, num_examples: int
              ) -> dict[str, scores.Memorization]:
  """Both estimates, by name: from correctness and from probability."""
  return {
      'correctness': memorization.estimate(
          models.correct, models.inside, num_examples),
      'probability': memorization.estimate_probability(models.sums)}


def fit(models: Ensemble) -> dict[str, float]:
  """How well models fit what they trained on, as JSON values.

  Memorization shows only in models that fit: `mean` and `least` accuracy of a
  model on its own subset, and the number of models that are `fitted`, with an
  accuracy of at least `FITTED`.
  """
  right = np.bitwise_count(models.correct & models.inside).sum(1)
  accuracy = right / np.bitwise_count(models.inside).sum(1)
  return {'mean': float(accuracy.mean()), 'least': float(accuracy.min()),
          'fitted': int((accuracy >= FITTED).sum()), 'models': len(accuracy)}


def report(models: Ensemble, num_examples: int, size: int, target: float
           ) -> dict[str, Any]:
  """How far the estimates can be relied on, as JSON values.

  Args:
    models: the ensemble.
    num_examples: N.
    size: of the low, the medium and the high group.
    target: share of the medium group that two runs should agree on.
  """
  def halves(m: int) -> list[np.ndarray]:
    return [half.score for half in memorization.halves(
        models.correct[:m], models.inside[:m], num_examples)]

  count = len(models.correct)
  curve = reliability.convergence(halves, count, size, refinement.by_score)
  other = [memorization.estimate_probability(trees.take(models.sums, i)).score
           for i in (0, 1)]
  split_half = {
      'correctness': curve[-1],
      'probability': reliability.split_half(
          *other, count, size, refinement.by_score)}
  advice = reliability.recommend(curve, target, size)
  return {
      **{name: {**scores.summary(x), 'split_half': split_half[name]._asdict()}
         for name, x in estimates(models, num_examples).items()},
      'fit': fit(models), 'group_size': size,
      'convergence': [x._asdict() for x in curve],
      'recommendation': {
          **advice._asdict(), 'target': target, 'group': 'medium',
          'sentence': reliability.sentence(advice, target)}}


def agreement(score: np.ndarray, other: np.ndarray, size: int
              ) -> dict[str, float]:
  """How far an estimate agrees with scores of others, as JSON values.

  Args:
    score: `[N]`; NaN where an example has none.
    other: `[N]` of the same examples.
    size: of the low, the medium and the high group.

  Returns:
    `spearman`, and for each group the share of the one that is in the other;
    random groups share `size / N`, which is `chance`.
  """
  shared = reliability.overlaps(score, other, size, refinement.by_score)
  return {'spearman': reliability.rank_correlation(score, other),
          **dict(zip(scores.GROUPS, shared)), 'chance': size / len(score)}


def agreement_line(name: str, found: Mapping[str, float]) -> str:
  """What `agreement` says, in words."""
  return (f'Spearman correlation with {name}: {found["spearman"]:.3f}; they '
          f'share {_shares(found)} (chance: {found["chance"]:.2f})')


def _shares(found: Mapping[str, float]) -> str:
  return ', '.join(f'{found[g]:.2f} of {g}' for g in scores.GROUPS)


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


def lines(found: Mapping[str, Any]) -> Sequence[str]:
  """A report in words, for a terminal."""
  own = found['fit']
  text = [f'models are right about {own["mean"]:.1%} of what they trained on, '
          f'the least about {own["least"]:.1%}; {own["fitted"]} of '
          f'{own["models"]} about {FITTED:.0%} or more']
  for name in ('correctness', 'probability'):
    part = found[name]
    half = part['split_half']
    text += [
        scores.sentence(f'memorization by {name}', part),
        f'  split-half Spearman correlation {half["spearman"]:.4f}, of all '
        f'models {half["corrected"]:.4f}; the halves share {_shares(half)}']
  return [*text, found['recommendation']['sentence']]
