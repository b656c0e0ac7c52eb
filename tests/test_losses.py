"""Losses against NumPy in double precision and against closed forms."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import losses

LOGITS = np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5], [-3.0, 4.0, 1.0]])
OTHER = np.array([[1.0, 1.0, 0.0], [0.0, 2.0, -2.0], [-3.0, 4.0, 1.0]])


def softmax(x: np.ndarray) -> np.ndarray:
  e = np.exp(x - x.max(-1, keepdims=True))
  return e / e.sum(-1, keepdims=True)


def test_cross_entropy_is_minus_the_log_probability(float64):
  labels = np.array([0, 2, 1])
  want = -np.log(softmax(LOGITS)[np.arange(3), labels])
  np.testing.assert_allclose(
      losses.cross_entropy(LOGITS, labels), want, rtol=1e-14)
  np.testing.assert_allclose(want[1], np.log(3), rtol=1e-14)


def test_cross_entropy_stays_finite_for_large_logits():
  logits = jnp.array([[1e4, 0.0], [0.0, 1e4]])
  np.testing.assert_array_equal(
      losses.cross_entropy(logits, jnp.array([0, 0])), [0.0, 1e4])


def test_a_class_that_does_not_exist_is_not_passed_over():
  found = losses.cross_entropy(jnp.asarray(LOGITS), jnp.array([-1, 3, 0]))
  np.testing.assert_array_equal(np.isnan(found), [True, True, False])


def test_gradient_of_cross_entropy_is_softmax_minus_one_hot(float64):
  labels = np.array([0, 2, 1])
  grad = jax.grad(lambda x: losses.cross_entropy(x, labels).sum())(LOGITS)
  np.testing.assert_allclose(
      grad, softmax(LOGITS) - np.eye(3)[labels], rtol=1e-13)


@pytest.mark.parametrize('temperature', [1.0, 4.0])
def test_distillation_is_a_scaled_divergence(float64, temperature):
  p, q = softmax(OTHER / temperature), softmax(LOGITS / temperature)
  want = temperature**2 * (p * np.log(p / q)).sum(-1)
  got = losses.distillation(LOGITS, OTHER, temperature)
  np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)
  assert got[2] == 0 and (got[:2] > 0).all()


def test_distillation_moves_the_student_only(float64):
  def total(student, teacher):
    return losses.distillation(student, teacher, 2.0).sum()

  student, teacher = jax.grad(total, argnums=(0, 1))(LOGITS, OTHER)
  want = 2.0 * (softmax(LOGITS / 2) - softmax(OTHER / 2))
  np.testing.assert_allclose(student, want, rtol=1e-12, atol=1e-15)
  np.testing.assert_array_equal(teacher, 0.0)


def test_weighted_mean_leaves_padding_out():
  values, weight = jnp.array([1.0, 4.0, 100.0]), jnp.array([1.0, 1.0, 0.0])
  assert losses.weighted_mean(values, weight) == 2.5
  assert losses.weighted_mean(values, 3 * weight) == 2.5
  assert losses.weighted_mean(values, jnp.array([3.0, 1.0, 0.0])) == 1.75


@pytest.mark.parametrize('value', [jnp.nan, jnp.inf])
def test_padding_may_hold_anything(value):
  values, weight = jnp.array([1.0, 3.0, value]), jnp.array([1.0, 1.0, 0.0])
  mean, grad = jax.value_and_grad(losses.weighted_mean)(values, weight)
  assert mean == 2.0
  np.testing.assert_array_equal(grad, [0.5, 0.5, 0.0])


def test_weighted_mean_of_nothing_is_zero_with_zero_gradient():
  mean, grad = jax.value_and_grad(losses.weighted_mean)(
      jnp.ones(2), jnp.zeros(2))
  assert mean == 0
  np.testing.assert_array_equal(grad, 0.0)


def exact(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """φ in double precision, `z_y − logsumexp(z_{k≠y})`."""
  return np.array([row[y] - np.log(np.exp(np.delete(row, y)).sum())
                   for row, y in zip(np.float64(logits), labels)])


@pytest.mark.parametrize('phi', [-80, -20, -1, 0, 1, 10, 16, 20, 40, 80])
def test_the_logit_of_the_confidence_does_not_saturate(phi):
  # Float32's own rounding of logits near 80 is 4e-6.
  logits = np.array([[phi + np.log(2), 0, 0], [0, phi + 3, 3 - np.log(2)]],
                    np.float32)
  logits[1, 0] = logits[1, 2]
  labels = np.array([0, 1])
  loss = losses.cross_entropy(jnp.asarray(logits), labels)
  want = exact(logits, labels)
  np.testing.assert_allclose(
      losses.logit_confidence(loss), want, rtol=2e-6, atol=2e-6)
  np.testing.assert_allclose(loss, np.log1p(np.exp(-want)), rtol=3e-5)
  assert loss.dtype == jnp.float32 and (loss > 0).all()


@pytest.mark.parametrize('logits', [
    [2.0, 2.0, 2.0], [1e4, 0.0, -1e4], [0.0, 1e4, 1e4], [-90.0, 0.0, 1.0],
    [60.0, 0.0, 0.0], [3e37, -3e37, 0.0], [0.0, -np.inf, 1.0]])
def test_the_gradient_is_right_and_finite_at_extremes(logits):
  logits = np.array(logits, np.float32)
  for label in range(3):
    if not np.isfinite(logits[label]):
      continue
    gradient = jax.grad(lambda x, y: losses.cross_entropy(x[None], y)[0])(
        jnp.asarray(logits), jnp.array([label]))
    want = softmax(np.float64(logits))
    # The label's own is not 1 − p, but minus the sum of the others.
    want[label] = -np.delete(want, label).sum()
    np.testing.assert_allclose(gradient, want, rtol=1e-4, atol=1e-37)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_the_loss_of_a_diverged_network_is_nan(value):
  for place in range(2):
    logits = jnp.zeros((1, 2)).at[0, place].set(value)
    assert np.isnan(losses.cross_entropy(logits, jnp.array([0])))


def test_cross_entropy_maps_and_has_no_scatter_in_its_gradient(float64):
  labels = jnp.array([0, 2, 1])
  stack = jnp.stack([LOGITS, OTHER])
  np.testing.assert_array_equal(
      jax.vmap(losses.cross_entropy, (0, None))(stack, labels),
      [losses.cross_entropy(x, labels) for x in stack])
  total = lambda x: losses.cross_entropy(x, labels).sum()
  assert 'scatter' not in jax.jit(jax.grad(total)).lower(LOGITS).as_text()


def test_one_class_is_always_right():
  loss, gradient = jax.value_and_grad(lambda x: losses.cross_entropy(
      x, jnp.array([0]))[0])(jnp.array([[3.0]]))
  assert loss == 0 and gradient == 0
