"""Membership inference attacks: does a model still know the forget set?

The attack of the paper is a classifier of the confidence `exp(−loss)`, the
probability of the true class. It is trained to separate retain from test
examples. It reports the share of the forget set that it classifies as
non-members. The metric is the gap to the same share of a retrained model.

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
  """Draws equally many rows of both, without replacement, in random order."""
  size = min(len(members), len(others))
  rng = np.random.default_rng(seed)
  return (rng.permutation(members)[:size], rng.permutation(others)[:size])


def svc_attack(retain: np.ndarray, test: np.ndarray, forget: np.ndarray,
               *, seed: int = 0, penalty: float = 3.0) -> float:
  """Share of the forget set that an RBF SVC classifies as non-members.

  The released code trains on the *first* retain examples in index order; here
  equal numbers of retain and test examples are drawn at random.

  Args:
    retain: `[R]` confidences of members.
    test: `[n]` confidences of non-members.
    forget: `[F]` confidences of the examples to classify.
    seed: the seed of the draw.
    penalty: the parameter C of the SVC.

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
  predicted = classifier.predict(np.asarray(forget, np.float64).reshape(-1, 1))
  return float((predicted == 0).mean())


@jax.jit
def threshold_attack(retain: AnyArray, test: AnyArray, forget: AnyArray
                     ) -> Array:
  """Share of the forget set below the best single threshold.

  The best threshold has the highest balanced accuracy in separating retain (at
  or above it) from test (below it); of several, it is the lowest. The function
  runs on the device and can be vmapped over seeds.

  Args:
    retain: `[R]` scores of members.
    test: `[n]` scores of non-members.
    forget: `[F]` scores of the examples to classify.

  Returns:
    A share in `[0, 1]`.

  Raises:
    ValueError: if R·n does not fit in int32.
  """
  _checks.check_range('R·n', len(retain) * len(test), 1, 2**31 - 1)
  cuts = jnp.sort(jnp.concatenate([retain, test]))
  # searchsorted counts the values below each cut. With whole numbers, cuts of
  # equal accuracy are equal; float32 would order them by rounding errors.
  missed = jnp.searchsorted(jnp.sort(retain), cuts) * len(test)
  caught = jnp.searchsorted(jnp.sort(test), cuts) * len(retain)
  best = cuts[jnp.argmax(caught - missed)]
  return (forget < best).mean()
