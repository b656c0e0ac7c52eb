"""Learning-time proxies by hand, against plain loops, and in a real run."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rum_jax
from rum_jax import tasks
from rum_jax.memorization import learning_events
from rum_jax.memorization.learning_events import Difficulty
from rum_jax.types import Images, Outputs, Split

# Right (1) or wrong (0) after each of four epochs, and how often forgotten.
COURSES = {(1, 0, 1, 0): 2, (0, 0, 1, 1): 0, (0, 0, 0, 0): 4, (1, 1, 1, 1): 0,
           (1, 0, 0, 0): 1, (0, 1, 0, 1): 1}


def naive(logits, labels):
  """Scores of `[E, N, K]` logits by loops over epochs and examples."""
  epochs, n, _ = logits.shape
  out = {name: np.zeros(n) for name in learning_events.NAMES}
  for i in range(n):
    right = []
    for e in range(epochs):
      p = np.exp(logits[e, i]) / np.exp(logits[e, i]).sum()
      right.append(p.argmax() == labels[i])
      out['confidence'][i] += (1 - p[labels[i]]) / epochs
      out['max_confidence'][i] += (1 - p.max()) / epochs
      out['entropy'][i] -= sum(x * np.log(x) for x in p) / epochs
      out['accuracy'][i] += (not right[-1]) / epochs
      out['loss'][i] -= np.log(p[labels[i]])
    out['forgetting'][i] = epochs if not any(right) else sum(
        a and not b for a, b in zip(right, right[1:]))
  return out


def difficulty(logits, labels):
  return learning_events.difficulty(
      tasks.classification(), Outputs(logits, None), Images(None, labels))


@jax.jit
def scores_of(logits, labels):
  seen = jax.vmap(difficulty, in_axes=(0, None))(logits, labels)
  return learning_events.scores(learning_events.history(seen))


def assert_same(got, want, rtol):
  assert set(got) == set(learning_events.NAMES) == set(want)
  for name in want:
    np.testing.assert_allclose(got[name], want[name], rtol=rtol, atol=1e-13,
                               err_msg=name)


def test_signals_by_hand(float64):
  logits = jnp.log(jnp.asarray([[0.5, 0.25, 0.25]] * 2))
  got = difficulty(logits, jnp.asarray([1, 0]))
  for name, want in {
      'confidence': [0.75, 0.5], 'max_confidence': [0.5, 0.5],
      'entropy': [1.5 * np.log(2)] * 2, 'accuracy': [1, 0],
      'loss': [np.log(4), np.log(2)]}.items():
    np.testing.assert_allclose(getattr(got, name), want, rtol=1e-14)


@pytest.mark.parametrize('low', [-1e4, -np.inf])
def test_certainty_is_no_entropy_and_not_nan(low):
  logits = jnp.asarray([[0.0, low, low]] * 2)
  got = difficulty(logits, jnp.asarray([0, 1]))
  np.testing.assert_array_equal(got.entropy, 0)
  np.testing.assert_array_equal(got.max_confidence, 0)
  np.testing.assert_array_equal(got.confidence, [0, 1])
  np.testing.assert_array_equal(got.loss, [0, -low])


def test_scores_are_those_of_plain_loops(float64):
  rng = np.random.default_rng(0)
  logits, labels = rng.normal(size=(7, 40, 3)), rng.integers(0, 3, 40)
  assert_same(scores_of(logits, labels), naive(logits, labels), 1e-12)


def test_forgetting_by_hand():
  wrong = 1.0 - jnp.asarray(list(COURSES)).T
  found = learning_events.history(Difficulty(*[wrong] * 5))
  np.testing.assert_array_equal(
      learning_events.scores(found)['forgetting'], list(COURSES.values()))
  # Cut after two epochs, one example more has never been right.
  past = learning_events.empty_history(len(COURSES))
  for row in wrong[:2]:
    past = learning_events.add_epoch(past, Difficulty(*[row] * 5))
  np.testing.assert_array_equal(
      learning_events.scores(past)['forgetting'], [1, 2, 2, 0, 1, 0])


def test_a_run_that_diverged_has_no_scores():
  logits = jnp.zeros((3, 4, 2)).at[1].set(jnp.nan)
  labels = jnp.asarray([0, 1, 0, 1])
  found = scores_of(logits, labels)
  assert all(np.isnan(x).all() for x in found.values())


def test_probe_sees_each_epoch_of_a_run(float64, toy, linear):
  model, start = linear
  data = Images(toy.image[:, :2, :1], toy.label % 2)
  look = learning_events.probe(model, data)

  def train(epochs, probe=None):
    return jax.jit(lambda: rum_jax.retrain(
        model, rum_jax.sgd(0.5), epochs=epochs, batch_size=10, probe=probe)(
            jax.random.key(3), None, data, Split(jnp.arange(0), jnp.arange(24)))
                   )()

  variables, info = train(2, look)
  assert info.probes.loss.shape == (2, 24)
  x, logits = data.image.reshape(24, 2) / 255, []
  for v in (train(1)[0], variables):
    logits.append(x @ v.params['w'] + v.params['b'])
  assert np.abs(logits[1] - x @ start.params['w']).max() > 0.1
  got = learning_events.scores(learning_events.history(info.probes))
  assert_same(got, naive(np.stack(logits), data.label), 1e-9)
