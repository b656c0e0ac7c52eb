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
