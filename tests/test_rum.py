"""RUM is a fold: order, keys, splits and infos of its stages."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
import pytest

import rum_jax
from rum_jax import objectives, optimizers, plans, training
from rum_jax.types import Info, Split, Variables


def appending(digit: int):
  """An unlearner that writes a digit and reports what it was given."""

  def unlearn(key, variables, dataset, split):
    del dataset
    params = 10 * variables.params + digit
    return Variables(params, variables.stats), Info(key, split)

  return unlearn


def call(unlearner, splits):
  return unlearner(
      jax.random.key(5), Variables(jnp.zeros((), int), {}), None, splits)


def test_stages_run_in_order_each_with_its_split():
  unlearner = rum_jax.sequential(appending(1), appending(2), appending(3))
  splits = ['low', 'medium', 'high']
  variables, infos = call(unlearner, splits)
  assert variables.params == 123
  assert [info.probes for info in infos] == splits
  keys = [jax.random.key_data(info.loss).tolist() for info in infos]
  assert keys[0] == jax.random.key_data(jax.random.key(5)).tolist()
  assert len({tuple(key) for key in keys}) == 3


def test_one_unlearner_alone_is_itself(linear, toy):
  model, _ = linear
  variables = Variables({'w': jnp.zeros((64, 3)), 'b': jnp.zeros(3)}, {})
  unlearner = training.descent(
      objectives.supervised(model), optimizers.sgd(0.1), plans.over_both(8),
      epochs=1)
  split = Split(jnp.arange(5), jnp.arange(5, 20))
  key = jax.random.key(0)
  want = jax.jit(unlearner)(key, variables, toy, split)
  got, infos = jax.jit(rum_jax.sequential(unlearner))(
      key, variables, toy, [split])
  chex.assert_trees_all_equal((got, infos), (want[0], (want[1],)))


def test_stages_start_where_the_last_one_ended():
  def unlearner(key, variables, dataset, split):
    del dataset
    noise = jax.random.normal(key, (3,))
    params = jnp.tanh(variables.params + split * noise)
    return Variables(params, {'last': variables.params}), Info(noise, split)

  start, key = Variables(jnp.arange(3.0), {}), jax.random.key(0)
  got, infos = rum_jax.sequential(unlearner, unlearner)(
      key, start, None, [2.0, 5.0])
  middle, first = unlearner(key, start, None, 2.0)
  end, second = unlearner(jax.random.fold_in(key, 1), middle, None, 5.0)
  chex.assert_trees_all_equal((got, infos), (end, (first, second)))


def test_a_fold_is_an_unlearner_so_it_folds():
  inner = rum_jax.sequential(appending(1), appending(2))
  variables, infos = call(
      rum_jax.sequential(appending(7), inner), ['a', ('b', 'c')])
  assert variables.params == 712
  assert infos[0].probes == 'a'
  assert [info.probes for info in infos[1]] == ['b', 'c']


@pytest.mark.parametrize('splits', [[], ['a'], ['a', 'b', 'c']])
def test_a_number_of_splits_that_differs_is_named(splits):
  with pytest.raises(ValueError, match=f'Expected 2 .* found {len(splits)}'):
    call(rum_jax.sequential(appending(1), appending(2)), splits)


def test_what_is_no_unlearner_is_refused():
  with pytest.raises(ValueError, match='at least one unlearner, found none'):
    rum_jax.sequential()
  with pytest.raises(TypeError, match=r'unlearners\[1\] .* found .scrub.'):
    rum_jax.sequential(appending(1), 'scrub')


@pytest.mark.parametrize('result', [
    Variables(jnp.zeros(()), {}), {'w': 1}, ({'w': 1}, None), None])
def test_an_unlearner_that_returns_something_else_is_named(result):
  unlearner = rum_jax.sequential(appending(1), lambda *args: result)
  with pytest.raises(TypeError, match=r'unlearners\[1\] to return \(varia'):
    call(unlearner, ['low', 'high'])
