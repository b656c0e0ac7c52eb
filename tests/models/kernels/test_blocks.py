"""Blocks of images give the same results as all images at once."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import trees
from rum_jax.models.kernels import layout, winograd


@pytest.mark.parametrize('batch, size', [
    (0, 0), (1, 1), (7, 7), (16, 16), (32, 32), (33, 33), (64, 32), (80, 16),
    (100, 25), (120, 24), (256, 32), (1000, 25), (1024, 32), (251, 251)])
def test_sizes_divide_the_batch(batch, size):
  assert layout.block_size(batch) == size


@pytest.mark.parametrize('batch', [5, 40, 64])
def test_values_gradients_and_second_derivatives(float64, batch):
  rng = np.random.default_rng(0)
  x = jnp.asarray(rng.normal(size=(3, 6, 5, batch)))
  kernel = jnp.asarray(rng.normal(size=(3, 3, 3, 2)))
  weight = jnp.asarray(rng.normal(size=(2, 6, 5, batch)))
  margins = ((1, 1), (1, 1))

  def direct(x, kernel, margins):
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), margins, dimension_numbers=('CHWN', 'HWIO', 'CHWN'))

  def results(convolve):
    def total(x, kernel):
      return (weight * jnp.sin(convolve(x, kernel, margins))).sum()

    first = jax.grad(total, (0, 1))
    second = jax.grad(lambda x, k: sum(
        (a**2).sum() for a in first(x, k)), (0, 1))
    return jax.jit(lambda x, k: (convolve(x, k, margins), first(x, k),
                                 second(x, k)))(x, kernel)

  chex.assert_trees_all_close(
      results(winograd.multiply), results(direct), rtol=1e-8, atol=1e-9)


def test_blocks_under_vmap(float64):
  rng = np.random.default_rng(0)
  x = jnp.asarray(rng.normal(size=(2, 3, 4, 4, 64)))
  kernel = jnp.asarray(rng.normal(size=(2, 3, 3, 3, 2)))

  def run(x, kernel):
    return jax.value_and_grad(lambda x, k: (winograd.multiply(
        x, k, ((1, 1), (1, 1)))**2).sum(), (0, 1))(x, kernel)

  both, alone = jax.jit(jax.vmap(run))(x, kernel), jax.jit(run)
  for i in range(2):
    chex.assert_trees_all_close(
        trees.take(both, i), alone(x[i], kernel[i]), rtol=1e-9)
