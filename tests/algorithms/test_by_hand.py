"""One step of every unlearner, in NumPy, on a linear model with two classes.

A batch holds a whole set, so that its order does not matter; the learning rate
is 0.5 without momentum. Ten operations in float64 round by less than 1e-14.
"""

from __future__ import annotations

import jax
import numpy as np
import pytest

import rum_jax
from rum_jax import trees
from rum_jax.algorithms import released
from rum_jax.algorithms._scrub import contrast
from rum_jax.types import Batch

RATE = 0.5
CLOSE = {'rtol': 1e-12, 'atol': 1e-14}
ONE = {'epochs': 1, 'batch_size': 8}
FORGET, RETAIN, ALL = [0, 1], [2, 3, 4], [0, 1, 2, 3, 4]


def descend(params, gradient, rate=RATE):
  return {name: params[name] - rate * gradient[name] for name in params}


def combine(*terms):
  """`Σ factor · gradient`."""
  return {name: sum(factor * g[name] for factor, g in terms)
          for name in ('w', 'b')}


def check(found, want):
  for name in want:
    np.testing.assert_allclose(found[name], want[name], **CLOSE)


def flat(params):
  return np.r_[params['b'], params['w'].ravel()]


@pytest.fixture
def tx():
  return rum_jax.sgd(RATE, momentum=0.0)


def test_identity(hand):
  check(hand.run(rum_jax.identity())[0], hand.variables.params)


def test_finetune(hand, tx):
  params, info = hand.run(rum_jax.finetune(hand.model, tx, **ONE))
  start = hand.variables.params
  check(params, descend(start, hand.gradient(start, RETAIN)))
  np.testing.assert_allclose(info.loss, [hand.loss(start, RETAIN)], **CLOSE)


def test_retrain_starts_from_fresh_variables(hand, tx):
  params, _ = hand.run(rum_jax.retrain(hand.model, tx, **ONE))
  fresh = hand.fresh.params
  check(params, descend(fresh, hand.gradient(fresh, RETAIN)))


def test_l1_sparse_two_steps(hand, tx):
  params, info = hand.run(rum_jax.l1_sparse(
      hand.model, tx, alpha=0.25, epochs=2, batch_size=8, threshold=0.9))
  want = hand.variables.params
  for fade in (1, 0.5):
    signs = jax.tree.map(np.sign, want)
    want = descend(want, combine(
        (1, hand.gradient(want, RETAIN)), (0.25 * fade, signs)))
  check(params, want)
  small = sum((np.abs(x) < 0.9).sum() for x in want.values())
  assert 0 < small < 6
  np.testing.assert_allclose(info.probes['sparsity'][-1], small / 6, rtol=1e-6)


def test_neggrad(hand, tx):
  params, info = hand.run(rum_jax.neggrad(hand.model, tx, **ONE))
  start = hand.variables.params
  check(params, descend(start, hand.gradient(start, FORGET), -RATE))
  np.testing.assert_allclose(info.loss, [-hand.loss(start, FORGET)], **CLOSE)


def test_neggrad_plus(hand, tx):
  params, info = hand.run(
      rum_jax.neggrad_plus(hand.model, tx, alpha=0.7, **ONE))
  start = hand.variables.params
  check(params, descend(start, combine(
      (0.7, hand.gradient(start, RETAIN)),
      (-0.3, hand.gradient(start, FORGET)))))
  want = 0.7 * hand.loss(start, RETAIN) - 0.3 * hand.loss(start, FORGET)
  np.testing.assert_allclose(info.loss, [want], **CLOSE)


def test_random_label_of_two_classes_is_the_other_one(hand, tx):
  params, _ = hand.run(rum_jax.random_label(hand.model, tx, **ONE))
  check(params, descend(hand.variables.params, relabelled(hand)))


def relabelled(hand):
  """Gradient over all examples, with the forget labels flipped."""
  start = hand.variables.params
  _, label = hand.rows(ALL)
  label[FORGET] = 1 - label[FORGET]
  return hand.pull(ALL, hand.probabilities(start, ALL) - label)


def test_salun_moves_the_four_most_salient_weights_of_six(hand, tx):
  params, info = hand.run(rum_jax.salun(hand.model, tx, density=2 / 3, **ONE))
  start = hand.variables.params
  salience = hand.gradient(start, FORGET)
  # With two classes weights come in pairs of opposite gradients: no ties at 4.
  bar = np.sort(np.abs(flat(salience)))[1:3].mean()
  mask = jax.tree.map(lambda g: np.abs(g) > bar, salience)
  assert flat(mask).sum() == 4 and not mask['w'].all()
  check(params, descend(start, jax.tree.map(
      np.multiply, relabelled(hand), mask)))
  shares = info.probes['density']
  np.testing.assert_allclose(
      [shares['b'], shares['w']], [mask['b'].mean(), mask['w'].mean()])


def test_scrub_objective_of_either_pass(hand):
  start, away = hand.variables, hand.fresh.params
  beta, gamma, heat = 0.3, 0.9, 4.0
  objective = contrast(hand.model, start, beta, gamma, heat)
  for rows, forget in ((FORGET, True), (RETAIN, False)):
    q = hand.probabilities(away, rows, heat)
    p = hand.probabilities(start.params, rows, heat)
    kl = heat**2 * (p * np.log(p / q)).sum(1).mean()
    pull = hand.pull(rows, heat * (q - p))
    want, gradient = -kl, combine((-1, pull))
    if not forget:
      want = gamma * hand.loss(away, rows) + beta * kl
      gradient = combine((gamma, hand.gradient(away, rows)), (beta, pull))
    batch = Batch(trees.take(hand.examples, np.asarray(rows)),
                  np.asarray(rows), np.full(len(rows), forget),
                  np.ones(len(rows)), 0.0, 0)
    (loss, _), found = jax.jit(jax.value_and_grad(objective, has_aux=True))(
        away, {}, batch, jax.random.key(0))
    np.testing.assert_allclose(loss, want, **CLOSE)
    check(found, gradient)


def test_scrub_run_shares_one_momentum_between_all_passes(hand):
  tx = rum_jax.sgd(RATE, momentum=0.9)
  params, info = hand.run(rum_jax.scrub(
      hand.model, tx, beta=0.3, gamma=0.9, temperature=4.0, msteps=2, epochs=3,
      batch_size=8))
  start = now = hand.variables.params
  speed = jax.tree.map(np.zeros_like, start)
  for is_max in (True, False, True, False, False):
    rows = FORGET if is_max else RETAIN
    error = 4 * (hand.probabilities(now, rows, 4)
                 - hand.probabilities(start, rows, 4))
    pull = hand.pull(rows, error)
    gradient = combine((-1, pull)) if is_max else combine(
        (0.9, hand.gradient(now, rows)), (0.3, pull))
    speed = combine((0.9, speed), (1, gradient))
    now = descend(now, speed)
  check(params, now)
  signs = [-1, 1, -1, 1, 1]
  np.testing.assert_array_equal(np.sign(info.loss)[1:], signs[1:])
  assert info.loss[0] == 0  # The student is still the teacher.


def test_bad_teacher(hand, tx):
  params, _ = hand.run(rum_jax.bad_teacher(
      hand.model, tx, temperature=2.0, retain_share=1.0, **ONE))
  start, bad = hand.variables.params, hand.fresh.params
  error = 2 * (hand.probabilities(start, ALL, 2)
               - hand.probabilities(bad, ALL, 2))
  error[RETAIN] = 0  # The good teacher is the student itself.
  check(params, descend(start, hand.pull(ALL, error)))


def test_cf_k_moves_the_bias_alone(hand, tx):
  params, _ = hand.run(rum_jax.cf_k(hand.model, tx, k=1, **ONE))
  start = hand.variables.params
  want = descend(start, hand.gradient(start, RETAIN))
  check(params, {'w': start['w'], 'b': want['b']})


def test_eu_k_starts_the_bias_afresh(hand, tx):
  params, _ = hand.run(rum_jax.eu_k(hand.model, tx, k=1, **ONE))
  start = {'w': hand.variables.params['w'], 'b': hand.fresh.params['b']}
  want = descend(start, hand.gradient(start, RETAIN))
  check(params, {'w': start['w'], 'b': want['b']})


def test_influence(hand):
  params, _ = hand.run(rum_jax.influence(
      hand.model, alpha=2.0, damping=0.1, chunk=2))
  start = hand.variables.params
  g = hand.each(start, RETAIN)
  v = 2 / 5 * (hand.each(start, FORGET).mean(0) - g.mean(0))
  x = np.linalg.solve(0.1 * np.eye(6) + g.T @ g / 3, v)
  np.testing.assert_allclose(
      flat(params), flat(start) + 2 * x, rtol=1e-10)


def test_released_influence(hand):
  """The released recursion, its N + 2 examples and its divisor N."""
  params, info = hand.run(released.influence(
      hand.model, alpha=2.0, num_samples=1))
  start = hand.variables.params
  g = hand.each(start, RETAIN)
  v = k = 2 / 5 * (hand.each(start, FORGET).mean(0) - g.mean(0))
  o = g[0]
  for row in g[1:]:
    k = k - (k @ row) / (1 + o @ row) * o
    o = o - (o @ row) / (1 + o @ row) * o
  np.testing.assert_allclose(flat(params), flat(start) + 2 * k, **CLOSE)
  missing = k + g.T @ (g @ k) / 3 - v
  np.testing.assert_allclose(
      info.probes['residual'], np.linalg.norm(missing) / np.linalg.norm(v))


@pytest.mark.parametrize('dampening', [0.9, 2.0])
def test_ssd(hand, dampening):
  params, info = hand.run(rum_jax.ssd(
      hand.model, alpha=1.1, dampening=dampening, batch_size=2))
  start = hand.variables.params
  every, forget = ((hand.each(start, rows)**2).mean(0)
                   for rows in (ALL, FORGET))
  chosen = forget > 1.1 * every
  assert 0 < chosen.sum() < 6
  want = np.where(
      chosen, flat(start) * np.minimum(dampening * every / forget, 1),
      flat(start))
  np.testing.assert_allclose(flat(params), want, **CLOSE)
  shares = info.probes['dampened']
  np.testing.assert_allclose(
      [shares['b'] * 2, shares['w'] * 4], [chosen[:2].sum(), chosen[2:].sum()])
