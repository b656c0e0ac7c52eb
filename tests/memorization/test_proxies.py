"""Proxies from one model: by hand, and against examples one at a time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rum_jax
from rum_jax import gradients
from rum_jax.memorization import proxies
from rum_jax.types import Images, Split, Variables

# Five images of two pixels, for the linear model.
PIXELS = np.asarray([[255, 0], [51, 102], [0, 0], [204, 255], [10, 200]])
LINEAR = Images(PIXELS.reshape(-1, 2, 1, 1).astype(np.uint8),
                np.asarray([0, 1, 1, 0, 0], np.int32))


def softmax(x: np.ndarray) -> np.ndarray:
  e = np.exp(x - x.max(-1, keepdims=True))
  return e / e.sum(-1, keepdims=True)


def test_el2n_by_hand(float64):
  logits = jnp.log(jnp.asarray([[0.5, 0.25, 0.25]] * 2))
  np.testing.assert_allclose(
      proxies.el2n(logits, jnp.asarray([0, 1])),
      np.sqrt([0.25 + 2 * 0.0625, 0.25 + 0.5625 + 0.0625]), rtol=1e-14)
  sure = jnp.asarray([[1e4, 0.0]] * 2)
  np.testing.assert_allclose(
      proxies.el2n(sure, jnp.asarray([0, 1])), [0, np.sqrt(2)], rtol=1e-14)


def test_grand_of_a_linear_model_by_hand(float64, linear):
  # Its gradients are x (p − y)ᵀ and p − y.
  model, variables = linear
  x = PIXELS / 255
  error = softmax(x @ np.asarray(variables.params['w'])) - np.eye(2)[
      LINEAR.label]
  want = np.sqrt((x**2).sum(1) + 1) * np.linalg.norm(error, axis=1)
  got = proxies.grand(model, variables, LINEAR, batch_size=2)
  np.testing.assert_allclose(got, want, rtol=1e-13)


def test_grand_is_the_norm_of_each_gradient(float64, toy, cnn):
  model, variables = cnn

  @jax.jit
  def norm(row):
    grads = jax.grad(lambda params: gradients.example_losses(
        model, Variables(params, variables.stats), toy, row[None])[0])(
            variables.params)
    return jnp.linalg.norm(jnp.concatenate(
        [x.ravel() for x in jax.tree.leaves(grads)]))

  want = [norm(row) for row in jnp.arange(24)]
  got = jax.jit(lambda v: proxies.grand(model, v, toy, 7))(variables)
  np.testing.assert_allclose(got, want, rtol=1e-11)


@pytest.mark.parametrize('h', [0.01, 0.5])
def test_curvature_of_a_linear_model_by_hand(float64, linear, h):
  # Its gradient at x is W (p − y).
  model, variables = linear
  w = np.asarray(variables.params['w'])

  def slope(x, y):
    return w @ (softmax(x @ w) - np.eye(2)[y])

  want = []
  for x, y in zip(PIXELS / 255, LINEAR.label):
    sign = np.sign(slope(x, y))
    z = h * sign / np.linalg.norm(sign)
    want.append(np.linalg.norm(slope(x + z, y) - slope(x, y)))
  got = proxies.curvature(model, variables, LINEAR, h, batch_size=3)
  np.testing.assert_allclose(got, want, rtol=1e-10)


def test_curvature_leaves_pixels_that_do_not_matter(float64, linear):
  """The step is `h` long, however many pixels it moves; 0 where none does."""
  model, variables = linear
  w = variables.params['w']
  half = variables._replace(params={'w': w.at[1].set(0), 'b': jnp.zeros(2)})
  # W (p − y) moves x₀ alone: p₁ = 1 / (1 + exp(2 x₀)), slope ∓ 2 p.
  x, y = PIXELS[:, 0] / 255, LINEAR.label
  p = 1 / (1 + np.exp(np.where(y == 0, 2, -2) * x))
  moved = 1 / (1 + np.exp(np.where(y == 0, 2, -2) * x - 2 * 0.1))
  got = proxies.curvature(model, half, LINEAR, h=0.1)
  np.testing.assert_allclose(got, 2 * (moved - p), rtol=1e-12)
  flat = variables._replace(params={'w': 0 * w, 'b': jnp.zeros(2)})
  np.testing.assert_array_equal(proxies.curvature(model, flat, LINEAR), 0)


def test_curvature_does_not_depend_on_the_batch(float64, toy, cnn):
  model, variables = cnn
  curvature = jax.jit(
      lambda v, size: proxies.curvature(model, v, toy, batch_size=size),
      static_argnums=1)
  parts, alone = curvature(variables, 7), curvature(variables, 1)
  assert (alone > 0).any()
  np.testing.assert_allclose(parts, alone, rtol=1e-9, atol=1e-13)


def test_divergence_by_hand(float64):
  p, q = np.asarray([[0.5, 0.5]]), np.asarray([[0.25, 0.75]])
  want = ((p * np.log(p / q)).sum() + (q * np.log(q / p)).sum()) / 2
  for a, b in ((p, q), (q, p)):
    np.testing.assert_allclose(
        proxies.symmetric_divergence(jnp.log(a), jnp.log(b)), want, rtol=1e-13)
  assert (proxies.symmetric_divergence(jnp.log(p), jnp.log(p)) == 0).all()


@pytest.mark.parametrize('floor', [1e-10, 1e-3])
def test_divergence_of_certainties_ends_at_the_floor(floor):
  got = proxies.symmetric_divergence(
      jnp.asarray([[1e4, 0.0]]), jnp.asarray([[0.0, 1e4]]), floor)
  np.testing.assert_allclose(got, -(1 - floor) * np.log(floor), rtol=1e-6)


def test_held_out_retraining_is_fine_tuning_on_others(float64, linear):
  model, variables = linear
  tx, key = rum_jax.sgd(0.5), jax.random.key(5)
  data, apart = (Images(*(x[part] for x in LINEAR))
                 for part in (slice(0, 2), slice(2, 5)))
  score = jax.jit(proxies.held_out_retraining(
      model, tx, epochs=3, batch_size=2))
  got = score(key, variables, data, apart)
  split = Split(jnp.arange(0), jnp.arange(3))
  tuned, _ = jax.jit(rum_jax.finetune(model, tx, epochs=3, batch_size=2))(
      key, variables, apart, split)
  x = PIXELS[:2] / 255
  p, q = (softmax(x @ np.asarray(v.params['w']) + np.asarray(v.params['b']))
          for v in (variables, tuned))
  want = ((p * np.log(p / q)).sum(1) + (q * np.log(q / p)).sum(1)) / 2
  np.testing.assert_allclose(got, want, rtol=1e-9)
  # The labels of those that are scored are not looked at.
  other = data._replace(label=1 - data.label)
  np.testing.assert_array_equal(score(key, variables, other, apart), got)


def test_no_retraining_moves_nothing(linear):
  model, variables = linear
  score = proxies.held_out_retraining(model, rum_jax.sgd(0.1), epochs=0)
  np.testing.assert_array_equal(
      score(jax.random.key(0), variables, LINEAR, LINEAR), 0)


@pytest.mark.parametrize('call, message', [
    (lambda model, v, data: proxies.curvature(model, v, data, h=0.0),
     r'Expected h=0.0 in \(0, '),
    (lambda model, v, data: proxies.curvature(model, v, data, batch_size=0),
     'Expected batch_size=0 to be at least 1'),
    (lambda model, v, data: proxies.grand(model, v, data, batch_size=2.5),
     'Expected a whole number for batch_size, found 2.5'),
    (lambda model, *_: proxies.held_out_retraining(
        model, rum_jax.sgd(0.1), floor=0.0), r'Expected floor=0.0 in \(0, 1'),
    (lambda model, *_: proxies.held_out_retraining(
        model, rum_jax.sgd(0.1), epochs=-1), 'Expected epochs=-1 to be')])
def test_bad_values_are_named(linear, call, message):
  with pytest.raises(ValueError, match=message):
    call(*linear, LINEAR)
