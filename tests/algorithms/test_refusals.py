"""Factories refuse wrong arguments before tracing, by name and value."""

from __future__ import annotations

import functools

import jax
import pytest

import rum_jax
from rum_jax import models
from rum_jax.algorithms import released

TX = rum_jax.sgd(0.1)
REFUSED = [
    (rum_jax.bad_teacher, 'temperature', 0.0),
    (rum_jax.bad_teacher, 'temperature', float('nan')),
    (rum_jax.bad_teacher, 'retain_share', 1.5),
    (rum_jax.cf_k, 'k', 0),
    (rum_jax.cf_k, 'k', 1.5),
    (rum_jax.eu_k, 'k', -1),
    (rum_jax.l1_sparse, 'alpha', -0.1),
    (rum_jax.l1_sparse, 'threshold', -1.0),
    (rum_jax.neggrad, 'cap', -0.5),
    (rum_jax.neggrad_plus, 'alpha', 1.3),
    (rum_jax.neggrad_plus, 'alpha', float('nan')),
    (rum_jax.neggrad_plus, 'cap', -2.0),
    (rum_jax.salun, 'density', -0.2),
    (rum_jax.salun, 'density', 1.01),
    (rum_jax.scrub, 'beta', -1.0),
    (rum_jax.scrub, 'gamma', -1.0),
    (rum_jax.scrub, 'temperature', 0.0),
    (rum_jax.scrub, 'msteps', -1),
    (rum_jax.scrub, 'msteps', 2.5),
]
CLOSED_FORM = [
    (rum_jax.influence, 'alpha', -1.0),
    (rum_jax.influence, 'damping', 0.0),
    (rum_jax.influence, 'damping', -1.0),
    (rum_jax.influence, 'num_samples', 0),
    (rum_jax.influence, 'chunk', 0),
    (rum_jax.influence, 'batch_size', 0.5),
    (rum_jax.ssd, 'alpha', 0.0),
    (rum_jax.ssd, 'dampening', -1.0),
    (rum_jax.ssd, 'batch_size', 0),
]
RUNS = [
    rum_jax.bad_teacher, rum_jax.cf_k, rum_jax.eu_k, rum_jax.finetune,
    rum_jax.l1_sparse, rum_jax.neggrad, rum_jax.neggrad_plus,
    rum_jax.random_label, rum_jax.retrain, rum_jax.salun, rum_jax.scrub]


def check(name, value, make):
  with pytest.raises(ValueError, match=name) as caught:
    make()
  assert str(value) in str(caught.value)


@pytest.mark.parametrize('factory, name, value', REFUSED)
def test_hyper_parameter(linear, factory, name, value):
  check(name, value, lambda: factory(linear[0], TX, **{name: value}))


@pytest.mark.parametrize('factory, name, value', CLOSED_FORM)
def test_hyper_parameter_of_a_closed_form(linear, factory, name, value):
  check(name, value, lambda: factory(linear[0], **{name: value}))


@pytest.mark.parametrize('factory', RUNS, ids=lambda x: x.__name__)
def test_budget(linear, factory):
  for budget in ({'epochs': -1}, {'epochs': 1.5}, {'steps': -2},
                 {'steps': 0.5}, {'batch_size': 0}, {'batch_size': True}):
    make = functools.partial(factory, linear[0], TX, **budget)
    check(*budget.popitem(), make)


@pytest.mark.parametrize('factory', RUNS, ids=lambda x: x.__name__)
def test_pieces(linear, factory):
  with pytest.raises(TypeError, match=(
      'model to be a rum_jax.Model .*from_linen.*, found MLP')):
    factory(models.MLP(2), TX)
  for tx in (0.1, None):
    with pytest.raises(TypeError, match=f'tx to be an optax .*, found {tx}'):
      factory(linear[0], tx)


@pytest.mark.parametrize('factory', [rum_jax.influence, rum_jax.ssd])
def test_model_of_a_closed_form(factory):
  with pytest.raises(TypeError, match='model to be a rum_jax.Model .*MLP'):
    factory(models.MLP(2))


@pytest.mark.parametrize('factory', [
    *(x for x in RUNS if x is not rum_jax.retrain),
    rum_jax.influence, rum_jax.ssd], ids=lambda x: x.__name__)
def test_what_a_run_starts_from(hand, factory):
  unlearn = factory(hand.model, *([TX] if factory in RUNS else []))
  given, key = list(hand[1:4]), jax.random.key(0)
  for i, name in enumerate(('variables', 'examples', 'split')):
    bad = [*given[:i], None, *given[i + 1:]]
    kind = 'an array' if name == 'examples' else 'a rum_jax'
    with pytest.raises(TypeError, match=f'{name} to be {kind}.*found None'):
      unlearn(key, *bad)


def test_released_penalty_has_no_budget_in_steps(linear):
  with pytest.raises(TypeError, match='steps'):
    released.l1_sparse(linear[0], TX, steps=7)


@pytest.mark.parametrize('factory, name, value', [
    (getattr(released, factory.__name__), name, value)
    for factory, name, value in REFUSED if factory in (
        rum_jax.bad_teacher, rum_jax.l1_sparse, rum_jax.neggrad_plus,
        rum_jax.salun, rum_jax.scrub)])
def test_hyper_parameter_of_a_released_variant(linear, factory, name, value):
  check(name, value, lambda: factory(linear[0], TX, **{name: value}))


@pytest.mark.parametrize('factory, name, value', [
    (getattr(released, factory.__name__), name, value)
    for factory, name, value in CLOSED_FORM if name != 'damping'])
def test_hyper_parameter_of_a_released_closed_form(
    linear, factory, name, value):
  check(name, value, lambda: factory(linear[0], **{name: value}))


@pytest.mark.parametrize('factory', [rum_jax.cf_k, rum_jax.eu_k])
def test_more_layers_than_there_are(hand, factory):
  with pytest.raises(ValueError, match='k=3 to be at most 2.*: w, b'):
    factory(hand.model, TX, k=3)(jax.random.key(0), *hand[1:4])
