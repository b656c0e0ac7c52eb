"""A linear model whose steps can be computed by hand in NumPy."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
import pytest

from rum_jax import tasks
from rum_jax.types import Images, Model, Outputs, Split, Variables


def softmax(logits: np.ndarray) -> np.ndarray:
  powers = np.exp(logits - logits.max(-1, keepdims=True))
  return powers / powers.sum(-1, keepdims=True)


class Hand(NamedTuple):
  """Two pixels, two classes; two examples to forget and three to keep."""

  model: Model
  variables: Variables
  examples: Images
  split: Split
  fresh: Variables

  def run(self, unlearner, seed=0):
    """Unlearns, and returns `(params, info)`."""
    result, info = jax.jit(unlearner)(
        jax.random.key(seed), self.variables, self.examples, self.split)
    return result.params, info

  def rows(self, rows):
    """`(x [n, 2], one-hot labels [n, 2])` of rows of the data set."""
    x = self.examples.image[rows].reshape(len(rows), 2) / 255
    return x, np.eye(2)[self.examples.label[rows]]

  def probabilities(self, params, rows, temperature=1.0):
    x, _ = self.rows(rows)
    return softmax((x @ params['w'] + params['b']) / temperature)

  def loss(self, params, rows):
    """Mean cross-entropy."""
    _, label = self.rows(rows)
    return -np.log((self.probabilities(params, rows) * label).sum(1)).mean()

  def pull(self, rows, errors):
    """Gradient of a mean of losses whose logit gradients are `errors`."""
    x, _ = self.rows(rows)
    return {'w': x.T @ errors / len(rows), 'b': errors.mean(0)}

  def gradient(self, params, rows):
    """Gradient of the mean cross-entropy."""
    _, label = self.rows(rows)
    return self.pull(rows, self.probabilities(params, rows) - label)

  def each(self, params, rows):
    """`[n, 6]` gradients of single examples, `b` before `w`."""
    stacked = [self.gradient(params, [row]) for row in rows]
    return np.stack([np.r_[g['b'], g['w'].ravel()] for g in stacked])


@pytest.fixture
def hand(float64) -> Hand:
  image = np.asarray([[51, 204], [255, 0], [102, 51], [0, 255], [153, 102]],
                     np.uint8).reshape(5, 2, 1, 1)
  label = np.asarray([0, 1, 1, 0, 1], np.int32)
  split = Split(np.asarray([0, 1], np.int32), np.asarray([2, 3, 4], np.int32))

  def params(w, b):
    return Variables({'w': np.asarray(w), 'b': np.asarray(b)}, {})

  start = params([[1.0, -1.0], [0.5, 2.0]], [0.25, -0.5])
  fresh = params([[0.1, 0.3], [-0.2, 0.4]], [0.0, 0.05])

  def apply(variables, examples, *, train, key=None, mask=None):
    images = examples.image
    x = images.reshape(len(images), 2).astype(float) / 255
    w, b = variables.params['w'], variables.params['b']
    return Outputs(x @ w + b, x), variables.stats

  model = Model(lambda key: fresh, apply, tasks.classification())
  return Hand(model, start, Images(image, label), split, fresh)
