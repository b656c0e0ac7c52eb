"""Adapters: where they start, what a step does, what memory they need."""

from __future__ import annotations

import functools

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rum_jax
from rum_jax import batch_norm, models, subspaces, testing
from rum_jax.types import Images, Outputs, Split, Variables

# Double precision, through a few steps.
CLOSE = {'rtol': 1e-10, 'atol': 1e-12}
SPLIT = Split(np.arange(7, dtype=np.int32), np.arange(7, 20, dtype=np.int32))
PLAIN = rum_jax.sgd(0.1, momentum=0.0)


def tuned(steps):
  return lambda model, tx: rum_jax.finetune(
      model, tx, steps=steps, batch_size=20)


def inside(key, model, variables, rank, **more):
  """The part that an unlearner would be run with."""
  return subspaces.low_rank(rank, **more)(key, model, PLAIN, variables, None)


@pytest.mark.parametrize('kind', ['cnn', 'linear'])
def test_no_step_is_the_identity(toy, kind, request):
  model, variables = request.getfixturevalue(kind)
  data = toy if kind == 'cnn' else Images(toy.image[:, :2, :1], toy.label % 2)
  unlearn = subspaces.within(subspaces.low_rank(2), tuned(0), model, PLAIN)
  found, _ = jax.jit(unlearn)(jax.random.key(0), variables, data, SPLIT)
  chex.assert_trees_all_equal(found, variables)


def test_at_full_rank_the_first_step_is_that_of_all_weights(float64):
  """`A` is orthogonal, so that `A Aᵀ` is the identity."""
  model, _, (key, variables, data, split) = testing.example()
  variables = jax.tree.map(lambda x: x.astype(float), variables)
  kernels = lambda v: {n: x['kernel'] for n, x in v.params.items()}
  scale = lambda rank: {'adapted': lambda path: path.endswith('kernel'),
                        'alpha': rank}
  run = lambda unlearn: jax.jit(unlearn)(key, variables, data, split)[0]
  whole = run(tuned(1)(model, PLAIN))
  full = run(subspaces.within(
      subspaces.low_rank(4, **scale(4)), tuned(1), model, PLAIN))
  chex.assert_trees_all_close(kernels(full), kernels(whole), **CLOSE)
  some = run(subspaces.within(
      subspaces.low_rank(2, **scale(4)), tuned(1), model, PLAIN))
  for name, old in kernels(variables).items():
    left = inside(key, model, variables, 2).variables.params[
        f'{name}/kernel']['A']
    step = kernels(whole)[name] - old  # alpha / rank = 2 counts twice.
    np.testing.assert_allclose(
        kernels(some)[name] - old, 4 * left @ left.T @ step, **CLOSE)


def test_merged_by_hand(float64, cnn, toy):
  """A convolution's kernel is a matrix too; what is not adapted stays."""
  model, variables = cnn
  part = inside(jax.random.key(3), model, variables, 2, alpha=6)
  noise = np.random.default_rng(0)
  moved = part.variables._replace(params=jax.tree.map(
      lambda x: noise.normal(size=x.shape), part.variables.params))
  whole = part.whole(moved)
  for name in ('Conv_0', 'Dense_0'):
    old = variables.params[name]['kernel']
    a, b = (moved.params[f'{name}/kernel'][x] for x in 'AB')
    np.testing.assert_allclose(
        whole.params[name]['kernel'],
        old + (3 * a @ b).reshape(old.shape), **CLOSE)
  assert set(moved.params) == {'Conv_0/kernel', 'Dense_0/kernel'}
  chex.assert_trees_all_equal(
      whole.params['BatchNorm_0'], variables.params['BatchNorm_0'])
  some = jax.tree.map(lambda x: x[:5], toy)
  for train in (False, True):
    got, want = (jax.jit(functools.partial(network.apply, train=train))(
        v, some) for network, v in ((part.model, moved), (model, whole)))
    chex.assert_trees_all_close(got, want, **CLOSE)


def test_gradients_are_those_of_the_sum(float64, toy):
  """Of a transformer, whose layers are multiplied and not added up."""
  model = models.from_linen(models.ViT(3, 4, 8, 1, 2, 8), (8, 8, 1))
  variables = jax.tree.map(lambda x: x.astype(float),
                           model.init(jax.random.key(0)))
  part = inside(jax.random.key(1), model, variables, 3)
  some = jax.tree.map(jnp.asarray, toy)

  def loss(params, network, whole):
    outputs, _ = network.apply(
        whole(part.variables._replace(params=params)), some, train=True)
    return network.task.loss(outputs, some).mean()

  params = jax.tree.map(lambda x: x + 0.1, part.variables.params)
  traced = [jax.jit(jax.grad(lambda params, how=how: loss(params, *how))).trace(
      params) for how in ((part.model, lambda x: x), (model, part.whole))]
  multiplied, added_up = (x.lower().compile()(params) for x in traced)
  chex.assert_trees_all_close(multiplied, added_up, **CLOSE)
  # The kernel itself alone has its shape, neither a sum nor a gradient.
  counts = [str(x.jaxpr).count('f64[8,24]') for x in traced]
  assert counts[0] == 1 < counts[1]


def test_seeds_are_a_loop(float64, cnn, toy):
  model, variables = cnn
  unlearn = subspaces.within(
      subspaces.low_rank(2), tuned(2), model, rum_jax.sgd(0.05))
  keys = jax.random.split(jax.random.key(0), 2)
  both = jax.tree.map(lambda x: jnp.stack([x, 1.5 * x]), variables)
  mapped, _ = jax.jit(jax.vmap(unlearn, in_axes=(0, 0, None, None)))(
      keys, both, toy, SPLIT)
  run = jax.jit(unlearn)
  for i in range(2):
    one = jax.tree.map(lambda x, i=i: x[i], both)
    alone, _ = run(keys[i], one, toy, SPLIT)
    chex.assert_trees_all_close(
        jax.tree.map(lambda x, i=i: x[i], mapped), alone, **CLOSE)
    assert (alone.stats['BatchNorm_0']['mean']
            != one.stats['BatchNorm_0']['mean']).all()
    chex.assert_trees_all_equal(  # Neither moved nor decayed.
        alone.params['BatchNorm_0'], one.params['BatchNorm_0'])


def test_stages_share_the_adapters():
  """So that their changes together have the rank of one."""
  model, tx, (key, variables, data, split) = testing.example()
  both = subspaces.within(
      subspaces.low_rank(1), lambda model, tx: rum_jax.sequential(
          tuned(2)(model, tx), tuned(3)(model, tx)), model, tx)
  found, infos = jax.jit(both)(key, variables, data, (split, split))
  assert [len(x.loss) for x in infos] == [2, 3]
  for name, old in variables.params.items():
    change = found.params[name]['kernel'] - old['kernel']
    assert jnp.linalg.matrix_rank(change, rtol=1e-3) == 1


def test_frozen_batch_norm_keeps_its_moments(cnn, toy):
  model, variables = cnn
  unlearn = subspaces.within(
      subspaces.low_rank(2), lambda model, tx: rum_jax.neggrad(
          batch_norm.frozen(model), tx, epochs=1), model, PLAIN)
  found, _ = jax.jit(unlearn)(jax.random.key(0), variables, toy, SPLIT)
  chex.assert_trees_all_equal(found.stats, variables.stats)


def test_a_bad_teacher_is_a_network_of_its_own(float64, linear):
  """Drawn anew by the network, without the given weights or adapters."""
  model, variables = linear
  other = Variables(jax.tree.map(lambda x: x - 0.7, variables.params), {})
  drawn = model._replace(init=lambda key: other)
  part = inside(jax.random.key(0), drawn, variables, 1)
  data = Images(np.arange(8, dtype=np.uint8).reshape(4, 2, 1, 1), np.zeros(4))
  want, _ = model.apply(other, data, train=False)
  got, _ = part.model.apply(part.model.init(None), data, train=False)
  chex.assert_trees_all_equal(got, want)
  again = part.model.init_from_data(other, data, np.arange(4))
  chex.assert_trees_all_equal(part.whole(again), variables)


class Wide(nn.Module):
  """Six layers of 2⁸ × 2⁸ weights: each is a seventh of all memory."""

  @nn.compact
  def __call__(self, x, *, train, mask):
    x = nn.Dense(256)(x.reshape(len(x), -1))
    for _ in range(6):
      x = jax.nn.relu(nn.Dense(256)(x))
    return Outputs(nn.Dense(3)(x), x)


def test_there_is_no_second_copy_of_the_weights(toy):
  """Neither for SCRUB's teacher, nor for gradients and momentum."""
  model = models.from_linen(Wide(), (8, 8, 1))
  variables = jax.eval_shape(model.init, jax.random.key(0))
  size = sum(x.size * 4 for x in jax.tree.leaves(variables))

  def memory(unlearn):
    return jax.jit(unlearn).lower(
        jax.random.key(0), variables, toy, SPLIT).compile().memory_analysis()

  build = lambda model, tx: rum_jax.scrub(
      model, tx, epochs=1, msteps=1, batch_size=4)

  def adapters(key, variables, examples, split):
    part = subspaces.low_rank(2)(
        key, model, rum_jax.sgd(0.1), variables, examples)
    return build(part.model, part.tx)(key, part.variables, examples, split)

  full, low = map(memory, (build(model, rum_jax.sgd(0.1)), adapters))
  assert min(full.argument_size_in_bytes, low.argument_size_in_bytes) > size
  # The weights in training and their momentum, to begin with.
  assert full.temp_size_in_bytes > 1.5 * size
  assert low.temp_size_in_bytes < 4 * 256**2  # Not even one layer's.


@pytest.mark.parametrize(('arguments', 'error', 'words'), [
    ({'rank': 0}, ValueError, 'rank=0'),
    ({'rank': 1.5}, ValueError, 'rank, found 1.5'),
    ({'rank': 1, 'alpha': 0}, ValueError, 'alpha=0'),
    ({'rank': 1, 'adapted': 'kernel'}, TypeError, "adapted.*'kernel'")])
def test_wrong_arguments_are_named(arguments, error, words):
  with pytest.raises(error, match=words):
    subspaces.low_rank(**arguments)


@pytest.mark.parametrize(('path', 'words'), [
    ('none', 'b, w, found none'), ('b', r'found b of shape \(2,\)')])
def test_arrays_that_cannot_be_adapted_are_named(linear, path, words):
  with pytest.raises(ValueError, match=words):
    inside(jax.random.key(0), *linear, 1, adapted=lambda x: x == path)


def test_it_keeps_the_contract():
  testing.check_unlearner(lambda model, tx, epochs=2: subspaces.within(
      subspaces.low_rank(2), lambda model, tx: rum_jax.neggrad_plus(
          model, tx, epochs=epochs, batch_size=4), model, tx))
