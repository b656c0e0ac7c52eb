"""How well a model has forgotten, as far as this shows without retraining.

A candidate is judged by three figures: the accuracy that it keeps on retained
and on held-out examples; whether its confidences tell the forget set from
held-out examples of the same classes; and whether fine-tuning on the retain set
alone changes the answer. With the expected accuracy of a retrained model, as a
memorization ensemble gives it, this takes the place of the held-out examples.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from rum_jax import audits
from rum_jax.types import AnyArray, Signals

_record = dataclasses.dataclass(frozen=True, kw_only=True)


@_record
class Figures:
  """What one model shows, without a retrained one.

  Attributes:
    retain_accuracy: on the retain set.
    held_out_accuracy: on held-out examples.
    forget_accuracy: on the forget set.
    auc: the share of pairs of a forget and a held-out example in which the
      model is more confident in the forget example; 0.5 where it does not tell
      them apart.
    relearned_auc: the same after fine-tuning on the retain set alone; NaN where
      this was not done.
    score: see `Judge`; 0 for a model that diverged.
  """

  retain_accuracy: float
  held_out_accuracy: float
  forget_accuracy: float
  auc: float
  relearned_auc: float
  score: float


@dataclasses.dataclass(frozen=True)
class Judge:
  """Scores a model between 0 and 1; higher is better.

  `score = (1 − loss of retain accuracy)(1 − loss of held-out accuracy)
  (1 − gap)`. A loss of accuracy is counted from the given weights, and a gain
  counts as no loss. The gap is the mean of two distances: `2·|AUC − 0.5|`, and
  that of the forget accuracy from the accuracy on held-out examples of the same
  classes. So both a forget set that is still known and one that is suspiciously
  unknown count. The larger AUC distance of the model as it is and after
  fine-tuning counts. Where `expected` is given, the gap is the distance of the
  forget accuracy from it.

  Attributes:
    forget: `[F]` rows of the forget set that are judged.
    retain: `[R]` rows.
    held_out: `[H]` rows of examples that no model trained on.
    before: loss and score `[N]` of the given weights.
    label: `[N]` classes, so that held-out examples of the same classes are
      compared; `None` compares all.
    expected: accuracy of a retrained model on the rows `forget`, in `[0, 1]`;
      `None` where it is not known.
  """

  forget: np.ndarray
  retain: np.ndarray
  held_out: np.ndarray
  before: Signals
  label: AnyArray | None = None
  expected: float | None = None

  def __call__(self, signals: Signals, relearned: Signals | None = None
               ) -> Figures:
    """The figures of a model.

    Args:
      signals: loss and score `[N]`.
      relearned: the same after fine-tuning on the retain set alone.
    """
    accuracy = [float(np.mean(np.asarray(signals.score)[rows]))
                for rows in (self.retain, self.held_out, self.forget)]
    before = [float(np.mean(np.asarray(self.before.score)[rows]))
              for rows in (self.retain, self.held_out)]
    later = math.nan if relearned is None else self.auc(relearned)
    now = self.auc(signals)
    if self.expected is None:  # fmax leaves out what was not measured.
      known, new = self._accuracies(signals)
      gap = (float(np.fmax(abs(now - 0.5), abs(later - 0.5)))
             + abs(known - new) / 2)
    else:
      gap = abs(accuracy[2] - self.expected)
    score = 1 - gap
    for kept, had in zip(accuracy, before, strict=False):
      score *= 1 - max(0.0, had - kept)
    alive = np.isfinite(np.asarray(signals.loss)).all() and (
        relearned is None or np.isfinite(np.asarray(relearned.loss)).all())
    return Figures(
        retain_accuracy=accuracy[0], held_out_accuracy=accuracy[1],
        forget_accuracy=accuracy[2], auc=now, relearned_auc=later,
        score=score if alive else 0.0)

  def auc(self, signals: Signals) -> float:
    """The AUC of the forget set beside held-out examples; NaN if it diverged.

    Forget examples of classes without a held-out example are left out, unless
    all classes are such.
    """
    loss = np.asarray(signals.loss)
    forget, weight = self._beside()
    return audits.beside_held_out(
        loss[forget], loss[self.held_out], weight=weight).auc.mean

  def _accuracies(self, signals: Signals) -> tuple[float, float]:
    """Accuracy on forget and on held-out examples of the same classes."""
    score = np.asarray(signals.score)
    forget, weight = self._beside()
    return float(score[forget].mean()), float(
        np.average(score[self.held_out], weights=weight))

  def _beside(self) -> tuple[np.ndarray, np.ndarray | None]:
    """Forget rows that are compared, and weights `[H]` of held-out ones."""
    if self.label is None:
      return self.forget, None
    label = np.asarray(self.label)
    there = np.isin(label[self.forget], label[self.held_out])
    if not there.any():
      return self.forget, None
    forget = self.forget[there]
    return forget, audits.class_weights(label[forget], label[self.held_out])
