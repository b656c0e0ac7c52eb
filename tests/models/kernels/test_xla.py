"""XLA's own convolution, its gradients and its `vmap`, against plain JAX."""

from __future__ import annotations

import functools

import chex
import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
import numpy as np
import pytest

from rum_jax.models.kernels import xla

CLOSE = {'rtol': 1e-10, 'atol': 1e-10}  # Double precision, sums of thousands.
quickly = functools.partial(
    jax.jit, compiler_options={'xla_backend_optimization_level': 0})
each = pytest.mark.parametrize('size, stride, padded', [
    (3, 1, True), (3, 2, True), (3, 1, False), (1, 2, True)])


def drawn(*shape: int) -> jax.Array:
  return jnp.asarray(np.random.default_rng(len(shape)).normal(size=shape))


def forms(stride: int, padded: bool):
  """Gradients to the third of a loss of ours, and of the plain form."""

  def gradient(loss):
    return jax.grad(lambda x, k: sum(
        (y**2).sum() for y in jax.tree.leaves(loss(x, k))), (0, 1))

  for fn in (xla.grouped_convolution, xla.lax_convolution):
    first = gradient(lambda x, k, fn=fn: fn(x, k, stride, padded)**2)
    second = gradient(first)
    yield first, second, gradient(second)


@each
def test_gradients_of_all_orders(float64, size, stride, padded):
  x, kernel = drawn(2, 5, 6, 3), drawn(size, size, 3, 4)
  for ours, plain in zip(*forms(stride, padded), strict=True):
    chex.assert_trees_all_close(
        quickly(ours)(x, kernel), quickly(plain)(x, kernel), **CLOSE)


@each
@pytest.mark.parametrize('axes', [(0, 0), (0, None), (None, 0)])
def test_gradients_of_many(float64, size, stride, padded, axes):
  args = (drawn(3, 2, 5, 6, 3), drawn(3, size, size, 3, 4))
  args = [a if x == 0 else a[0] for a, x in zip(args, axes)]
  for ours, plain in zip(*(f[:2] for f in forms(stride, padded)), strict=True):
    chex.assert_trees_all_close(
        quickly(jax.vmap(ours, axes))(*args),
        quickly(jax.vmap(plain, axes))(*args), **CLOSE)


def test_examples_within_networks(float64):
  x, kernels = drawn(2, 3, 1, 5, 6, 3), drawn(2, 3, 3, 3, 4)
  (ours, *_), (plain, *_) = forms(1, True)
  of_each = lambda fn: quickly(jax.vmap(jax.vmap(fn, (0, None))))
  chex.assert_trees_all_close(
      of_each(ours)(x, kernels), of_each(plain)(x, kernels), **CLOSE)


@pytest.mark.parametrize('spec', [PartitionSpec(), PartitionSpec('devices')])
def test_gradients_within_a_shard_map(float64, spec):
  """Of a kernel that all devices share, and of one that each has of its own."""
  args = drawn(2, 5, 6, 3), drawn(3, 3, 3, 4)
  (ours, *_), (plain, *_) = forms(1, True)
  specs = PartitionSpec('devices'), spec
  mesh = Mesh(np.array(jax.devices()[:1]), 'devices')
  got = jax.shard_map(ours, mesh=mesh, in_specs=specs, out_specs=specs)(*args)
  chex.assert_trees_all_close(got, plain(*args), **CLOSE)
