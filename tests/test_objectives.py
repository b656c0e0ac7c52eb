"""The supervised objective by hand, and that padding has no effect."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from rum_jax import objectives, plans, training, trees
from rum_jax.types import Batch, Images, Plan, Split

# Double precision has 16 digits; sums of a few hundred terms and a division by
# a standard deviation leave 12 of them.
CLOSE = {'rtol': 1e-12, 'atol': 1e-12}


def batch_of(dataset: Images, index, weight=None) -> Batch:
  """A batch of the rows of a data set, all of weight 1 by default."""
  index = jnp.asarray(index)
  weight = jnp.ones(len(index)) if weight is None else jnp.asarray(weight)
  plan = Plan(index, jnp.zeros(len(index), bool), weight)
  dataset = jax.tree.map(jnp.asarray, dataset)
  return training.gather(dataset, plan, jnp.zeros(()), jnp.zeros((), int))


def noisy(key, images):
  return images * jax.random.uniform(key, images.shape)


def noise(key, batch):
  """An augmentation in which every key tells."""
  return batch.examples._replace(image=noisy(key, batch.examples.image))


def test_supervised_is_the_mean_cross_entropy_by_hand(float64, linear):
  model, variables = linear
  image = np.array([[255, 0], [0, 255], [51, 102]], np.uint8)
  dataset = Images(image.reshape(3, 2, 1, 1), np.array([0, 1, 0]))
  x = image / 255
  logits = x @ np.array([[1.0, -1.0], [0.5, 2.0]])
  p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
  want = -np.log(p[np.arange(3), [0, 1, 0]]).mean()
  (loss, stats), grads = jax.jit(jax.value_and_grad(
      objectives.supervised(model), has_aux=True))(
          variables.params, {}, batch_of(dataset, [0, 1, 2]), None)
  np.testing.assert_allclose(loss, want, **CLOSE)
  error = (p - np.array([[1, 0], [0, 1], [1, 0]])) / 3
  np.testing.assert_allclose(grads['w'], x.T @ error, **CLOSE)
  np.testing.assert_allclose(grads['b'], error.sum(0), **CLOSE)
  assert stats == {}


def test_supervised_augments_and_relabels(float64, linear):
  model, variables = linear
  image = np.array([[255, 0], [0, 204]], np.uint8).reshape(2, 2, 1, 1)
  dataset, key = Images(image, np.array([0, 1])), jax.random.key(3)
  changed = Images(noisy(key, jnp.asarray(image)), np.array([1, 0]))
  objective = objectives.supervised(
      model, noise, lambda key, batch: batch.examples._replace(
          label=(batch.examples.label + 1) % 2))
  got = jax.jit(objective)(
      variables.params, {}, batch_of(dataset, [0, 1]), key)
  want = jax.jit(objectives.supervised(model))(
      variables.params, {}, batch_of(changed, [0, 1]), None)
  np.testing.assert_allclose(got[0], want[0], **CLOSE)


def test_a_padded_batch_is_the_ragged_one(float64, cnn, toy):
  model, variables = cnn
  step = jax.jit(jax.value_and_grad(objectives.supervised(model), has_aux=True))
  key = jax.random.key(0)
  ragged = step(*variables, batch_of(toy, [3, 9, 4]), key)
  padded = step(*variables, batch_of(
      toy, [3, 9, 4, 3, 17], [1.0, 1.0, 1.0, 0.0, 0.0]), key)
  chex.assert_trees_all_close(padded, ragged, **CLOSE)
  counted = step(*variables, batch_of(toy, [3, 9, 4, 3, 17]), key)
  assert abs(counted[0][0] - ragged[0][0]) > 1e-3  # Padding would be seen.


def test_conflicting_gradients_are_projected_by_hand(float64, linear):
  """Ascent on the first row, which spares the second, third or fourth one.

  The fourth is black, so only biases have gradients there; the fifth conflicts
  with nothing, and of a padded batch nothing is to be spared.
  """
  model, variables = linear
  image = np.array([[255, 0], [204, 51], [0, 255], [0, 0], [255, 0], [9, 9]],
                   np.uint8)
  data = Images(image.reshape(6, 2, 1, 1), np.array([0, 0, 1, 0, 1, 0]))
  batch = batch_of(data, [0, 1, 2, 3, 4, 5], [1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
  loss = objectives.supervised(model)
  rise = lambda *given: (-loss(*given)[0], given[1])
  x = image / 255
  logits = x @ np.array([[1.0, -1.0], [0.5, 2.0]])
  p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)

  def slope(row):
    error = p[row] - np.eye(2)[np.asarray(data.label)[row]]
    return np.r_[np.outer(x[row], error).ravel(), error]

  def spared(row):
    objective = objectives.projected(
        objectives.of_rows(rise, slice(0, 1)),
        objectives.of_rows(loss, slice(row, row + 1)))
    return jax.value_and_grad(objective, has_aux=True)(
        variables.params, {}, batch, jax.random.key(0))

  g, conflicts, rows = -slope(0), [], (1, 2, 3, 4, 5)
  every = jax.jit(lambda: [spared(row) for row in rows])()
  for row, ((value, _), found) in zip(rows, every, strict=True):
    h = slope(row) if row < 5 else np.zeros(6)
    conflicts.append(bool(g @ h < 0))
    want = g - g @ h / (h @ h) * h if g @ h < 0 else g
    np.testing.assert_allclose(value, np.log(p[0, 0]), **CLOSE)
    np.testing.assert_allclose(
        np.r_[found['w'].ravel(), found['b']], want, **CLOSE)
  assert conflicts == [True, False, True, False, False]


def test_what_is_kept_does_not_rise_where_the_forget_set_is_left(toy, cnn):
  """Within `training.descent`, as the docstring builds it."""
  model, variables = cnn
  mean_loss = objectives.supervised(model)
  rise = lambda *given: (-(found := mean_loss(*given))[0], found[1])
  forget, retain = slice(8, None), slice(8)
  split = Split(np.arange(8), np.arange(8, 24))
  draw = plans.pair(plans.over_retain(8), plans.over_forget(8))
  batch = jax.jit(lambda toy: training.gather(
      toy, trees.take(draw(jax.random.key(3), split), 0), jnp.zeros(()),
      jnp.zeros((), int)))(toy)

  def rises(objective):
    tx = optax.sgd(1e-3)
    (moved, _), _ = training.make_step(objective, tx)(
        variables, tx.init(variables.params), batch, jax.random.key(0))
    return [mean(moved.params, variables.stats, batch, None)[0]
            - mean(*variables, batch, None)[0] for mean in (
                objectives.of_rows(mean_loss, forget),
                objectives.of_rows(mean_loss, retain))]

  ascent = objectives.of_rows(rise, forget)
  spared = objectives.projected(
      ascent, objectives.of_rows(mean_loss, retain))
  plain, projected = jax.jit(lambda: (rises(ascent), rises(spared)))()
  assert plain[0] > projected[0] > 0
  assert projected[1] < 0.1 * plain[1]
