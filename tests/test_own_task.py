"""A task of a user, without images, labels or classes.

Points on a line of noise, and what is known of one is how near to its value
the network comes. All of the library works on it from losses and scores.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rum_jax
from rum_jax import batch_norm, evaluation, gradients, memorization, refinement
from rum_jax.memorization import learning_events, proxies, proxy_observers
from rum_jax.types import Array, Model, Outputs, Split, Task, Variables

N, HELD_OUT = 40, 10


class Points(NamedTuple):
  """`[N, 3]` positions and `[N, 2]` values, in a tree of their own."""

  where: dict[str, Array]
  value: tuple[Array, Array]


def loss(outputs, examples):
  """Squared error, at least 0: `exp(−loss)` is a confidence in (0, 1]."""
  gaps = [outputs.prediction[name] - x
          for name, x in zip('ab', examples.value)]
  return sum(gap**2 for gap in gaps)


def score(outputs, examples):
  return jnp.exp(-loss(outputs, examples))


def divergence(student, teacher, temperature):
  teacher = jax.lax.stop_gradient(teacher.prediction)
  return temperature * sum(
      (student.prediction[name] - teacher[name])**2 for name in 'ab')


def apply(variables, examples, *, train, key=None, mask=None):
  hidden = jnp.tanh(examples.where['x'] @ variables.params['in'])
  both = hidden @ variables.params['out']
  return Outputs({'a': both[:, 0], 'b': both[:, 1]}, hidden), variables.stats


def init(key):
  first, second = jax.random.split(key)
  return Variables({'in': jax.random.normal(first, (3, 16)),
                    'out': 0.1 * jax.random.normal(second, (16, 2))}, {})


MODEL = Model(init, apply, Task(loss, score, divergence))
TX = rum_jax.sgd(0.05)
METHODS = {
    'finetune': rum_jax.finetune(MODEL, TX, epochs=2, batch_size=8),
    'scrub': rum_jax.scrub(
        MODEL, TX, epochs=2, msteps=1, temperature=1.0, batch_size=8),
    'bad_teacher': rum_jax.bad_teacher(MODEL, TX, epochs=1, batch_size=8),
    'neggrad_plus': rum_jax.neggrad_plus(MODEL, TX, epochs=1, batch_size=8),
    'l1_sparse': rum_jax.l1_sparse(MODEL, TX, epochs=1, batch_size=8),
    'ssd': rum_jax.ssd(MODEL, alpha=1.5),
    'influence': rum_jax.influence(MODEL, num_samples=8),
    'cf_k': rum_jax.cf_k(MODEL, TX, k=1, epochs=1, batch_size=8)}


@pytest.fixture(scope='module')
def points() -> Points:
  rng = np.random.default_rng(0)
  x, a, b = (rng.normal(size=(N + HELD_OUT, *more)).astype(np.float32)
             for more in ((3,), (), ()))
  return Points({'x': x}, (a, b))


@pytest.fixture(scope='module')
def splits() -> tuple[Split, ...]:
  groups = tuple(np.arange(4 * i, 4 * i + 4) for i in range(2))
  return refinement.stages(groups, N)


@pytest.fixture(scope='module')
def models(points):
  """Three seeds of a model of everything."""
  rows = jnp.arange(N)
  train = rum_jax.retrain(MODEL, TX, epochs=30, batch_size=8)
  return rum_jax.over_seeds(
      lambda key, points: train(key, None, points, Split(rows[:0], rows))[0],
      in_axes=(0, None))(jax.random.split(jax.random.key(0), 3), points)


def signals_of(models, points):
  return rum_jax.over_seeds(
      lambda v, data: evaluation.signals(MODEL, v, data), in_axes=(0, None))(
          models, points)


@pytest.mark.parametrize('method', METHODS)
def test_methods_unlearn(models, points, splits, method):
  start = jax.tree.map(lambda x: x[0], models)
  moved, _ = jax.jit(METHODS[method])(
      jax.random.key(0), start, points, splits[0])
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(moved))
  assert any((old != new).any() for old, new in zip(
      jax.tree.leaves(start), jax.tree.leaves(moved)))


def test_rum_is_judged_by_tow_and_mia(models, points, splits):
  rum = batch_norm.recalibrated(rum_jax.sequential(
      rum_jax.identity(), METHODS['finetune']), MODEL)
  keys = jax.random.split(jax.random.key(1), 3)
  unlearned, _ = rum_jax.over_seeds(rum, in_axes=(0, 0, None, None))(
      keys, models, points, splits)
  subsets = evaluation.Subsets(
      tuple(s.forget for s in splits), splits[-1].retain,
      np.arange(N, N + HELD_OUT))
  before, after = (evaluation.behaviour(signals_of(m, points), subsets)
                   for m in (models, unlearned))
  found = evaluation.compare(after, before)
  assert found.tow.shape == (3,) and (found.tow > 0).all()
  assert ((after.mia >= 0) & (after.mia <= 1)).all()
  assert (before.retain > before.test).all()
  np.testing.assert_allclose(
      before.retain, np.asarray(signals_of(models, points).score)[
          :, splits[-1].retain].mean(1), rtol=1e-6)
  assert evaluation.finite(np.asarray(signals_of(models, points).loss)).all()


def test_memorization_is_estimated(points):
  train = rum_jax.retrain(MODEL, TX, epochs=100, batch_size=8)

  def seen(key, points):
    key_subset, key_fit = jax.random.split(key)
    subset = memorization.random_subset(key_subset, N, 0.5)
    variables, _ = train(key_fit, None, points, Split(subset[:0], subset))
    return memorization.seen(MODEL, N, variables, subset, points)

  found = rum_jax.over_seeds(seen, in_axes=(0, None))(
      jax.random.split(jax.random.key(2), 24), points)
  found = jax.tree.map(np.asarray, found)
  assert found.held_out.shape == (24, HELD_OUT)
  sums = memorization.add_up(found.level, found.inside)
  by_bits = memorization.estimate(
      memorization.pack(found.correct), memorization.pack(found.inside), N)
  # Values are noise, so what is learnt of them is memorized.
  for estimate in (by_bits, memorization.estimate_probability(sums)):
    mean = np.nanmean(estimate.score)
    assert mean > 0.1, mean


def test_proxies_need_no_classes(models, points):
  variables = jax.tree.map(lambda x: x[0], models)
  look = learning_events.probe(MODEL, points, classes=False)
  history = learning_events.add_epoch(
      learning_events.empty_history(N + HELD_OUT, classes=False),
      look(variables))
  scores = learning_events.scores(history)
  assert set(scores) == {'confidence', 'accuracy', 'loss', 'forgetting'}
  assert all(np.isfinite(x).all() for x in scores.values())
  assert proxies.grand(MODEL, variables, points).shape == (N + HELD_OUT,)
  initial, update = proxy_observers.learning(MODEL, 5, 1, classes=False)
  state = rum_jax.training.start(variables, TX)
  kept = update(initial(variables), state._replace(epoch=jnp.int32(1)), points)
  np.testing.assert_allclose(kept[0].total.loss, scores['loss'][:5], rtol=1e-6)


def test_gradients_are_those_of_the_loss(models, points):
  variables = jax.tree.map(lambda x: x[0], models)
  rows = jnp.arange(3)
  each = gradients.per_example(MODEL, variables, points, rows)
  total = gradients.weighted(MODEL, variables, points, rows, jnp.ones(3), 2)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(
      a.sum(0), b, rtol=1e-4, atol=1e-5), each, total)
