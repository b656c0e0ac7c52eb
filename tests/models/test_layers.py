"""The fast forms of the layers against XLA's own, gradients included."""

from __future__ import annotations

import functools

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax.models import layers
from rum_jax.models.kernels import convolution, normalization, patches, pooling
from rum_jax.models.kernels import winograd, xla

# Double precision: sums of a few hundred terms leave 13 of 16 digits, less what
# cancels in them.
CLOSE = {'rtol': 1e-11, 'atol': 1e-12}
QUICKLY = {'xla_backend_optimization_level': 0}  # Compiled, not run.


def normal(seed: int, *shape: int):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def with_gradients(fn, *args):
  """Values, and gradients of a sum in which every value has its own weight."""
  def total(*args):
    out = fn(*args)
    return (out * normal(9, *out.shape)).sum(), out

  return jax.jit(jax.value_and_grad(
      total, argnums=tuple(range(len(args))), has_aux=True),
                 compiler_options=QUICKLY)(*args)


@pytest.mark.parametrize('size, stride, height, width, padded, features', [
    (1, 1, 6, 8, True, 4), (1, 2, 5, 7, True, 4), (3, 1, 5, 8, True, 4),
    (3, 1, 5, 8, True, 2), (3, 2, 6, 8, True, 4), (3, 2, 5, 7, True, 4),
    (5, 1, 5, 8, True, 4), (5, 2, 6, 8, True, 4), (7, 2, 8, 9, True, 4),
    (3, 1, 2, 2, True, 4), (7, 2, 4, 4, True, 4),  # Fewer pixels than taps.
    (3, 1, 5, 6, False, 4), (3, 1, 5, 6, False, 2), (3, 2, 6, 7, False, 4)])
def test_patches_convolve_as_xla_does(
    float64, size, stride, height, width, padded, features):
  x = normal(0, 2, height, width, 3)
  kernel = normal(1, size, size, 3, features)
  (_, got), got_grads = with_gradients(
      lambda a, b: convolution.patch_convolution(a, b, stride, padded),
      x, kernel)
  (_, want), grads = with_gradients(
      lambda a, b: xla.lax_convolution(a, b, stride, padded), x, kernel)
  rows, columns = (
      -(-(n if padded else n - size + 1) // stride) for n in (height, width))
  chex.assert_shape(got, (2, rows, columns, features))
  chex.assert_trees_all_close((got, got_grads), (want, grads), **CLOSE)


# Height, width, channels, features, size and stride of shapes that take
# products of patches, of Winograd's points, also by depth, and sums.
FORMS = [(6, 6, 5, 4, 3, 2), (9, 10, 5, 4, 3, 1), (3, 4, 5, 6, 3, 1),
         (7, 6, 3, 4, 3, 1), (9, 8, 2, 4, 5, 2), (7, 6, 9, 8, 5, 1)]
FLAT = [(1, 12, 5, 3, 3, 1), (2, 13, 3, 4, 5, 2)]


@pytest.mark.parametrize(
    'height, width, channels, features, size, stride, padded, cached',
    [(*form, *how) for form in FORMS for how in ((True, 1), (False, 10**9))]
    + [(*form, True, 1) for form in FLAT])
def test_every_form_convolves_by_rows_and_whole(
    float64, monkeypatch, height, width, channels, features, size, stride,
    padded, cached):
  monkeypatch.setattr(patches, '_CACHED', cached)
  args = normal(0, 3, height, width, channels), normal(
      1, size, size, channels, features)
  got, want = (with_gradients(lambda a, b, fn=fn: fn(a, b, stride, padded),
                              *args)
               for fn in (convolution.patch_convolution,
                          xla.lax_convolution))
  chex.assert_trees_all_close(got, want, **CLOSE)


@pytest.mark.parametrize('cached', [1, 10**9])
def test_a_stride_beyond_the_kernel_leaves_inputs_without_a_gradient(
    float64, monkeypatch, cached):
  monkeypatch.setattr(patches, '_CACHED', cached)
  args = normal(0, 2, 9, 9, 5), normal(1, 3, 3, 5, 2)
  got, want = (with_gradients(lambda a, b, fn=fn: fn(a, b, 4), *args)
               for fn in (convolution.patch_convolution,
                          xla.lax_convolution))
  chex.assert_trees_all_close(got, want, **CLOSE)


@pytest.mark.parametrize('cached', [1, 10**9])
def test_patches_of_half_precision_are_summed_in_single(monkeypatch, cached):
  monkeypatch.setattr(patches, '_CACHED', cached)
  half = (normal(0, 3, 2, 257, 4).astype('bfloat16'),
          normal(1, 3, 3, 2, 4).astype('bfloat16'))

  def total(turned, kernel):
    return patches.multiply(turned, kernel, 2, ((1, 1), (1, 1))).astype(
        'float32').sum()

  def single(x):
    return x.astype('float32')

  args = half[0].transpose(1, 2, 3, 0), half[1]
  got, want = (jax.jit(jax.grad(total, 1))(*xs) for xs in (
      args, jax.tree.map(single, args)))
  assert got.dtype == 'bfloat16'
  error = jnp.abs(single(got) - want).max() / jnp.abs(want).max()
  assert error < 2**-8  # The result is rounded, and nothing else.


@pytest.mark.parametrize(
    'height, width, channels, features, size, stride, cached',
    [(*form, 10**9) for form in FORMS] + [(6, 6, 5, 4, 3, 2, 1)])
def test_every_form_can_be_differentiated_twice_and_mapped(
    float64, monkeypatch, height, width, channels, features, size, stride,
    cached):
  monkeypatch.setattr(patches, '_CACHED', cached)
  x, kernels = normal(0, 2, height, width, channels), normal(
      1, 2, size, size, channels, features)

  def curvature(fn):
    def slopes(*args):
      return jax.grad(lambda x, k: (fn(x, k, stride)**3).sum(), (0, 1))(*args)

    def length(*args):
      return sum((slope**2).sum() for slope in slopes(*args))
    return jax.jit(jax.vmap(jax.grad(length, (0, 1)), (None, 0)),
                   compiler_options=QUICKLY)(x, kernels)

  got, want = map(curvature, (convolution.patch_convolution,
                              xla.lax_convolution))
  chex.assert_trees_all_close(got, want, rtol=1e-9, atol=1e-5)


def test_equal_pixels_share_the_gradient_of_max_pool():
  slope = jax.grad(lambda x: pooling.max_pool(x).sum())
  x = jnp.zeros((1, 2, 2, 1))
  np.testing.assert_array_equal(slope(x), np.full(x.shape, 0.25))
  x = x.at[0, 1].set(2.0)  # The two of the lower row.
  np.testing.assert_array_equal(slope(x)[0, :, :, 0], [[0, 0], [0.5, 0.5]])


def test_winograd_rounds_a_few_times_as_coarsely_as_a_direct_sum(float64):
  double = normal(0, 32, 8, 8, 4), normal(1, 3, 3, 32, 16)
  single = [a.astype(jnp.float32) for a in double]
  got, exact = (winograd.multiply(*args, ((1, 1), (1, 1)))
                for args in (single, double))
  direct = xla.lax_convolution(single[0].T.swapaxes(1, 2), single[1])
  assert got.dtype == jnp.float32
  ours, theirs = (((out - exact)**2).mean()**0.5
                  for out in (got, direct.swapaxes(1, 2).T))
  # If each term rounds like one of a direct sum: its variance along an axis,
  # both of which multiply, and the root of that.
  terms = (winograd._KERNEL**2).sum(1) * (winograd._INPUT**2).sum(1)
  growth = (winograd._OUTPUT**2 @ terms).mean() / 3
  assert ours < growth * theirs and growth < 7


def test_winograd_computes_half_precision_in_single():
  half = [normal(i, *shape).astype('bfloat16')
          for i, shape in enumerate([(32, 8, 8, 2), (3, 3, 32, 16)])]
  ((_, got), got_grads), ((_, want), grads) = (
      with_gradients(lambda x, k: winograd.multiply(x, k, ((1, 1), (1, 1))),
                     *args)
      for args in (half, [x.astype('float32') for x in half]))
  for a, b in zip((got, *got_grads), (want, *grads), strict=True):
    assert a.dtype == 'bfloat16'
    # Results are rounded, gradients from a rounded slope; nothing else is.
    error = jnp.abs(a.astype('float32') - b).max() / jnp.abs(b).max()
    assert error < 2**-8


@pytest.mark.parametrize('size, stride', [(3, 1), (5, 2), (1, 1), (3, 2)])
def test_no_images_are_convolved_to_none(size, stride):
  out = convolution.patch_convolution(
      jnp.zeros((0, 8, 8, 5)), jnp.zeros((size, size, 5, 7)), stride)
  chex.assert_shape(out, (0, 8 // stride, 8 // stride, 7))


def test_xlas_convolution_is_the_sum_by_hand(float64):
  x, kernel = normal(0, 1, 4, 5, 2), normal(1, 3, 3, 2, 3)
  padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  for stride in (1, 2):
    got = xla.lax_convolution(x, kernel, stride)
    for i, j in np.ndindex(*got.shape[1:3]):
      seen = padded[0, stride * i:stride * i + 3, stride * j:stride * j + 3]
      np.testing.assert_allclose(
          got[0, i, j], np.einsum('hwc,hwco->o', seen, kernel), **CLOSE)


def test_convolution_layer(float64):
  layer = layers.Conv(4, stride=2)
  x = normal(0, 2, 6, 6, 3)
  variables = layer.init(jax.random.key(0), x)
  kernel = variables['params']['kernel']
  chex.assert_shape(kernel, (3, 3, 3, 4))
  np.testing.assert_allclose(
      layer.apply(variables, x), xla.lax_convolution(x, kernel, 2),
      rtol=1e-11, atol=1e-12)


def test_convolution_without_padding_and_with_bias(float64):
  layer = layers.Conv(4, padded=False, bias=True)
  x, kernel, bias = normal(0, 2, 5, 6, 3), normal(1, 3, 3, 3, 4), normal(2, 4)
  np.testing.assert_array_equal(
      layer.init(jax.random.key(0), x)['params']['bias'], jnp.zeros(4))
  got = layer.apply({'params': {'kernel': kernel, 'bias': bias}}, x)
  whole = xla.lax_convolution(x, kernel)
  np.testing.assert_allclose(got, whole[:, 1:-1, 1:-1] + bias, **CLOSE)


def test_convolution_without_padding_needs_pixels():
  with pytest.raises(ValueError, match='at least 3×3 pixels, found 4×2'):
    layers.Conv(4, padded=False).init(
        jax.random.key(0), jnp.zeros((1, 4, 2, 1)))


def test_a_convolution_of_single_pixels_is_one_product():
  text = jax.jit(convolution.patch_convolution).lower(
      jnp.zeros((2, 4, 4, 3)), jnp.zeros((1, 1, 3, 5))).as_text()
  assert text.count('dot_general') == 1 and 'concatenate' not in text


@pytest.mark.parametrize('draw, like', [
    (layers.kaiming_normal,
     nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')),
    (layers.torch_uniform,
     nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform'))])
@pytest.mark.parametrize('shape', [(3, 3, 4, 6), (5, 7)])
def test_initial_weights_are_those_of_jax_drawn_flat(
    float64, draw, like, shape):
  key = jax.random.key(3)
  np.testing.assert_allclose(draw(key, shape), like(key, shape), rtol=1e-12)


@pytest.mark.parametrize('size, message', [
    (2, 'Expected size=2 to be odd.'), (-3, 'Expected size=-3 to be at least '
                                        '1.'),
    ((3, 3), 'Expected a whole number for size, found (3, 3).')])
def test_convolution_refuses_what_is_not_one_odd_size(size, message):
  with pytest.raises(ValueError) as error:
    layers.Conv(4, size).init(jax.random.key(0), jnp.zeros((1, 4, 4, 1)))
  assert str(error.value) == message


# Sums, Winograd's, by depth, patches, points, and the whole as one matrix.
@pytest.mark.parametrize('pixels, channels, size, stride, cached', [
    (4, 3, 3, 1, 1), (6, 8, 3, 1, 1), (6, 5, 5, 2, 1), (6, 5, 3, 2, 1),
    (6, 5, 3, 2, 10**9), (5, 3, 1, 2, 1), (2, 5, 3, 1, 1)])
@pytest.mark.parametrize('axes', [(None, 0), (0, None), (0, 0), (1, 2)])
def test_convolutions_of_many_models_are_those_of_each(
    float64, monkeypatch, pixels, channels, size, stride, axes, cached):
  monkeypatch.setattr(patches, '_CACHED', cached)
  args = [normal(0, 2, pixels, pixels, channels),
          normal(1, size, size, channels, 8)]
  args = [x if axis is None else jnp.stack([x, 2 * x, x - 1], axis)
          for x, axis in zip(args, axes)]
  got, want = jax.jit(lambda *args: [
      jax.vmap(functools.partial(fn, stride=stride), axes)(*args)
      for fn in (convolution.patch_convolution, xla.lax_convolution)],
                      compiler_options=QUICKLY)(*args)
  np.testing.assert_allclose(got, want, **CLOSE)


@pytest.mark.parametrize('many', [(), (2,)])
@pytest.mark.parametrize('channels, size, stride, count', [
    (5, 3, 1, 10), (3, 1, 2, 2), (5, 5, 2, 13)])
def test_what_is_written_out_separately_stays_so(
    many, channels, size, stride, count):

  def total(x, kernel):
    return (convolution.patch_convolution(x, kernel, stride)**2).sum()

  slopes = jax.grad(total, (0, 1))
  program = jax.jit(jax.vmap(slopes) if many else slopes).lower(
      jnp.ones((*many, 2, 6, 6, channels)),
      jnp.ones((*many, size, size, channels, 4)))
  assert program.as_text().count('stablehlo.case') == count
  assert program.compile().as_text().count(' conditional(') == count


@pytest.mark.parametrize('shape', [(5, 3), (5, 4, 4, 3)])
def test_moments_leave_padding_out(float64, shape):
  x = normal(0, *shape) + 2
  mask = jnp.array([1.0, 0.0, 1.0, 1.0, 0.0])
  kept = np.asarray(x)[np.asarray(mask) == 1].reshape(-1, 3)
  mean, variance, count = normalization.moments(x, mask)
  np.testing.assert_allclose(mean, kept.mean(0), **CLOSE)
  np.testing.assert_allclose(variance, kept.var(0), **CLOSE)
  assert count == len(kept)
  chex.assert_trees_all_close(
      normalization.moments(x, None),
      normalization.moments(x, jnp.ones(5)), **CLOSE)


def batch_norm(x, mask=None, train=True, stats=None, scale=None, bias=None):
  channels = x.shape[-1]
  ones, zeros = jnp.ones(channels), jnp.zeros(channels)
  return layers.BatchNorm().apply(
      {'params': {'scale': ones if scale is None else scale,
                  'bias': zeros if bias is None else bias},
       'batch_stats': stats or {'mean': zeros, 'var': ones}},
      x, train=train, mask=mask, mutable=['batch_stats'])


def test_running_moments_follow_pytorchs_formula(float64):
  x = normal(0, 4, 2, 2, 3) * 2 + 1
  stats = {'mean': normal(1, 3), 'var': jnp.abs(normal(2, 3)) + 0.5}
  flat = np.asarray(x).reshape(16, 3)
  _, new = batch_norm(x, stats=stats)
  # momentum 0.1 in its words: 0.9 old + 0.1 new, the variance over n − 1.
  chex.assert_trees_all_close(new['batch_stats'], {
      'mean': 0.9 * stats['mean'] + 0.1 * flat.mean(0),
      'var': 0.9 * stats['var'] + 0.1 * flat.var(0, ddof=1)}, **CLOSE)


def test_batch_norm_leaves_padding_out(float64):
  x, mask = normal(0, 6, 2, 2, 3), jnp.array([1.0, 1, 0, 1, 0, 1])
  kept = np.flatnonzero(mask)
  got, new = batch_norm(x, mask)
  want, stats = batch_norm(x[kept])
  chex.assert_trees_all_close((got[kept], new), (want, stats), **CLOSE)
  _, others = batch_norm(x)
  assert jnp.abs(others['batch_stats']['mean'] - new['batch_stats']['mean']
                 ).max() > 1e-3


@pytest.mark.parametrize('mask', [None, jnp.array([1.0, 1, 1, 0, 1])])
def test_batch_norm_and_its_gradients_are_the_textbooks(float64, mask):
  def textbook(x, scale, bias):
    kept = x if mask is None else x[np.flatnonzero(mask)]
    mean = kept.mean((0, 1, 2))
    variance = ((kept - mean)**2).mean((0, 1, 2))
    return scale * (x - mean) / jnp.sqrt(variance + 1e-5) + bias

  def ours(x, scale, bias):
    return batch_norm(x, mask, scale=scale, bias=bias)[0]

  args = normal(0, 5, 2, 3, 4), normal(1, 4), normal(2, 4)
  got, want = (with_gradients(fn, *args) for fn in (ours, textbook))
  chex.assert_trees_all_close(got, want, rtol=1e-10, atol=1e-11)


def test_evaluation_uses_the_running_moments_and_keeps_them(float64):
  x, scale, bias = normal(0, 3, 4), normal(1, 4), normal(2, 4)
  stats = {'mean': normal(3, 4), 'var': jnp.abs(normal(4, 4)) + 0.5}
  got, new = batch_norm(x, train=False, stats=stats, scale=scale, bias=bias)
  want = (x - stats['mean']) / jnp.sqrt(stats['var'] + 1e-5) * scale + bias
  np.testing.assert_allclose(got, want, **CLOSE)
  chex.assert_trees_all_equal(new['batch_stats'], stats)


def test_a_batch_of_padding_changes_nothing():
  stats = {'mean': jnp.array([1.0, 2.0]), 'var': jnp.array([3.0, 4.0])}
  x = jnp.asarray(normal(0, 3, 2), jnp.float32)
  apply = functools.partial(batch_norm, mask=jnp.zeros(3), stats=stats)
  out, new = apply(x)
  chex.assert_trees_all_equal(new['batch_stats'], stats)
  assert jnp.isfinite(out).all()
  assert jnp.isfinite(jax.grad(lambda x: apply(x)[0].sum())(x)).all()


def test_a_single_value_has_no_unbiased_variance_but_does_no_harm():
  _, new = batch_norm(jnp.array([[5.0]]))
  np.testing.assert_allclose(new['batch_stats']['mean'], [0.5], rtol=1e-6)
  np.testing.assert_allclose(new['batch_stats']['var'], [0.9], rtol=1e-6)
