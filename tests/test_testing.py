"""The conformance kit accepts right unlearners and names broken rules."""

from __future__ import annotations

import ast
import pathlib

import jax
import jax.numpy as jnp
import pytest

import rum_jax
from rum_jax import testing
from rum_jax.types import Variables

FINE = rum_jax.Info(jnp.zeros((0,)), {})


def shifted(variables, amount):
  return Variables(jax.tree.map(
      lambda x: x + amount, variables.params), variables.stats)


def mean_of(image):
  return image.astype(float).mean() / 255


def right(key, variables, examples, split):
  """Moves every parameter by a number of the key and of the split's images."""
  amount = jax.random.normal(key, dtype=mean_of(examples.image).dtype)
  return shifted(variables, amount * mean_of(
      jnp.asarray(examples.image)[split.forget])), FINE


def other_names(key, params, examples, split):
  return params, FINE


def one_more(key, variables, examples, split, epochs):
  return variables, FINE


def only_variables(key, variables, examples, split):
  return variables


def other_dtype(key, variables, examples, split):
  half = jax.tree.map(lambda x: x.astype(jnp.float16), variables.params)
  return Variables(half, variables.stats), FINE


def other_shape(key, variables, examples, split):
  return jax.tree.map(lambda x: x[None], variables), FINE


def lost_stats(key, variables, examples, split):
  return Variables(variables.params, {'gone': jnp.zeros(1)}), FINE


def not_traceable(key, variables, examples, split):
  first = jax.tree.leaves(variables.params)[0]
  return shifted(variables, float(first.sum())), FINE


def not_a_number(key, variables, examples, split):
  return shifted(variables, jnp.nan), FINE


def peeps(key, variables, examples, split):
  return shifted(variables, mean_of(examples.image)), FINE


def single_precision(key, variables, examples, split):
  return jax.tree.map(lambda x: x.astype(jnp.float32), variables), FINE


def knows_jit(key, variables, examples, split):
  traced = isinstance(variables.params['Dense_0']['bias'], jax.core.Tracer)
  return shifted(variables, 1e-6 * traced), FINE


def mixes_seeds(key, variables, examples, split):
  """Under vmap it adds the number of seeds."""

  @jax.custom_batching.custom_vmap
  def one(x):
    return x

  @one.def_vmap
  def many(size, batched, x):
    return x + size, batched[0]

  params = jax.tree.map(one, variables.params)
  return Variables(params, variables.stats), FINE


BROKEN = {
    other_names: 'in this order. It takes key, params, examples, split.',
    one_more: 'in this order. It also needs epochs.',
    only_variables: r'returns `\(variables, info\)`',
    other_dtype: r'Expected float32\[5\] at .*bias.*, found float16\[5\].',
    other_shape: r'Expected float32\[5\] at .*bias.*, found float32\[1, 5\].',
    lost_stats: 'Expected the tree .*, found .*gone',
    not_traceable: (
        r'it raised ConcretizationTypeError while this rule was tried: .* of '
        'variables changes. Abstract tracer value'),
    not_a_number: 'It returns finite numbers',
    peeps: 'Its result does not depend on .* its split. .* is off by',
    single_precision: 'It compiles once, also .* returned. It was traced 2',
    knows_jit: 'It gives the same result with and without .* off by 1e-06',
    mixes_seeds: '`jax.vmap` over seeds .* off by 2',
}


def always(unlearner):
  return lambda model, tx: unlearner


def test_what_is_right_passes():
  testing.check_unlearner(always(right))


@pytest.mark.parametrize('unlearner', BROKEN, ids=lambda x: x.__name__)
def test_what_is_broken_is_named(unlearner):
  text = BROKEN[unlearner].replace('It compiles', '.*it compiles')
  with pytest.raises(AssertionError, match=text) as caught:
    testing.check_unlearner(always(unlearner))
  assert str(caught.value).startswith(
      ('On an MLP this rule is broken: ', 'On an MLP it raised '))


def test_a_result_that_is_not_the_key_s_own_is_named():
  noise = iter(range(10**6))

  def drifts(key, variables, examples, split):
    extra = jax.pure_callback(
        lambda: jnp.asarray(1e-3 * next(noise)),
        jax.ShapeDtypeStruct((), jnp.zeros(()).dtype))
    return shifted(variables, extra), FINE

  with pytest.raises(AssertionError, match='same result, bit for bit.*off by'):
    testing.check_unlearner(always(drifts))


def with_epochs(model, tx, epochs=1):
  """A method that steps before it looks at its budget."""
  return lambda key, variables, examples, split: (
      shifted(variables, 1.0 + epochs), FINE)


def test_no_epochs_means_no_change_unless_it_starts_from_scratch():
  with pytest.raises(AssertionError, match='With `epochs=0` it changes nothin'):
    testing.check_unlearner(with_epochs)
  testing.check_unlearner(with_epochs, from_scratch=True)


def test_the_network_is_named_too():
  def needs_no_batch_norm(key, variables, examples, split):
    return Variables(variables.params, {}), FINE

  with pytest.raises(AssertionError, match='On a CNN with batch-norm'):
    testing.check_unlearner(always(needs_no_batch_norm))


def test_a_factory_that_cannot_be_called_is_refused():
  with pytest.raises(TypeError, match='factory to be callable, found 3'):
    testing.check_unlearner(3)


def test_users_need_no_test_framework():
  tree = ast.parse(pathlib.Path(testing.__file__).read_text())
  modules = {alias.name for node in ast.walk(tree)
             if isinstance(node, ast.Import) for alias in node.names}
  modules |= {node.module for node in ast.walk(tree)
              if isinstance(node, ast.ImportFrom)
              and node.module.partition('.')[0] != 'rum_jax'}
  assert modules <= {'__future__', 'collections.abc', 'inspect', 'jax',
                     'jax.numpy', 'numpy', 'optax', 'typing'}
