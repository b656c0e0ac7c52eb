"""Where the default differs on purpose from the released code, and by what.

A test for each line of the table of differences, but for SCRUB's max passes and
the labels, which test_algebra.py and test_labels.py count; goldens and steps by
hand show that either form is what it says.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rum_jax
from rum_jax import objectives, plans
from rum_jax.algorithms import released
from rum_jax.algorithms._l1_sparse import penalised
from rum_jax.algorithms._ssd import importance
from rum_jax.types import Batch

TX = rum_jax.sgd(0.1, momentum=0.9, weight_decay=0.1)
RUN = {'epochs': 3, 'batch_size': 2}
VARIANTS = {
    'l1_sparse': lambda a, m: a.l1_sparse(m, TX, alpha=0.1, **RUN),
    'neggrad_plus': lambda a, m: a.neggrad_plus(m, TX, epochs=3, batch_size=1),
    'salun': lambda a, m: a.salun(m, TX, **RUN),
    'ssd': lambda a, m: a.ssd(m, alpha=1.01, batch_size=5),
}


@pytest.mark.parametrize('name', VARIANTS)
def test_variant_gives_another_result(hand, name):
  """Of a whole run; of other methods the tests below see that."""
  default, other = (hand.run(VARIANTS[name](where, hand.model))[0]
                    for where in (rum_jax, released))
  off = jax.tree.map(lambda a, b: np.abs(a - b).max(), default, other)
  assert max(jax.tree.leaves(off)) > 1e-4


def test_released_penalty_falls_once_an_epoch(hand):
  plain = objectives.supervised(hand.model)
  start = hand.variables.params
  norm, alpha = optax.tree.norm(start, 1), 0.1

  def penalty(step, **more):
    """At a step of a run of 2 epochs of 2 steps."""
    batch = Batch(hand.examples, np.arange(5),
                  np.zeros(5, bool), np.ones(5), step / 4, step // 2)
    with_it, without = (
        objective(start, {}, batch, None)[0]
        for objective in (penalised(plain, alpha, **more), plain))
    return (with_it - without) / (alpha * norm)

  np.testing.assert_allclose(
      [penalty(step) for step in range(4)], [1, 0.75, 0.5, 0.25])
  by_epoch = {'done': lambda batch: batch.epoch / 2}
  np.testing.assert_allclose(
      [penalty(step, **by_epoch) for step in range(4)], [1, 1, 0.5, 0.5])


def test_released_neggrad_plus_repeats_a_round_of_forget_batches(hand):
  split = rum_jax.Split(jnp.arange(4), jnp.arange(4, 24))

  def rounds(fresh):
    draw = plans.pair(plans.over_retain(1), plans.over_forget(1), fresh=fresh)
    return jax.jit(draw)(jax.random.key(0), split).index[:, 1].reshape(5, 4)

  np.testing.assert_array_equal(np.sort(rounds(True)), [[0, 1, 2, 3]] * 5)
  np.testing.assert_array_equal(np.sort(rounds(False)), [[0, 1, 2, 3]] * 5)
  assert (rounds(False) == rounds(False)[0]).all()
  assert (rounds(True) != rounds(True)[0]).any()


def test_released_salun_climbs_while_it_looks(hand):
  """Two steps of a batch of one: the second gradient is taken further up."""
  key = jax.random.key(5)
  found = released.forget_gradient(
      key, hand.model, *hand[1:4], rum_jax.sgd(0.5, momentum=0.0), 1)
  first, second = plans.over_forget(1)(key, hand.split).index[:, 0]
  start = hand.variables.params
  one = hand.gradient(start, [int(first)])
  moved = jax.tree.map(lambda p, g: p + 0.5 * g, start, one)
  two = hand.gradient(moved, [int(second)])
  jax.tree.map(lambda f, a, b: np.testing.assert_allclose(f, -a - b), found,
               one, two)


def test_released_salun_lets_weight_decay_move_masked_weights(hand):
  params, _ = hand.run(released.salun(
      hand.model, TX, density=0.0, **RUN))
  start = hand.variables.params
  assert all((a != b).all() for a, b in zip(
      jax.tree.leaves(params), jax.tree.leaves(start)))


def test_released_bad_teacher_divides_by_classes_and_temperature(hand):
  run = {'epochs': 1, 'batch_size': 8, 'temperature': 3.0}
  default, other = (
      hand.run(where.bad_teacher(hand.model, TX, **run))[1].loss
      for where in (rum_jax, released))
  np.testing.assert_allclose(default, other * 2 * 3**2)


def test_released_ssd_squares_what_has_cancelled(hand):
  """Two opposite gradients: none in their mean, and twice as much squared."""
  image = np.tile(hand.examples.image[:1], (2, 1, 1, 1))
  examples = rum_jax.Images(image, np.asarray([0, 1], np.int32))
  params = jax.tree.map(np.zeros_like, hand.variables.params)
  args = (hand.model, rum_jax.Variables(params, {}), examples, np.arange(2), 2)
  default, other = importance(*args), released.importance(*args)
  np.testing.assert_allclose(other['b'], [0, 0])
  np.testing.assert_allclose(default['b'], [0.25, 0.25])


def test_released_influence_solves_nothing(hand):
  """Its residual is far from 0 where curvature counts; the default's is not."""
  steep = jax.tree.map(lambda x: 0.1 * x, hand.variables.params)
  far = hand._replace(variables=rum_jax.Variables(steep, {}))
  default, other = (
      far.run(where.influence(hand.model, num_samples=3))[1].probes['residual']
      for where in (rum_jax, released))
  assert default < 1e-12
  assert other > 0.01
