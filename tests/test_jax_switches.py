"""The library works under all of JAX's own switches."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rum_jax
from rum_jax import (
    algorithms, entanglement, evaluation, memorization, models,
    objectives, plans, resumable)
from rum_jax.evaluation import metrics
from rum_jax.pipeline import builders
from rum_jax.recipes import Recipe
from rum_jax.types import Images, Model, Signals, Split, Variables

SWITCHES = {
    'enable_x64': lambda: jax.enable_x64(True),
    'debug_nans': lambda: jax.debug_nans(True),
    'disable_jit': lambda: jax.disable_jit(True),
    'rank_promotion': lambda: jax.numpy_rank_promotion('raise'),
    'dtype_promotion': lambda: jax.numpy_dtype_promotion('strict')}


@pytest.fixture(params=SWITCHES)
def switched(request):
  """Runs a test under each of the switches."""
  with SWITCHES[request.param]():
    yield request.param


@pytest.fixture(scope='module')
def images() -> Images:
  """12 random images of 2×2 in 2 classes."""
  rng = np.random.default_rng(0)
  return Images(rng.integers(0, 256, (12, 2, 2, 1), dtype=np.uint8),
                (np.arange(12) % 2).astype(np.int32))


@pytest.fixture(scope='module')
def network() -> tuple[Model, Variables]:
  model = models.from_linen(models.MLP(2, (3,)), (2, 2, 1), mean=(0.5,),
                            std=(0.25,))
  return model, model.init(jax.random.key(0))


SPLIT = Split(np.arange(3, dtype=np.int32), np.arange(3, 12, dtype=np.int32))


def float32(tree) -> bool:
  return {x.dtype for x in jax.tree.leaves(tree)} <= {np.dtype('float32')}


@pytest.mark.parametrize('name', ['finetune', 'neggrad_plus', 'salun', 'scrub'])
def test_algorithms_run(switched, images, network, name):
  model, variables = network
  tx = rum_jax.sgd(0.1, momentum=0.9, weight_decay=1e-4)
  unlearn = getattr(algorithms, name)(model, tx, batch_size=6, epochs=1)
  moved, info = unlearn(jax.random.key(1), variables, images, SPLIT)
  assert np.isfinite(info.loss).all() and float32((moved, info.loss))


@pytest.mark.parametrize('schedule', [
    optax.cosine_decay_schedule(0.1, 10),
    optax.warmup_cosine_decay_schedule(0.0, 0.1, 2, 10),
    optax.piecewise_constant_schedule(0.1, {3: 0.1}),
    lambda step: jnp.asarray([0.3, 0.2, 0.1])[step]])
def test_schedules_of_optax_and_tables_run(switched, schedule):
  tx = rum_jax.sgd(schedule, momentum=0.0)
  params = jnp.float32(1)
  update, state = tx.update(params, tx.init(params), params)
  update, state = tx.update(params, state, params)
  with jax.numpy_dtype_promotion('standard'):
    want = -schedule(1)
  np.testing.assert_allclose(update, want, rtol=1e-6)


def test_two_memorization_models_are_trained(switched, images, network):
  model, _ = network
  tx = rum_jax.sgd(builders.schedule(Recipe(epochs=2), 2), weight_decay=1e-4)
  fit = resumable.Fit(objectives.supervised(model), tx, plans.over_retain(4),
                      epochs=2, steps=4, images=8)
  begin, advance = resumable.initial_run(model, fit), resumable.advance(fit)

  def one(key):
    rows = memorization.random_subset(key, 12, 0.7)
    split = Split(jnp.zeros((0,), jnp.int32), rows)
    run = advance(key, begin(key, images, split), jnp.int32(2), images, split)
    return run.loss, memorization.seen(
        model, 10, run.state.variables, rows, jax.tree.map(jnp.asarray, images))

  # Op by op, a loop over seeds compiles each operation anew for each of them.
  run = rum_jax.over_seeds(
      one, vectorise=True if switched == 'disable_jit' else None)
  loss, seen = run(jax.random.split(jax.random.key(2), 2))
  assert loss.shape == (2, 4) and np.isfinite(loss).all() and float32(loss)
  assert seen.level.dtype == np.uint16


def test_what_is_measured_stays_float32(switched, images, network):
  model, variables = network
  signals = evaluation.signals(model, variables, images, features=True)
  assert float32(signals.loss) and float32(signals.features)
  es = entanglement.entanglement_score(signals.features, SPLIT)
  assert np.isfinite(es) and float32(es)
  many = Signals(signals.loss[None], signals.score[None])
  gaps = [metrics.accuracy(many, rows) - 0.5
          for rows in (SPLIT.forget, SPLIT.retain, np.arange(12))]
  tow = metrics.tug_of_war(*gaps)
  assert np.isfinite(tow).all() and float32(tow)
