"""What lies below the last layers is computed once, and changes nothing."""

from __future__ import annotations

import functools

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rum_jax
from rum_jax import batch_norm, edits, models, subspaces
from rum_jax.types import Images, Outputs, Split, Task

SPLIT = Split(np.arange(7, dtype=np.int32), np.arange(7, 20, dtype=np.int32))
TX = rum_jax.sgd(0.1, momentum=0.9, weight_decay=0.01)
# Double precision, through some steps.
CLOSE = {'rtol': 1e-10, 'atol': 1e-12}
ONCE = {'epochs': 1, 'batch_size': 10}
CASES = {
    'cnn': (models.SmallCNN(3, (4, 8)), 3, ('BatchNorm_1', 'Conv_1', 'Dense_0'),
            (4, 4, 4), rum_jax.finetune),
    'mlp': (models.MLP(3, (8, 8)), 2, ('Dense_1', 'Dense_2'), (8,),
            rum_jax.eu_k),
    'vit': (models.ViT(3, 4, 8, 2, 2, 8), 3, ('blocks_1', 'head', 'norm'),
            (5, 8), rum_jax.neggrad)}


def network(module, shape=(8, 8, 1)):
  """The module with frozen batch-norm, and variables in this precision."""
  model = models.from_linen(module, shape, mean=(0.5,), std=(0.25,))
  variables = jax.jit(model.init)(jax.random.key(0))
  return batch_norm.frozen(model), jax.tree.map(
      lambda x: x.astype(float), variables)


def upper(model, variables, examples, k=1):
  return subspaces.last_layers(k, cached=True)(
      jax.random.key(0), model, TX, variables, examples)


@pytest.mark.parametrize('name', CASES)
def test_it_gives_what_last_layers_gives(float64, plain, toy, name):
  module, k, names, shape, factory = CASES[name]
  model, variables = network(module)
  how = {'k': k} if factory is rum_jax.eu_k else {}
  found, again = (jax.jit(subspaces.within(
      subspaces.last_layers(k, cached=cached),
      lambda model, tx: factory(model, tx, **ONCE, **how), model, TX))(
          jax.random.key(1), variables, toy, SPLIT)[0]
                  for cached in (True, False))
  chex.assert_trees_all_close(found, again, **CLOSE)
  moved = {n for n, x in found.params.items()
           if not (jax.tree.leaves(x)[0] == jax.tree.leaves(
               variables.params[n])[0]).all()}
  assert moved and moved <= set(names)
  part = upper(model, variables, toy, k)
  assert tuple(part.variables.params) == names
  (values,) = part.examples.image.values
  assert values.shape == (24, *shape)
  np.testing.assert_array_equal(part.examples.label, toy.label)


@pytest.mark.parametrize(('module', 'size', 'shape'), [
    (models.ResNet(3, (1, 1), (4, 8)), 8, (8, 8, 4)),
    (models.AirBench(3, (4, 4, 4)), 16, (3, 3, 4))], ids=['resnet', 'airbench'])
def test_one_array_goes_from_block_to_block(plain, module, size, shape):
  """The last block and the head are trained; only shapes are computed."""
  model = models.from_linen(module, (size, size, 1))
  data = Images(jnp.zeros((24, size, size, 1), jnp.uint8), jnp.zeros(24, int))
  features = jax.eval_shape(
      lambda v, x: upper(batch_norm.frozen(model), v, x, 2).examples.image,
      jax.eval_shape(model.init, jax.random.key(0)), data)
  assert [x.shape for x in features.values] == [(24, *shape)]


def test_seeds_are_a_loop(float64, toy):
  model, variables = network(models.MLP(3, (8, 8)))
  run = jax.jit(subspaces.within(
      subspaces.last_layers(1, cached=True),
      lambda model, tx: rum_jax.finetune(model, tx, **ONCE), model, TX))
  both = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), variables)
  mapped, _ = jax.jit(jax.vmap(run, in_axes=(None, 0, None, None)))(
      jax.random.key(0), both, toy, SPLIT)
  for i in range(2):
    one = jax.tree.map(lambda x, i=i: x[i], both)
    chex.assert_trees_all_close(
        jax.tree.map(lambda x, i=i: x[i], mapped),
        run(jax.random.key(0), one, toy, SPLIT)[0], **CLOSE)


def test_a_step_does_nothing_below(toy):
  """Ten layers of eleven are no part of the program."""
  model, variables = network(models.MLP(3, (64,) * 10))
  part = upper(model, variables, toy)

  def flops(model, variables, examples):
    run = jax.jit(functools.partial(model.apply, train=True))
    return run.lower(variables, examples).compile().cost_analysis()['flops']

  assert flops(part.model, part.variables, part.examples) < 0.02 * flops(
      model, variables, toy)


class Layers(nn.Module):
  """Three layers: what lies below the last one depends on `kind`."""

  kind: str

  @nn.compact
  def __call__(self, x, *, train, mask):
    first = nn.Dense(4, name='first')
    x = first(x.reshape(len(x), -1)[:, :4])
    if self.kind == 'dropout':
      x = nn.Dropout(0.5, deterministic=not train)(x)
    if self.kind == 'norm':
      x = models.layers.BatchNorm(name='norm')(x, train=train, mask=mask)
    x = nn.Dense(4, name='second')(x)
    y = nn.Dense(3, name='third')(x)
    return Outputs(first(jnp.pad(y, ((0, 0), (0, 1))))[:, :3]
                   if self.kind == 'again' else y, x)


@pytest.mark.parametrize(('kind', 'k', 'words'), [
    ('plain', 3, 'below the trained ones, found none'),
    ('dropout', 1, 'random numbers'),
    ('norm', 1, 'norm changes it.*frozen'),
    ('again', 1, 'first to be used before all trained')])
def test_layers_that_cannot_be_computed_once_are_named(toy, kind, k, words):
  model = models.from_linen(Layers(kind), (8, 8, 1))
  variables = jax.jit(model.init)(jax.random.key(0))
  with pytest.raises(ValueError, match=words):
    upper(model, variables, toy, k)


def test_dropout_above_the_cut_is_drawn_anew(toy):
  model = models.from_linen(Layers('dropout'), (8, 8, 1))
  part = upper(model, jax.jit(model.init)(jax.random.key(0)), toy, 2)
  first, second = (part.model.apply(
      part.variables, part.examples, train=True, key=jax.random.key(i)
  )[0].prediction for i in range(2))
  assert (first != second).any()


def test_augmentation_is_refused(toy):
  model, variables = network(models.MLP(3, (8,)))
  unlearn = subspaces.within(
      subspaces.last_layers(1, cached=True),
      lambda model, tx: rum_jax.finetune(
          model, tx, augment=edits.crop_and_flip(1)), model, TX)
  with pytest.raises(TypeError, match='Expected no augmentation'):
    unlearn(jax.random.key(0), variables, toy, SPLIT)


def test_a_task_that_reads_images_is_refused(toy):
  model, variables = network(models.MLP(3, (8,)))
  bright = lambda outputs, examples: examples.image.mean((1, 2, 3))
  task = Task(loss=bright, score=bright, divergence=None)
  with pytest.raises(ValueError, match="the task's loss"):
    upper(model._replace(task=task), variables, toy)
