"""Membership inference: does the model still know the forget set?

The paper's attack learns to tell retain from test examples by the confidence
`exp(−loss)`, a classifier's probability of the true class. It reports the share
of the forget set that it takes for non-members. What counts is the gap to the
same figure of a retrained model.

References:
  Zhao et al., What makes unlearning hard and what to do about it, 2024.
  Song and Mittal, Systematic evaluation of privacy risks of machine learning
  models, 2021.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import _checks
from rum_jax.types import AnyArray, Array


def balanced(members: np.ndarray, others: np.ndarray, seed: int
             ) -> tuple[np.ndarray, np.ndarray]:
  """Draws equal numbers of both, without replacement, in random order."""
  size = min(len(members), len(others))
  rng = np.random.default_rng(seed)
  return (rng.permutation(members)[:size], rng.permutation(others)[:size])


def svc_attack(retain: np.ndarray, test: np.ndarray, forget: np.ndarray,
               *, seed: int = 0, penalty: float = 3.0) -> float:
  """Share of the forget set that an RBF SVC takes for non-members.

  The released code trains on the *first* retain examples in index order; here
  equal numbers of retain and test examples are drawn at random.

  Args:
    retain: `[R]` confidences of members.
    test: `[n]` confidences of non-members.
    forget: `[F]` confidences of those in question.
    seed: of the draw.
    penalty: the SVC's C.

  Returns:
    A share in `[0, 1]`; NaN where a confidence is not finite.

  Raises:
    ValueError: if one of the three is empty.
  """
  for name, values in (('retain', retain), ('test', test), ('forget', forget)):
    if not len(values):
      raise ValueError(f'Expected {name} to hold examples, found none.')
  if not all(np.isfinite(x).all() for x in (retain, test, forget)):
    return float('nan')
  members, others = balanced(np.asarray(retain), np.asarray(test), seed)
  scores = np.concatenate([members, others]).reshape(-1, 1)
  truth = np.repeat([1, 0], len(members))
  from sklearn import svm  # Takes a second to import, and is often not used.

  classifier = svm.SVC(C=penalty, kernel='rbf', gamma='auto')
  classifier.fit(scores.astype(np.float64), truth)
  decided = classifier.predict(np.asarray(forget, np.float64).reshape(-1, 1))
  return float((decided == 0).mean())


@jax.jit
def threshold_attack(retain: AnyArray, test: AnyArray, forget: AnyArray
                     ) -> Array:
  """Share of the forget set below the best single threshold.

  The threshold is the one with the highest balanced accuracy in telling
  retain (at or above it) from test (below it); of equals the lowest. It runs on
  the device, and vmaps over seeds.

  Args:
    retain: `[R]` scores of members.
    test: `[n]` scores of non-members.
    forget: `[F]` scores of those in question.

  Returns:
    A share in `[0, 1]`.

  Raises:
    ValueError: if R·n, in which the cuts are counted, does not fit in int32.
  """
  _checks.check_range('R·n', len(retain) * len(test), 1, 2**31 - 1)
  cuts = jnp.sort(jnp.concatenate([retain, test]))
  # searchsorted counts the values below each cut. Whole numbers, so that equal
  # cuts are equal: float32 would break their ties at random.
  missed = jnp.searchsorted(jnp.sort(retain), cuts) * len(test)
  caught = jnp.searchsorted(jnp.sort(test), cuts) * len(retain)
  best = cuts[jnp.argmax(caught - missed)]
  return (forget < best).mean()
