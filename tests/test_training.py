"""The loop against loops that are written out."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rum_jax import objectives, optimizers, plans, training, trees
from rum_jax.types import Plan, Split, Variables

# Double precision has 16 digits. Sums of a few hundred terms, a division by a
# standard deviation and a dozen steps leave 12 of them.
CLOSE = {'rtol': 1e-12, 'atol': 1e-12}
SPLIT = Split(np.arange(19, 24, dtype=np.int32), np.arange(19, dtype=np.int32))


def noise(key, batch):
  """An augmentation in which every key tells."""
  images = batch.examples.image
  return batch.examples._replace(
      image=images * jax.random.uniform(key, images.shape))


def settings(model, **changes):
  """Arguments of `fit`: 19 examples in batches of 8, so 3 steps an epoch."""
  return {'objective': objectives.supervised(model),
          'tx': optimizers.sgd(0.1, weight_decay=0.01),
          'draw': plans.over_retain(8), **changes}


def written_out(objective, tx, draw):
  """`fit` as a Python loop over ragged batches without padding."""

  @jax.jit
  def step(variables, opt_state, batch, key):
    (loss, stats), grads = jax.value_and_grad(objective, has_aux=True)(
        *variables, batch, key)
    updates, opt_state = tx.update(grads, opt_state, variables.params)
    params = optax.apply_updates(variables.params, updates)
    return Variables(params, stats), opt_state, loss

  def run(key, variables, dataset, split, total):
    key_draw, key_step = jax.random.split(key)
    opt_state, losses = tx.init(variables.params), []
    drawn = jax.jit(draw)
    while len(losses) < total:
      epoch = len(losses) // 3
      plan = drawn(jax.random.fold_in(key_draw, epoch), split)
      for row in range(min(3, total - len(losses))):
        t = len(losses)
        line = trees.take(plan, row)
        batch = training.gather(
            dataset, trees.take(line, np.flatnonzero(line.weight)),
            jnp.asarray(t / total), jnp.asarray(epoch))
        variables, opt_state, loss = step(
            variables, opt_state, batch, jax.random.fold_in(key_step, t))
        losses.append(loss)
    return variables, np.asarray(losses)

  return run


def test_fit_is_a_loop_over_ragged_batches(float64, cnn, toy):
  model, variables = cnn
  chosen, key = settings(model), jax.random.key(0)
  run = written_out(**chosen)
  for epochs, steps, total in ((2, None, 6), (9, 5, 5)):
    got, info = training.fit(
        key, variables, toy, SPLIT, epochs=epochs, steps=steps, **chosen)
    want, losses = run(key, variables, toy, SPLIT, total)
    chex.assert_trees_all_close(got, want, **CLOSE)
    np.testing.assert_allclose(info.loss, losses, **CLOSE)


def test_a_budget_of_whole_epochs_is_those_epochs(linear, toy):
  model, _ = linear
  variables = Variables({'w': jnp.zeros((64, 3)), 'b': jnp.zeros(3)}, {})
  run = [training.fit(jax.random.key(0), variables, toy, SPLIT,
                      **budget, **settings(model))
         for budget in ({'epochs': 2}, {'epochs': 0, 'steps': 6})]
  chex.assert_trees_all_equal(*run)


@pytest.mark.parametrize('network, steps', [('cnn', None), ('linear', 7)])
def test_segments_of_a_run_are_the_run_bit_for_bit(
    request, toy, network, steps):
  model, variables = request.getfixturevalue(network)
  if network == 'linear':
    variables = Variables({'w': jnp.zeros((64, 3)), 'b': jnp.zeros(3)}, {})
  chosen = settings(
      model, objective=objectives.supervised(model, noise),
      tx=optimizers.sgd(optax.cosine_decay_schedule(0.1, 12),
                        weight_decay=0.01))
  total = 12 if steps is None else steps

  @jax.jit
  def segment(key, state):
    return training.run_epochs(key, state, toy, SPLIT, epochs=2,
                               total_steps=total, **chosen)

  @jax.jit
  def whole(key, state):
    return training.run_epochs(key, state, toy, SPLIT, epochs=4,
                               total_steps=total, **chosen)

  key, state = jax.random.key(0), training.start(variables, chosen['tx'])
  middle, first = segment(key, state)
  assert middle.epoch == 2
  last, second = segment(key, middle)
  want, info = whole(key, state)
  chex.assert_trees_all_equal(last, want)
  np.testing.assert_array_equal(
      np.concatenate([first.loss, second.loss]), info.loss)
  assert np.isfinite(info.loss[:total]).all()
  assert np.isnan(info.loss[total:]).all()


@pytest.mark.parametrize('steps', [2, 5])
def test_steps_know_their_epoch_and_the_share_that_is_done(toy, steps):
  def objective(params, stats, batch, key):
    del key
    return batch.progress + 10 * batch.epoch + 0 * params, stats

  _, info = training.fit(
      jax.random.key(0), Variables(jnp.zeros(()), {}), toy, SPLIT,
      objective=objective, tx=optax.sgd(0.0), draw=plans.over_retain(8),
      epochs=0, steps=steps)
  t = np.arange(steps)
  np.testing.assert_allclose(info.loss, t / steps + 10 * (t // 3), rtol=1e-6)


def test_every_step_has_its_own_key(toy):
  def objective(params, stats, batch, key):
    del batch
    return jax.random.uniform(key) + 0 * params, stats

  losses = [training.fit(
      jax.random.key(seed), Variables(jnp.zeros(()), {}), toy, SPLIT,
      objective=objective, tx=optax.sgd(0.0), draw=plans.over_retain(8),
      epochs=3)[1].loss for seed in (0, 1)]
  assert len(set(np.concatenate(losses).tolist())) == 18


def test_gather_keeps_rows_together(toy):
  index, flag = jnp.array([5, 2, 5]), jnp.array([True, False, False])
  batch = training.gather(
      jax.tree.map(jnp.asarray, toy), Plan(index, flag, jnp.arange(3.0)),
      jnp.asarray(0.25), jnp.asarray(7))
  np.testing.assert_array_equal(batch.examples.image, toy.image[[5, 2, 5]])
  np.testing.assert_array_equal(batch.examples.label, toy.label[[5, 2, 5]])
  np.testing.assert_array_equal(batch.index, [5, 2, 5])
  np.testing.assert_array_equal(batch.forget, [True, False, False])
  np.testing.assert_array_equal(batch.weight, [0, 1, 2])
  assert (batch.progress, batch.epoch) == (0.25, 7)


@pytest.mark.parametrize('budget', [
    {'epochs': 0}, {'epochs': 4, 'steps': 0}])
def test_no_epochs_change_nothing(cnn, toy, budget):
  model, variables = cnn
  got, info = training.descent(**budget, **settings(model))(
      jax.random.key(0), variables, toy, SPLIT)
  chex.assert_trees_all_equal(got, variables)
  assert info.loss.shape == (0,)


@pytest.mark.parametrize('wrong', [-1, 24, 2**31 - 1])
def test_a_row_that_is_not_there_is_named_or_makes_the_loss_nan(
    linear, toy, wrong):
  model, _ = linear
  variables = Variables({'w': jnp.zeros((64, 3)), 'b': jnp.zeros(3)}, {})
  split = SPLIT._replace(retain=np.append(SPLIT.retain, np.int32(wrong)))
  chosen = settings(model, draw=plans.over_retain(20))  # All in one step.

  def run(split):
    return training.descent(epochs=2, **chosen)(
        jax.random.key(0), variables, toy, split)

  with pytest.raises(ValueError, match=(
      rf'Expected rows to retain in \[0, 24\), found {wrong}')):
    run(split)
  got, info = jax.jit(run)(split)  # Where values are not known in time.
  assert np.isnan(info.loss).all() and np.isnan(got.params['w']).all()


def test_steps_over_nothing_are_refused(linear, toy):
  model, variables = linear
  nothing = Split(SPLIT.forget, SPLIT.retain[:0])
  with pytest.raises(ValueError, match='examples for steps=3, found none'):
    training.fit(jax.random.key(0), variables, toy, nothing, epochs=1, steps=3,
                 **settings(model))
  got, info = training.fit(jax.random.key(0), variables, toy, nothing, epochs=1,
                           **settings(model))
  chex.assert_trees_all_equal(got, variables)
  assert info.loss.shape == (0,)


def test_a_probe_looks_after_every_epoch(linear, toy):
  model, _ = linear
  variables = Variables({'w': jnp.zeros((64, 3)), 'b': jnp.zeros(3)}, {})
  got, info = training.descent(
      epochs=3, probe=lambda v: {'norm': optax.tree.norm(v.params, 1)},
      **settings(model))(jax.random.key(0), variables, toy, SPLIT)
  assert info.probes['norm'].shape == (3,) and info.loss.shape == (9,)
  np.testing.assert_allclose(
      info.probes['norm'][-1], optax.tree.norm(got.params, 1), rtol=1e-6)
  assert len(set(info.probes['norm'].tolist())) == 3


def test_a_diverged_run_is_data(linear, toy):
  model, _ = linear
  variables = Variables({'w': jnp.zeros((64, 3)), 'b': jnp.zeros(3)}, {})
  _, info = training.fit(
      jax.random.key(0), variables, toy, SPLIT, epochs=2,
      **settings(model, tx=optimizers.sgd(1e38)))
  assert np.isfinite(info.loss[0]) and np.isnan(info.loss[-1])


@pytest.mark.parametrize('wrong, message', [
    ({'epochs': -1}, 'Expected epochs=-1 to be at least 0'),
    ({'epochs': 1.5}, 'epochs, found 1.5'),
    ({'steps': -2}, 'Expected steps=-2 to be at least 0')])
def test_descent_checks_its_budget(linear, wrong, message):
  with pytest.raises(ValueError, match=message):
    training.descent(**{'epochs': 1, **wrong}, **settings(linear[0]))


@pytest.mark.parametrize('batch_size', [1, 7, 1000])
def test_predicting_in_batches_is_predicting_at_once(
    float64, cnn, toy, batch_size):
  model, variables = cnn
  want, _ = model.apply(variables, jax.tree.map(jnp.asarray, toy), train=False)
  got = training.predict(model, variables, toy, batch_size)
  chex.assert_shape(got, [(24, 3), (24, 4)])
  chex.assert_trees_all_close(got, want, **CLOSE)
