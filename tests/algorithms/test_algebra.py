"""Tests that methods coincide where they should and keep bounds and budgets."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import rum_jax
from rum_jax.algorithms import released
from rum_jax.types import Split

TX = rum_jax.sgd(0.5, momentum=0.9, weight_decay=0.01)
STILL = rum_jax.sgd(0.5, momentum=0.0)


def equal(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


def close(a, b):
  jax.tree.map(lambda x, y: np.testing.assert_allclose(
      x, y, rtol=1e-12, atol=1e-14), a, b)


def test_neggrad_plus_without_ascent_is_finetune(hand):
  run = {'epochs': 3, 'batch_size': 8}  # One batch an epoch: no order.
  close(hand.run(rum_jax.neggrad_plus(hand.model, TX, alpha=1.0, **run))[0],
        hand.run(rum_jax.finetune(hand.model, TX, **run))[0])


def test_neggrad_plus_without_descent_is_neggrad(hand):
  run = {'epochs': 3, 'batch_size': 8}
  close(hand.run(rum_jax.neggrad_plus(hand.model, TX, alpha=0.0, **run))[0],
        hand.run(rum_jax.neggrad(hand.model, TX, **run))[0])


def test_salun_of_density_one_is_random_label(hand):
  run = {'epochs': 2, 'batch_size': 2}
  equal(hand.run(rum_jax.salun(hand.model, TX, density=1.0, **run))[0],
        hand.run(rum_jax.random_label(hand.model, TX, **run))[0])


def test_l1_sparse_without_penalty_is_finetune(hand):
  run = {'epochs': 2, 'batch_size': 2}
  close(hand.run(rum_jax.l1_sparse(hand.model, TX, alpha=0.0, **run))[0],
        hand.run(rum_jax.finetune(hand.model, TX, **run))[0])


def test_scrub_of_plain_min_passes_is_finetune(hand):
  run = {'epochs': 3, 'batch_size': 8}
  close(hand.run(rum_jax.scrub(
      hand.model, TX, beta=0.0, gamma=1.0, msteps=0, **run))[0],
        hand.run(rum_jax.finetune(hand.model, TX, **run))[0])


def test_cf_k_and_eu_k_of_all_modules(hand):
  run = {'epochs': 3, 'batch_size': 8}
  close(hand.run(rum_jax.cf_k(hand.model, TX, k=2, **run))[0],
        hand.run(rum_jax.finetune(hand.model, TX, **run))[0])
  close(hand.run(rum_jax.eu_k(hand.model, TX, k=2, **run))[0],
        hand.run(rum_jax.retrain(hand.model, TX, **run))[0])


def test_sequential_of_one_is_that_one(hand):
  one = rum_jax.random_label(hand.model, TX, epochs=2, batch_size=2)
  both = rum_jax.sequential(one)
  equal(hand.run(lambda key, variables, examples, split: both(
      key, variables, examples, (split,)))[0], hand.run(one)[0])


@pytest.mark.parametrize('msteps, epochs, factory, max_passes', [
    (0, 2, rum_jax.scrub, 0), (1, 3, rum_jax.scrub, 1),
    (5, 2, rum_jax.scrub, 2), (1, 3, released.scrub, 2),
    (2, 2, released.scrub, 2)])
def test_scrub_counts_max_passes_from_one(
    hand, msteps, epochs, factory, max_passes):
  _, info = hand.run(factory(
      hand.model, TX, msteps=msteps, epochs=epochs, batch_size=1))
  passes = [[-1] * 2 + [1] * 3] * max_passes + [[1] * 3] * (epochs - max_passes)
  assert len(info.loss) == sum(map(len, passes))
  signs = np.where(np.asarray(info.loss) > 0, 1, -1)  # The first max step is 0.
  np.testing.assert_array_equal(signs, np.concatenate(passes))


def test_scrub_in_steps_is_the_beginning_of_a_longer_run(hand):
  """Cut in a max pass, and in the min passes at the end."""
  run = {'msteps': 2, 'batch_size': 1}
  _, long = hand.run(rum_jax.scrub(hand.model, STILL, epochs=4, **run))
  assert len(long.loss) == 16
  for steps in (6, 14):
    _, short = hand.run(rum_jax.scrub(hand.model, STILL, steps=steps, **run))
    np.testing.assert_allclose(short.loss, long.loss[:steps], rtol=1e-12)


def test_cap_stops_the_ascent(hand):
  run = {'epochs': 30, 'batch_size': 8}
  reached = []
  for cap in (None, 2.0):
    params, info = hand.run(rum_jax.neggrad(hand.model, STILL, cap=cap, **run))
    reached.append(hand.loss(params, hand.split.forget))
  free, capped = reached
  assert free > 10
  assert 2 < capped < free
  assert info.loss.min() == -2  # One step goes over the cap, none after it.
  assert (np.asarray(info.loss) == -2).sum() > 10


def test_a_cap_that_is_reached_leaves_the_other_half_of_neggrad_plus(hand):
  params, _ = hand.run(rum_jax.neggrad_plus(
      hand.model, STILL, alpha=0.5, cap=0.0, epochs=2, batch_size=8))
  half = rum_jax.sgd(0.25, momentum=0.0)
  close(params, hand.run(rum_jax.finetune(
      hand.model, half, epochs=2, batch_size=8))[0])


@pytest.mark.parametrize('factory', [
    rum_jax.bad_teacher, rum_jax.cf_k, rum_jax.eu_k, rum_jax.finetune,
    rum_jax.l1_sparse, rum_jax.neggrad, rum_jax.neggrad_plus,
    rum_jax.random_label, rum_jax.retrain, rum_jax.salun, rum_jax.scrub],
                         ids=lambda factory: factory.__name__)
def test_a_budget_in_steps_is_kept(hand, factory):
  for steps in (0, 1, 7):
    unlearner = factory(hand.model, TX, steps=steps, batch_size=2)
    _, info = jax.eval_shape(unlearner, jax.random.key(0), *hand[1:4])
    assert info.loss.shape == (steps,)


TRACED = {
    'temperature': lambda m, x: rum_jax.bad_teacher(m, TX, temperature=x),
    'influence alpha': lambda m, x: rum_jax.influence(m, alpha=x),
    'damping': lambda m, x: rum_jax.influence(m, damping=x),
    'l1 alpha': lambda m, x: rum_jax.l1_sparse(m, TX, alpha=x, threshold=x),
    'cap': lambda m, x: rum_jax.neggrad(m, TX, cap=x),
    'neggrad_plus': lambda m, x: rum_jax.neggrad_plus(m, TX, alpha=x, cap=x),
    'density': lambda m, x: rum_jax.salun(m, TX, density=x),
    'scrub': lambda m, x: rum_jax.scrub(
        m, TX, beta=x, gamma=x, temperature=x),
    'ssd': lambda m, x: rum_jax.ssd(m, alpha=x, dampening=x),
    'learning rate': lambda m, x: rum_jax.finetune(
        m, rum_jax.sgd(x, momentum=x, weight_decay=x)),
}


@pytest.mark.parametrize('name', TRACED)
def test_real_hyper_parameters_may_be_traced(hand, name):
  jax.eval_shape(lambda value: TRACED[name](hand.model, value)(
      jax.random.key(0), *hand[1:4]), 0.5)


def test_a_traced_hyper_parameter_does_what_its_number_does(hand):
  def run(alpha):
    return rum_jax.neggrad_plus(
        hand.model, TX, alpha=alpha, epochs=2, batch_size=2)(
            jax.random.key(0), *hand[1:4])[0].params

  mapped = jax.jit(jax.vmap(run))(np.asarray([0.6, 0.9]))
  close(jax.tree.map(lambda x: x[1], mapped), jax.jit(lambda: run(0.9))())


def test_nothing_to_forget_is_no_division_by_zero(hand):
  empty = Split(hand.split.forget[:0], hand.split.retain)
  for unlearner in (
      rum_jax.random_label(hand.model, TX, epochs=1, batch_size=2),
      rum_jax.bad_teacher(hand.model, TX, epochs=1, batch_size=2),
      rum_jax.salun(hand.model, TX, epochs=1, batch_size=2)):
    found, _ = jax.jit(unlearner)(
        jax.random.key(0), hand.variables, hand.examples, empty)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(found))
