"""The order of modules is that of the forward pass, not of their names."""

from __future__ import annotations

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rum_jax
from rum_jax import models, subspaces
from rum_jax.types import Images, Model, Outputs, Split, Variables

SPLIT = Split(np.arange(7, dtype=np.int32), np.arange(7, 20, dtype=np.int32))


def order_of(module, shape=(8, 8, 1)):
  model = models.from_linen(module, shape)
  variables = jax.eval_shape(model.init, jax.random.key(0))
  zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), variables)
  return subspaces.forward_order(
      model, zeros, Images(jnp.zeros((1, *shape), jnp.uint8), None))


def test_twelve_layers_are_not_in_the_order_of_the_alphabet():
  order = order_of(models.MLP(3, (2,) * 11))
  assert order == tuple(f'Dense_{i}' for i in range(12))
  assert list(order) != sorted(order)


def test_batch_norm_comes_after_its_convolution():
  assert order_of(models.SmallCNN(3, (2, 2))) == (
      'Conv_0', 'BatchNorm_0', 'Conv_1', 'BatchNorm_1', 'Dense_0')


class Branches(nn.Module):
  """Modules named against their order, one of them used twice."""

  @nn.compact
  def __call__(self, x, *, train, mask):
    shared = nn.Dense(4, name='m')
    x = x.reshape(len(x), -1)
    x = nn.Dense(4, name='z')(x) + nn.Dense(4, name='y')(x)
    x = shared(shared(x))
    return Outputs(nn.Dense(2, name='a')(x), x)


def test_names_do_not_matter():
  assert order_of(Branches(), (1, 1, 2)) == ('z', 'y', 'm', 'a')


@pytest.mark.parametrize('wrap', [
    jax.jit, jax.checkpoint,
    lambda f: lambda params, x: f(jax.tree.map(
        lambda p: p.astype(jnp.bfloat16).T.T, params), x),
    lambda f: lambda params, x: jax.jit(f)(jax.jit(lambda p: jax.tree.map(
        lambda v: 2 * v, p))(params), x)],
                         ids=['jit', 'checkpoint', 'cast first', 'jit twice'])
def test_the_order_is_seen_through(wrap):
  @wrap
  def logits(params, x):
    return (x @ params['z'] @ params['m'] + params['c']) @ params['a']

  params = {name: jnp.ones((2, 2)) for name in 'azmc'} | {'unused': jnp.ones(1)}
  model = Model(None, lambda variables, images, *, train, mask=None: (
      Outputs(logits(variables.params, images), None), {}), None)
  order = subspaces.forward_order(
      model, Variables(params, {}), jnp.ones((1, 2)))
  assert order == ('unused', 'z', 'm', 'c', 'a')


def test_parameters_that_are_no_dict_are_refused():
  model = Model(None, None, None)
  with pytest.raises(TypeError, match='dict of modules, found list'):
    subspaces.forward_order(
        model, Variables([jnp.ones(2)], {}), jnp.ones((1, 2)))


@pytest.mark.parametrize('factory', [rum_jax.cf_k, rum_jax.eu_k])
def test_all_but_the_last_k_stay_bit_identical(toy, cnn, factory):
  """Parameters, and batch-norm's moments too."""
  model, variables = cnn
  tx = rum_jax.sgd(0.1, momentum=0.9, weight_decay=0.1)
  found, _ = jax.jit(factory(model, tx, k=2, epochs=2, batch_size=5))(
      jax.random.key(0), variables, toy, SPLIT)
  last = ('BatchNorm_0', 'Dense_0')
  for old, new in zip(variables, found):
    for name in old:
      same = [np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in
              zip(jax.tree.leaves(old[name]), jax.tree.leaves(new[name]))]
      assert not any(same) if name in last else all(same), name
  held, _ = jax.jit(factory(model, tx, k=1, epochs=2, batch_size=5))(
      jax.random.key(0), variables, toy, SPLIT)
  jax.tree.map(np.testing.assert_array_equal, held.stats, variables.stats)


def test_eu_k_forgets_what_the_last_layer_was(toy, cnn):
  model, variables = cnn
  tx = rum_jax.sgd(0.1)
  run = jax.jit(rum_jax.eu_k(model, tx, k=1, epochs=1, batch_size=20))
  other = variables._replace(params={
      **variables.params,
      'Dense_0': jax.tree.map(jnp.zeros_like, variables.params['Dense_0'])})
  found = [run(jax.random.key(0), v, toy, SPLIT)[0] for v in (variables, other)]
  jax.tree.map(np.testing.assert_array_equal, *found)


def test_what_is_held_gets_no_gradient(toy, cnn):
  model, variables = cnn
  outputs = jax.jit(jax.grad(lambda params, names: subspaces.held(
      model, names).apply(Variables(params, variables.stats), toy,
                          train=True)[0].prediction.sum()), static_argnums=1)
  gradient = outputs(variables.params, ('Dense_0', 'BatchNorm_0'))
  largest = {name: max(float(jnp.abs(x).max()) for x in jax.tree.leaves(g))
             for name, g in gradient.items()}
  assert largest['Conv_0'] == 0
  assert min(largest['Dense_0'], largest['BatchNorm_0']) > 0


def test_nothing_is_computed_backward_below_the_last_layer(toy):
  """Two thirds of a step are backward; only the forward third is left."""
  model = models.from_linen(models.MLP(3, (64,) * 10), (8, 8, 1))
  variables = model.init(jax.random.key(0))

  def flops(factory, **more):
    run = factory(model, rum_jax.sgd(0.1), steps=1, batch_size=64, **more)
    lowered = jax.jit(run).lower(jax.random.key(0), variables, toy, SPLIT)
    return lowered.compile().cost_analysis()['flops']

  assert flops(rum_jax.cf_k, k=1) < 0.5 * flops(rum_jax.finetune)


@pytest.mark.parametrize('factory', [
    lambda model, tx: rum_jax.salun(model, tx, epochs=2, batch_size=5),
    lambda model, tx: rum_jax.scrub(model, tx, epochs=2, batch_size=5),
    lambda model, tx: rum_jax.ssd(model, alpha=1.01),
    lambda model, tx: rum_jax.influence(model, num_samples=6)],
                         ids=['salun', 'scrub', 'ssd', 'influence'])
def test_any_unlearner_acts_within_the_last_layers(toy, cnn, factory):
  model, variables = cnn
  tx = rum_jax.sgd(0.1, momentum=0.9, weight_decay=0.1)
  unlearner = subspaces.within(subspaces.last_layers(1), factory, model, tx)
  found, _ = jax.jit(unlearner)(jax.random.key(0), variables, toy, SPLIT)
  for name, before in variables.params.items():
    same = [np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in zip(
        jax.tree.leaves(before), jax.tree.leaves(found.params[name]))]
    assert not all(same) if name == 'Dense_0' else all(same), name
  jax.tree.map(np.testing.assert_array_equal, found.stats, variables.stats)


def test_all_layers_are_the_whole_network(toy, cnn):
  model, variables = cnn
  build = lambda model, tx: rum_jax.finetune(model, tx, epochs=1, batch_size=5)
  tx, run = rum_jax.sgd(0.1), (jax.random.key(0), variables, toy, SPLIT)
  whole = subspaces.within(subspaces.last_layers(3), build, model, tx)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(
      a, b, rtol=1e-5, atol=1e-6), jax.jit(whole)(*run)[0],
               jax.jit(build(model, tx))(*run)[0])
