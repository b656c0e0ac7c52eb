"""What batch-norm does while a network unlearns."""

from __future__ import annotations

from flax import linen as nn
import jax
import numpy as np
import pytest

import rum_jax
from rum_jax import batch_norm, models, trees
from rum_jax.types import Outputs, Split, Variables

SPLIT = Split(np.arange(4, dtype=np.int32), np.arange(4, 20, dtype=np.int32))
TX = rum_jax.sgd(0.1, momentum=0.0)


def run(unlearner, variables, dataset, split=SPLIT):
  return jax.jit(unlearner)(jax.random.key(0), variables, dataset, split)[0]


def close(a, b, rtol):
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol), a, b)


def test_update_is_the_default(toy, cnn):
  model, variables = cnn
  found = run(rum_jax.finetune(model, TX, epochs=1), variables, toy)
  assert all((np.asarray(a) != b).all() for a, b in zip(
      jax.tree.leaves(found.stats), jax.tree.leaves(variables.stats)))


def test_freeze_leaves_the_moments_alone_and_uses_them(float64, toy, cnn):
  model, variables = cnn
  variables = variables._replace(stats=jax.tree.map(
      lambda x: x + 0.5, variables.stats))
  found = run(rum_jax.finetune(
      batch_norm.frozen(model), TX, epochs=1), variables, toy)
  jax.tree.map(np.testing.assert_array_equal, found.stats, variables.stats)
  kept = trees.take(toy, SPLIT.retain)

  @jax.jit
  def loss(params):
    outputs, _ = model.apply(
        Variables(params, variables.stats), kept, train=False)
    logs = jax.nn.log_softmax(outputs.prediction)
    return -logs[np.arange(len(kept.label)), kept.label].mean()

  gradient = jax.grad(loss)(variables.params)
  close(found.params, jax.tree.map(
      lambda p, g: p - 0.1 * g, variables.params, gradient), 1e-10)


def moments_of(model, variables, image):
  """Mean and unbiased variance of what enters the batch-norm, in NumPy."""
  x = (image / 255 - 0.5) / 0.25
  padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  kernel = np.asarray(variables.params['Conv_0']['kernel'])
  y = sum(padded[:, i:i + 8, j:j + 8] @ kernel[i, j]
          for i in range(3) for j in range(3))
  flat = y.reshape(-1, y.shape[-1])
  return flat.mean(0), flat.var(0, ddof=1)


def test_recalibrated_moments_are_those_of_the_retain_set(float64, toy, cnn):
  """One batch of all; in batches, the mean of theirs, each by its size."""
  model, variables = cnn
  image = toy.image[SPLIT.retain]
  unlearner = batch_norm.recalibrated(rum_jax.identity(), model, 16)
  found = run(unlearner, variables, toy)
  jax.tree.map(np.testing.assert_array_equal, found.params, variables.params)
  mean, var = moments_of(model, variables, image)
  close(found.stats['BatchNorm_0'], {'mean': mean, 'var': var}, 1e-9)
  parts = run(batch_norm.recalibrated(rum_jax.identity(), model, 6),
              variables, toy)
  close(parts.stats['BatchNorm_0']['mean'], mean, 1e-9)
  assert (np.asarray(parts.stats['BatchNorm_0']['var']) != var).all()


class Whitened(nn.Module):
  """A whitening and a fixed scale lie with the moments, but are none."""

  @nn.compact
  def __call__(self, x, *, train, mask):
    x = models.airbench.Whitening(name='whiten')(x)
    x = models.layers.BatchNorm(0.6, fixed_scale=True, name='norm')(
        x, train=train, mask=mask)
    return Outputs(nn.Dense(3)(x.mean((1, 2))), x.mean((1, 2)))


def test_values_that_are_no_moments_stay_and_are_used(float64, toy):
  model = models.from_linen(Whitened(), (8, 8, 1))
  variables = jax.tree.map(lambda x: x.astype(float),
                           model.init(jax.random.key(0)))
  found = run(batch_norm.recalibrated(rum_jax.identity(), model, 16),
              variables, toy).stats
  kernel, = variables.stats['whiten'].values()
  np.testing.assert_array_equal(found['whiten']['kernel'], kernel)
  np.testing.assert_array_equal(found['norm']['scale'], 1)
  image = toy.image[SPLIT.retain] / 255
  patches = np.stack([image[:, i:7 + i, j:7 + j, 0]
                      for i in range(2) for j in range(2)], -1)
  y = (patches @ np.asarray(kernel).reshape(4, -1)).reshape(-1, 8)
  np.testing.assert_allclose(
      found['norm']['mean'], y.mean(0), rtol=1e-9, atol=1e-11)
  np.testing.assert_allclose(found['norm']['var'], y.var(0, ddof=1), rtol=1e-9)


def test_recalibration_sees_no_old_moments_and_no_forget(float64, toy, cnn):
  model, variables = cnn
  unlearner = batch_norm.recalibrated(rum_jax.identity(), model, 6)
  found = run(unlearner, variables, toy)
  image = toy.image.copy()
  image[SPLIT.forget] = 0
  other = variables._replace(stats=jax.tree.map(
      lambda x: 3 * x + 1, variables.stats))
  close(run(unlearner, other, toy._replace(image=image)).stats, found.stats,
        1e-11)


def test_recalibration_comes_after_the_unlearner_and_keeps_its_key(toy, cnn):
  model, variables = cnn
  method = rum_jax.random_label(model, TX, epochs=1, batch_size=8)
  plain = run(method, variables, toy)
  found = run(batch_norm.recalibrated(method, model), variables, toy)
  jax.tree.map(np.testing.assert_array_equal, found.params, plain.params)
  assert all((np.asarray(a) != b).any() for a, b in zip(
      jax.tree.leaves(found.stats), jax.tree.leaves(plain.stats)))


def test_recalibration_after_rum_uses_the_last_stage(toy, cnn):
  model, variables = cnn
  first = Split(SPLIT.forget[:2], np.arange(2, 20, dtype=np.int32))
  still = rum_jax.identity()
  both = batch_norm.recalibrated(rum_jax.sequential(still, still), model)
  found = run(both, variables, toy, (first, SPLIT))
  want = run(batch_norm.recalibrated(still, model), variables, toy)
  jax.tree.map(np.testing.assert_array_equal, found.stats, want.stats)


def test_a_network_without_batch_norm_stays_as_it_is(toy):
  model = models.from_linen(models.MLP(3, (4,)), (8, 8, 1))
  variables = model.init(jax.random.key(0))
  still = rum_jax.identity()
  found = run(batch_norm.recalibrated(still, model), variables, toy)
  assert found.stats == {}


@pytest.mark.parametrize('wrong', [-1, 24])
def test_recalibration_on_rows_that_are_not_there(toy, cnn, wrong):
  model, variables = cnn
  split = Split(SPLIT.forget, np.append(SPLIT.retain, np.int32(wrong)))
  unlearner = batch_norm.recalibrated(rum_jax.identity(), model)
  with pytest.raises(ValueError, match=f'rows to retain in .* found {wrong}'):
    unlearner(jax.random.key(0), variables, toy, split)
  found = run(unlearner, variables, toy, split)
  assert all(np.isnan(x).all() for x in jax.tree.leaves(found.stats))


def test_refusals(cnn):
  with pytest.raises(TypeError, match='unlearner to be callable, found 3'):
    batch_norm.recalibrated(3, cnn[0])
  with pytest.raises(ValueError, match='batch_size=0'):
    batch_norm.recalibrated(rum_jax.identity(), cnn[0], 0)
