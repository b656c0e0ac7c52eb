"""Recomputes what the released PyTorch code gave: see tests/goldens/*.json.

Every file carries its configuration, all inputs, and the repository, commit and
file that it came from. Both sides worked in float64 and from the same decimal
numbers; a few steps on 60 parameters round by far less than 1e-11, and any
difference of formula shows at 1e-3.
"""

from __future__ import annotations

import functools
import json
import pathlib

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rum_jax
from rum_jax import models, plans, training
from rum_jax.algorithms import released
from rum_jax.algorithms._neggrad_plus import tug
from rum_jax.algorithms._salun import forget_gradient, saliency_mask
from rum_jax.models import layers
from rum_jax.types import Images, Model, Outputs, Split, Variables

FOLDER = pathlib.Path(__file__).parents[1] / 'goldens'
CLOSE = {'rtol': 1e-11, 'atol': 1e-12}


class Net(nn.Module):
  """Three pixels, five hidden units with batch-norm, five classes."""

  @nn.compact
  def __call__(self, x, *, train, mask):
    x = nn.Dense(5)(x.reshape(len(x), -1))
    x = nn.relu(layers.BatchNorm(name='BatchNorm_0')(x, train=train, mask=mask))
    return Outputs(nn.Dense(5)(x), x)


@functools.cache
def load(name: str) -> dict:
  return json.loads((FOLDER / f'{name}.json').read_text())


def variables_of(tree: dict) -> Variables:
  arrays = jax.tree.map(
      np.asarray, tree, is_leaf=lambda x: isinstance(x, list))
  return Variables(arrays['params'], arrays['stats'])


def inputs(golden: dict) -> tuple[Model, Variables, Images, Split]:
  given = golden['inputs']
  examples = Images(np.asarray(given['image'], np.uint8),
                    np.asarray(given['label'], np.int32))
  split = Split(*(np.asarray(given[part], np.int32)
                  for part in ('forget', 'retain')))
  model = models.from_linen(Net(), examples.image.shape[1:])
  return model, variables_of(given['variables']), examples, split


def sgd(config: dict) -> optax.GradientTransformation:
  return rum_jax.sgd(config['learning_rate'], momentum=config['momentum'],
                     weight_decay=config['weight_decay'])


def pick(config: dict, *names: str) -> dict:
  return {name: config[name] for name in names}


SCRUB = ('beta', 'gamma', 'temperature', 'msteps', 'epochs')
UNLEARNERS = {
    'neggrad': lambda model, c: rum_jax.neggrad(
        model, sgd(c), epochs=c['epochs']),
    'neggrad_plus': lambda model, c: rum_jax.neggrad_plus(
        model, sgd(c), **pick(c, 'alpha', 'epochs')),
    'l1_sparse': lambda model, c: rum_jax.l1_sparse(
        model, sgd(c), **pick(c, 'alpha', 'epochs')),
    'scrub': lambda model, c: rum_jax.scrub(model, sgd(c), **pick(c, *SCRUB)),
    'scrub_released': lambda model, c: released.scrub(
        model, sgd(c), **pick(c, *SCRUB)),
    'influence_released': lambda model, c: released.influence(model, **c),
    'ssd': lambda model, c: rum_jax.ssd(model, **c),
    'ssd_released': lambda model, c: released.ssd(model, **c),
    'bad_teacher_released': lambda model, c: released.bad_teacher(
        model, sgd(c),
        **pick(c, 'epochs', 'temperature', 'retain_share')),
}


@pytest.mark.parametrize('name', UNLEARNERS)
def test_whole_run(float64, name):
  golden = load(name)
  model, variables, examples, split = inputs(golden)
  if 'bad' in golden['inputs']:
    bad = variables_of(golden['inputs']['bad'])
    model = model._replace(init=lambda key: bad)
  unlearner = UNLEARNERS[name](model, golden['config'])
  found, info = jax.jit(unlearner)(
      jax.random.key(0), variables, examples, split)
  want = variables_of(golden['expected'])
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **CLOSE),
               found, want)
  moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), variables, want)
  assert max(jax.tree.leaves(moved.params)) > 0.01
  if name == 'scrub':
    np.testing.assert_allclose(info.loss, golden['expected']['loss'], **CLOSE)


def test_neggrad_plus_loss_and_gradient_at_the_start(float64):
  golden = load('neggrad_plus')
  model, variables, examples, split = inputs(golden)
  alpha, want = golden['config']['alpha'], golden['expected']['first_step']
  draw = plans.pair(plans.over_retain(64), plans.over_forget(64))
  objective = tug(model, len(split.retain), alpha, None)

  @jax.jit
  def first_step(variables, examples, split):
    plan = jax.tree.map(lambda x: x[0], draw(jax.random.key(0), split))
    batch = training.gather(examples, plan, jnp.zeros(()), jnp.zeros(()))
    return jax.value_and_grad(objective, has_aux=True)(
        *variables, batch, jax.random.key(0))

  (loss, _), gradient = first_step(variables, examples, split)
  np.testing.assert_allclose(
      loss, alpha * want['retain_loss'] - (1 - alpha) * want['forget_loss'],
      **CLOSE)
  wanted = jax.tree.map(
      np.asarray, want['gradient'], is_leaf=lambda x: isinstance(x, list))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **CLOSE),
               gradient, wanted)


def test_salun_mask_of_its_authors(float64):
  golden = load('salun_mask')
  model, *rest = inputs(golden)
  gradient = jax.jit(lambda *xs: forget_gradient(model, *xs))(*rest)
  for density in golden['config']['densities']:
    check_mask(golden, saliency_mask(gradient, density), density)


def test_salun_mask_of_the_released_rum_code(float64):
  golden = load('salun_released_mask')
  model, variables, examples, split = inputs(golden)
  key, width = jax.random.key(3), golden['config']['batch_size']
  order = plans.over_forget(width)(
      key, split._replace(forget=np.arange(len(split.forget))))
  undone = np.empty_like(split.forget)
  undone[order.index.ravel()] = split.forget  # Comes out in the file's order.
  gradient = jax.jit(lambda *xs: released.forget_gradient(
      key, model, *xs, sgd(golden['config']), width))(
          variables, examples, split._replace(forget=undone))
  for density in golden['config']['densities']:
    mask = released.saliency_mask(gradient, density)
    check_mask(golden, mask, density)


def check_mask(golden: dict, mask: dict, density: float) -> None:
  want = golden['expected'][str(density)]
  assert 0 < sum(jax.tree.leaves(jax.tree.map(np.sum, want))) < 60
  jax.tree.map(np.testing.assert_array_equal, mask, jax.tree.map(
      lambda x: np.asarray(x, bool), want,
      is_leaf=lambda x: isinstance(x, list)))


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.json')),
                         ids=lambda path: path.stem)
def test_every_golden_says_where_it_is_from_and_is_used(path):
  golden = load(path.stem)
  assert set(golden['source']) == {'repository', 'commit', 'file'}
  assert len(golden['source']['commit']) == 40 and golden['made_by']
  assert path.stat().st_size < 8000
  assert path.stem in UNLEARNERS or path.stem.startswith('salun')
