"""Accuracies, and the metrics of the paper: Tug-of-War and its variants."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from rum_jax import _checks
from rum_jax.types import AnyArray, Array, Signals


@jax.jit
def accuracy(signals: Signals, index: AnyArray) -> Array:
  """Mean score of the examples in `index`: the accuracy of a classifier.

  Args:
    signals: loss and score `[..., N]`; leading axes such as seeds are kept.
    index: `[n]` int32 rows.

  Returns:
    `[...]` in `[0, 1]`; NaN where a loss in `index` is not finite, because the
    run diverged.

  Raises:
    TypeError: if `index` is not an array of whole numbers.
    ValueError: if the shapes of losses and scores differ.
  """
  _checks.check_whole('index', index, 'np.flatnonzero of a mask')
  if signals.loss.shape != signals.score.shape:
    raise ValueError('Expected a loss for each score [..., N], found shapes '
                     f'{signals.loss.shape} and {signals.score.shape}.')
  loss, score = (jnp.take(x, index, axis=-1)
                 for x in (signals.loss, signals.score))
  finite = jnp.isfinite(loss).all(axis=-1)
  return jnp.where(finite, score.mean(axis=-1), jnp.nan)


def tug_of_war(forget_gap: ArrayLike, retain_gap: ArrayLike,
               test_gap: ArrayLike) -> Array:
  """ToW: `(1 − |Δforget|)(1 − |Δretain|)(1 − |Δtest|)`.

  Each gap is the value of the unlearned model minus that of the retrained one,
  both in `[0, 1]`. With accuracies this is ToW. With the score of the attack as
  the forget term it is ToW-MIA.

  Args:
    forget_gap: `[...]` in `[-1, 1]`.
    retain_gap: the same for the retain set.
    test_gap: the same for the test set.

  Returns:
    `[...]` in `[0, 1]`; 1 where the values equal those of retraining.

  References:
    Zhao et al., What makes unlearning hard and what to do about it, 2024.
  """
  gaps = jnp.stack(jnp.broadcast_arrays(forget_gap, retain_gap, test_gap))
  return (1 - jnp.abs(gaps)).prod(axis=0)


def grouped_tug_of_war(group_gaps: ArrayLike, retain_gap: ArrayLike,
                       test_gap: ArrayLike) -> Array:
  """ToW whose forget term is the mean over groups of `1 − |gap|`.

  In the accuracy on the whole forget set, a value that is too low on one group
  cancels one that is too high on another. Here they do not cancel.

  Args:
    group_gaps: `[..., G]` gaps of forget accuracy, one a group.
    retain_gap: `[...]`.
    test_gap: `[...]`.

  Returns:
    `[...]` in `[0, 1]`; never above `tug_of_war` of groups of equal size.
  """
  mean_gap = jnp.abs(group_gaps).mean(axis=-1)
  return tug_of_war(mean_gap, retain_gap, test_gap)
