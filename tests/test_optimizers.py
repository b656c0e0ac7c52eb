"""SGD against PyTorch's formula, and gates that keep weights exactly."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rum_jax import optimizers


@pytest.mark.parametrize('momentum', [0.0, 0.9])
@pytest.mark.parametrize('nesterov', [False, True])
@pytest.mark.parametrize('decay', [0.0, 0.1])
def test_sgd_is_that_of_pytorch(float64, momentum, nesterov, decay):
  rng = np.random.default_rng(0)
  p, buffer = rng.normal(size=4), np.zeros(4)
  tx = optimizers.sgd(lambda t: 0.1 / (1 + t), momentum=momentum,
                    weight_decay=decay, nesterov=nesterov)
  params = jnp.asarray(p)
  state = tx.init(params)
  for t in range(5):
    grad = rng.normal(size=4)
    updates, state = tx.update(jnp.asarray(grad), state, params)
    params = optax.apply_updates(params, updates)
    decayed = grad + decay * p
    buffer = momentum * buffer + decayed
    p = p - 0.1 / (1 + t) * (
        decayed + momentum * buffer if nesterov else buffer)
    np.testing.assert_allclose(params, p, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize('wrong, message', [
    ({'learning_rate': -0.1}, r'Expected learning_rate=-0.1 in \[0, inf\)'),
    ({'momentum': 1.5}, r'Expected momentum=1.5 in \[0, 1\]'),
    ({'weight_decay': -1}, 'Expected weight_decay=-1 in'),
    ({'learning_rate': np.nan}, 'Expected learning_rate=nan in')])
def test_sgd_checks_its_numbers(wrong, message):
  with pytest.raises(ValueError, match=message):
    optimizers.sgd(**{'learning_rate': 0.1, **wrong})


def test_a_gate_writes_exact_zeros():
  mask = {'w': jnp.array([True, False, True])}
  updates = {'w': jnp.array([1.0, jnp.nan, -3.0])}
  got, _ = optimizers.gate(mask).update(updates, optax.EmptyState())
  np.testing.assert_array_equal(got['w'], [1.0, 0.0, -3.0])


@pytest.mark.parametrize('gate', ['after', 'around'])
@pytest.mark.parametrize('nesterov', [False, True])
def test_masked_weights_keep_their_bits(gate, nesterov):
  rng = np.random.default_rng(0)
  mask = {'w': jnp.asarray(rng.random((4, 3)) < 0.5), 'b': jnp.array([False])}
  start = {'w': jnp.asarray(rng.normal(size=(4, 3)), jnp.float32),
           'b': jnp.array([1e-30])}
  tx = optimizers.sgd(0.1, momentum=0.9, weight_decay=0.1, nesterov=nesterov)
  tx = (optimizers.gated(tx, mask) if gate == 'around'
        else optax.chain(tx, optimizers.gate(mask)))
  params, state = start, tx.init(start)
  for _ in range(4):
    grads = jax.tree.map(lambda p: jnp.asarray(
        rng.normal(size=p.shape), jnp.float32), params)
    updates, state = jax.jit(tx.update)(grads, state, params)
    params = optax.apply_updates(params, updates)
  for name, kept in mask.items():
    before, after = (np.asarray(x[name]).view(np.int32)
                     for x in (start, params))
    np.testing.assert_array_equal(before == after, ~np.asarray(kept))


def test_gated_is_the_optimiser_where_the_mask_is_true():
  params = {'w': jnp.array([1.0, 2.0, 3.0])}
  grads = {'w': jnp.array([0.5, jnp.nan, -0.5])}
  plain = optimizers.sgd(0.1, weight_decay=0.1)
  tx = optimizers.gated(plain, {'w': jnp.array([True, False, True])})
  state, want = tx.init(params), plain.init(params)
  for _ in range(3):
    got, state = tx.update(grads, state, params)
    free, want = plain.update(grads, want, params)
    np.testing.assert_array_equal(got['w'][1], 0.0)
    np.testing.assert_array_equal(got['w'][::2], free['w'][::2])


def test_a_gate_of_ones_is_no_gate():
  params = {'w': jnp.array([1.0, -2.0])}
  tx = optimizers.sgd(0.1, weight_decay=0.1)
  gated = optimizers.gated(tx, {'w': jnp.ones(2, bool)})
  chex.assert_trees_all_equal(
      *(t.update({'w': jnp.ones(2)}, t.init(params), params)[0]
        for t in (tx, gated)))
