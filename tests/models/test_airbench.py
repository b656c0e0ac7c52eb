"""AirBench's network: its size, its whitening and the data of that."""

from __future__ import annotations

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rum_jax
from rum_jax import batch_norm, models, training
from rum_jax.models import airbench
from rum_jax.types import Images, Split

# Nothing here depends on how convolutions are computed.
pytestmark = pytest.mark.usefixtures('plain')
MODEL = models.from_linen(
    models.AirBench(3, (4, 5, 6)), (12, 12, 3), mean=(0.4,), std=(0.3,))
IMAGES = np.random.default_rng(0).integers(0, 256, (30, 12, 12, 3), np.uint8)
DATASET = Images(IMAGES, np.arange(30, dtype=np.int32) % 3)
SPLIT = Split(np.arange(10, dtype=np.int32), np.arange(10, 30, dtype=np.int32))


def other_forget_set():
  image = IMAGES.copy()
  image[:10] = 255 - image[:10]
  return DATASET._replace(image=image)


def kernel_of(variables):
  return np.asarray(variables.stats['whiten']['kernel'])


def test_as_many_numbers_as_the_pytorch_network_of_these_widths():
  """295,096 was counted in PyTorch, batch-norm's scales included."""
  network = models.AirBench(10, (32, 64, 128))
  params, stats = jax.eval_shape(
      models.from_linen(network, (32, 32, 3)).init, jax.random.key(0))
  frozen = [x for path, x in jax.tree.leaves_with_path(stats)
            if path[-1].key in ('kernel', 'scale')]
  assert sum(x.size for x in [*jax.tree.leaves(params), *frozen]) == 295_096


def test_patches_are_whitened():
  x = jnp.asarray(IMAGES, jnp.float32) / 255 @ np.float32(
      [[1, 0.9, 0.8], [0, 0.5, 0.4], [0, 0, 0.3]])
  kernel = np.asarray(airbench.whitening_kernel(x))
  assert kernel.shape == (2, 2, 3, 24)
  patches = np.stack([
      np.asarray(x)[:, i:i + 11, j:j + 11] for i in (0, 1) for j in (0, 1)], 3)
  values = patches.reshape(-1, 12) @ kernel.reshape(12, 24)
  np.testing.assert_array_equal(kernel[..., 12:], -kernel[..., :12])
  second = values[:, :12].T @ values[:, :12] / len(values)
  variance = np.diag(second)
  np.testing.assert_allclose(second, np.diag(variance), atol=2e-3)
  # An eigenvalue v becomes v / (v + 5e-4), the largest come first.
  assert variance[0] > 0.99 and (np.diff(variance) < 1e-3).all()
  largest = np.take_along_axis(
      kernel.reshape(12, 24), abs(kernel.reshape(12, 24)).argmax(0)[None], 0)
  assert (largest[0, :12] > 0).all()


def test_an_oracle_sees_nothing_of_the_forget_set():
  unlearner = jax.jit(rum_jax.retrain(
      MODEL, rum_jax.sgd(0.1), epochs=1, batch_size=10))
  key = jax.random.key(0)
  one, other = (unlearner(key, None, data, SPLIT)[0]
                for data in (DATASET, other_forget_set()))
  chex.assert_trees_all_equal(one, other)
  whole = training.fresh(key, MODEL, DATASET, np.arange(30))
  assert (kernel_of(one) != kernel_of(whole)).any()


def test_a_layer_that_starts_afresh_is_whitened_by_the_retain_set():
  start = training.fresh(jax.random.key(1), MODEL, DATASET, np.arange(30))
  unlearner = rum_jax.eu_k(MODEL, rum_jax.sgd(0.1), k=5, epochs=0)
  found, _ = unlearner(jax.random.key(0), start, DATASET, SPLIT)
  want = training.fresh(jax.random.key(2), MODEL, DATASET, SPLIT.retain)
  np.testing.assert_array_equal(kernel_of(found), kernel_of(want))


def test_whitening_outlives_training_and_recalibration():
  start = training.fresh(jax.random.key(1), MODEL, DATASET, SPLIT.retain)
  run = jax.jit(batch_norm.recalibrated(
      rum_jax.finetune(MODEL, rum_jax.sgd(0.1), epochs=1, batch_size=10),
      MODEL, 10))
  found, _ = run(jax.random.key(0), start, DATASET, SPLIT)
  for path, x in jax.tree.leaves_with_path(found.stats):
    before = functools.reduce(
        lambda tree, key: tree[key.key], path, start.stats)
    if path[-1].key in ('kernel', 'scale'):
      np.testing.assert_array_equal(x, before)
    else:
      assert (np.asarray(x) != before).all()


def test_runs_of_many_rows_are_whitened_each_by_its_own():
  rows = np.stack([np.arange(20), np.arange(10, 30)])
  start = functools.partial(training.fresh, jax.random.key(0), MODEL, DATASET)
  both = jax.vmap(start)(rows)
  for i in range(2):
    np.testing.assert_allclose(
        kernel_of(both)[i], kernel_of(start(rows[i])), atol=1e-4)
