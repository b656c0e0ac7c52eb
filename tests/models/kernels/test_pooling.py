"""Pools against XLA's windows, gradients included."""

from __future__ import annotations

import chex
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax.models.kernels import layout, pooling


def normal(seed: int, *shape: int):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def with_gradients(fn, x):
  """Values, and the gradient of a sum with a weight of its own for each."""
  weight = normal(9, *jax.eval_shape(fn, x).shape)
  return jax.jit(lambda x: (fn(x), jax.grad(
      lambda x: (fn(x) * weight).sum())(x)))(x)


def window_maximum(size: int, padding: int):
  """XLA's own pool with stride 2."""
  pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
  return lambda x: lax.reduce_window(
      x, -jnp.inf, lax.max, (1, size, size, 1), (1, 2, 2, 1), pads)


@pytest.mark.parametrize('height, width, fn, reference', [
    (6, 8, pooling.max_pool, window_maximum(2, 0)),
    (5, 7, pooling.max_pool, window_maximum(2, 0)),
    (6, 8, pooling.overlapping_max_pool, window_maximum(3, 1)),
    (5, 7, pooling.overlapping_max_pool, window_maximum(3, 1)),
    (1, 2, pooling.overlapping_max_pool, window_maximum(3, 1))])
def test_maxima_are_those_of_xla(float64, height, width, fn, reference):
  x = normal(0, 2, height, width, 3)
  chex.assert_trees_all_close(
      with_gradients(fn, x), with_gradients(reference, x), rtol=1e-15)


def test_overlapping_windows_by_hand():
  x = -jnp.arange(1.0, 17).reshape(1, 4, 4, 1)  # Padding must not count as 0.
  got = pooling.overlapping_max_pool(x)[0, :, :, 0]
  np.testing.assert_array_equal(got, [[-1, -2], [-5, -6]])


@pytest.mark.parametrize('shape', [(1, 4), (4, 1)])
def test_too_few_pixels_are_refused(shape):
  with pytest.raises(ValueError) as error:
    pooling.max_pool(jnp.zeros((1, *shape, 2)))
  assert str(error.value) == (
      f'Expected a height and width of at least 2, found {shape}.')


@pytest.mark.parametrize('side', [2, 4])
def test_means_of_whole_regions(float64, side):
  x = normal(0, 3, side, side, 5)
  step = side // 2
  got = pooling.mean_pool(x, 2).reshape(3, 5, 2, 2)
  want = x.reshape(3, 2, step, 2, step, 5).mean((2, 4)).transpose(0, 3, 1, 2)
  np.testing.assert_allclose(got, want, rtol=1e-14)


def test_means_of_regions_that_overlap():
  x = jnp.asarray([[1.0, 2, 4], [8, 16, 32], [64, 128, 256]])[None, :, :, None]
  # PyTorch's adaptive pool: of three, the first two and the last two.
  np.testing.assert_array_equal(
      pooling.mean_pool(x, 2)[0] * 4, [27, 54, 216, 432])
  np.testing.assert_array_equal(
      pooling.mean_pool(x[:, :1, :1], 2), [[1, 1, 1, 1]])


@pytest.mark.parametrize('fn, exact', [
    (pooling.max_pool, 0), (pooling.overlapping_max_pool, 0),
    (pooling.mean_pool, 1e-6), (lambda x: pooling.mean_pool(x, 2), 1e-6)])
def test_both_layouts_pool_alike(fn, exact, monkeypatch):
  x = jnp.asarray(normal(0, 3, 4, 6, 2), jnp.float32)
  want = fn(x)
  monkeypatch.setattr(
      pooling, 'in_platform_layout', lambda pool, x: pool(x, channel=-1))
  np.testing.assert_allclose(fn(x), want, rtol=exact)


def test_turning_twice_is_nothing():
  x = normal(0, 2, 3, 4, 5)
  assert layout.turned(x).shape == (5, 3, 4, 2)
  np.testing.assert_array_equal(layout.turned(layout.turned(x)), x)
