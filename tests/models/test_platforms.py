"""Programs that are compiled for a GPU or TPU, without such a device."""

from __future__ import annotations

import collections
import functools
import re

import jax
import jax.numpy as jnp
import pytest

import rum_jax
from rum_jax import models
from rum_jax.types import Images, Split

SHAPE, SEEDS = (8, 8, 3), 4
NETWORK = models.ResNet(3, (1, 1), (8, 16))


@functools.cache
def traced(seeds: int):
  """A training run in half precision, and its kernels."""
  model = models.from_linen(NETWORK, SHAPE, precision=jnp.bfloat16)
  train = rum_jax.retrain(model, rum_jax.sgd(0.1), epochs=2, batch_size=8)
  dataset = Images(jnp.zeros((20, *SHAPE), jnp.uint8), jnp.zeros(20, int))
  split, key = Split(jnp.arange(0), jnp.arange(20)), jax.random.key(0)
  run = lambda key: train(key, None, dataset, split)
  if seeds > 1:
    run, key = jax.vmap(run), jax.random.split(key, seeds)
  params = jax.eval_shape(model.init, jax.random.key(0)).params
  return jax.jit(run).trace(key), sum(
      x.ndim == 4 for x in jax.tree.leaves(params))


@functools.cache
def training(platform: str, seeds: int) -> tuple[str, int]:
  """That run as it is lowered, and its kernels."""
  trace, kernels = traced(seeds)
  return trace.lower(lowering_platforms=(platform,)).as_text(), kernels


@pytest.mark.parametrize('platform, seeds', [
    ('cuda', 1), ('cuda', SEEDS), ('rocm', 1), ('tpu', 1), ('tpu', SEEDS)])
def test_convolutions_are_the_platforms_own_in_half_precision(platform, seeds):
  text, kernels = training(platform, seeds)
  found = re.findall(
      r'stablehlo\.convolution.*batch_group_count = (\d+).*'
      r'feature_group_count = (\d+).* : \((.*)\)', text)
  # Outputs, and gradients of kernels and of all inputs but the images. Those of
  # kernels in groups of batches: in groups of features a GPU would take them
  # for forward passes with a kernel as large as an image.
  batches, features = (str(seeds), '1'), ('1', str(seeds))
  assert collections.Counter(x[:2] for x in found) == (
      collections.Counter([batches] * kernels)
      + collections.Counter([features] * (2 * kernels - 1)))
  assert all(operands.count('xbf16>') == 2 for *_, operands in found)
  assert 'optimization_barrier' not in text  # Of a CPU's forms.


def test_no_step_talks_to_the_host():
  text, _ = training('cuda', 1)
  for word in ('custom_call', 'infeed', 'outfeed', 'send', 'recv'):
    assert f'stablehlo.{word}' not in text


def test_a_cpu_has_no_convolution_but_products():
  text, _ = training('cpu', 1)
  assert 'stablehlo.convolution' not in text
  assert 'optimization_barrier' in text
