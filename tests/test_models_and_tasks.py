"""Wrappers keep the task of a model, and random networks get keys."""

from __future__ import annotations

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rum_jax
from rum_jax import batch_norm, models, objectives, subspaces, tasks, training
from rum_jax.types import Images, Outputs, Split, Task

SPLIT = Split(np.arange(4, dtype=np.int32), np.arange(4, 24, dtype=np.int32))
OWN = Task(*(lambda *args, f=f: 2 * f(*args) for f in tasks.classification()))
WRAPPERS = {
    'frozen': batch_norm.frozen,
    'held': lambda model: subspaces.held(model, ('Dense_0',)),
    'data_parallel': rum_jax.data_parallel}


class Dropped(nn.Module):
  """Drops half of the pixels while it trains, and looks at its images first."""

  @nn.compact
  def __call__(self, x, *, train, mask):
    self.variable('batch_stats', 'seen', jnp.zeros, (1,))
    x = nn.Dropout(0.5, deterministic=not train)(x.reshape(len(x), -1))
    return Outputs(nn.Dense(3)(x), x)

  def from_images(self, images):
    return {'seen': images.mean()[None]}


@pytest.fixture
def dropped():
  model = models.from_linen(Dropped(), (8, 8, 1), task=OWN)
  return model, model.init(jax.random.key(0))


@pytest.mark.parametrize('name', [*WRAPPERS, 'all'])
def test_a_wrapped_model_keeps_its_task_and_its_start(dropped, toy, name):
  model, variables = dropped
  wrapped = model
  for wrap in WRAPPERS.values() if name == 'all' else [WRAPPERS[name]]:
    wrapped = wrap(wrapped)
  assert wrapped.apply is not model.apply
  assert wrapped.task is model.task is OWN
  rows = np.arange(7)
  found = wrapped.init_from_data(variables, toy, rows)
  assert found.stats['seen'] != variables.stats['seen']
  chex.assert_trees_all_equal(found, model.init_from_data(variables, toy, rows))
  both = [m.apply(variables, toy, train=False)[0] for m in (wrapped, model)]
  chex.assert_trees_all_equal(*both)


def test_the_task_decides_what_an_objective_minimises(toy):
  single, twice = (models.from_linen(models.MLP(3, (4,)), (8, 8, 1), task=task)
                   for task in (None, OWN))
  assert single.task == tasks.classification()
  variables = single.init(jax.random.key(0))
  batch = training.gather(
      jax.tree.map(jnp.asarray, toy), rum_jax.types.Plan(
          jnp.arange(5), jnp.zeros(5, bool), jnp.ones(5)), 0.0, 0)
  one, two = (objectives.supervised(m)(*variables, batch, None)[0]
              for m in (single, twice))
  np.testing.assert_allclose(two, 2 * one, rtol=1e-6)


def test_dropout_draws_in_training_and_not_in_evaluation(dropped, toy):
  model, variables = dropped

  def outputs(key, train):
    return model.apply(variables, toy, train=train, key=key)[0].prediction

  one, same, other = (outputs(jax.random.key(k), True) for k in (0, 0, 1))
  np.testing.assert_array_equal(one, same)
  assert (one != other).any()
  chex.assert_trees_all_equal(
      outputs(None, False), outputs(jax.random.key(0), False))
  with pytest.raises(ValueError, match='Expected a key for Dropped, which dra'):
    outputs(None, True)


@pytest.mark.parametrize('factory', [
    rum_jax.finetune, rum_jax.retrain, rum_jax.scrub, rum_jax.bad_teacher,
    rum_jax.neggrad_plus, rum_jax.salun])
def test_a_network_with_dropout_trains(toy, factory):
  model = models.from_linen(Dropped(), (8, 8, 1))
  run = jax.jit(factory(model, rum_jax.sgd(0.1), epochs=1, batch_size=8))
  variables = model.init(jax.random.key(0))
  first, again, other = (
      run(jax.random.key(k), variables, toy, SPLIT)[0] for k in (0, 0, 1))
  chex.assert_trees_all_equal(first, again)
  kernels = [v.params['Dense_0']['kernel'] for v in (first, other)]
  assert np.isfinite(kernels[0]).all() and (kernels[0] != kernels[1]).any()


def test_recalibration_of_a_network_with_dropout(toy):
  model = models.from_linen(Dropped(), (8, 8, 1))
  run = batch_norm.recalibrated(rum_jax.identity(), model, 8)
  variables = model.init(jax.random.key(0))
  found, _ = jax.jit(run)(jax.random.key(0), variables, toy, SPLIT)
  chex.assert_trees_all_equal(found, variables)


def test_a_model_without_a_task_is_refused():
  model = models.from_linen(models.MLP(3, (4,)), (8, 8, 1))._replace(task=None)
  with pytest.raises(TypeError, match='Expected model.task to be a rum_jax.Ta'):
    rum_jax.finetune(model, rum_jax.sgd(0.1))


def test_scores_of_a_classifier():
  logits = jnp.array([[1.0, 2, 0], [3, 0, 1], [jnp.nan, 0, 1], [1, jnp.inf, 0]])
  score = tasks.classification().score(
      Outputs(logits, None), Images(None, jnp.array([1, 1, 0, 1])))
  np.testing.assert_array_equal(score, [1, 0, 0, 0])
