"""Networks and a method of somebody's own: `package.module:factory`."""

from __future__ import annotations

from flax import nnx
import jax
import jax.numpy as jnp

from rum_jax import models


def linen(classes: int) -> models.MLP:
  return models.MLP(classes, (8,))


class Dropped(nnx.Module):
  """An NNX module with dropout."""

  def __init__(self, classes: int, rngs: nnx.Rngs):
    self.first = nnx.Linear(192, 8, rngs=rngs)
    self.dropout = nnx.Dropout(0.1, rngs=rngs)
    self.head = nnx.Linear(8, classes, rngs=rngs)

  def __call__(self, x):
    x = nnx.relu(self.first(x.reshape(len(x), -1)))
    return self.head(self.dropout(x))


def with_dropout(classes: int, rngs: nnx.Rngs) -> Dropped:
  return Dropped(classes, rngs)


def functions(classes: int, image_shape: tuple[int, ...]):
  """A linear network as a pair of pure functions."""
  size = image_shape[0] * image_shape[1] * image_shape[2]

  def init(key):
    return {'head': {'kernel': 0.01 * jax.random.normal(key, (size, classes)),
                     'bias': jnp.zeros(classes)}}

  def apply(params, images):
    x = images.reshape(len(images), -1)
    return x @ params['head']['kernel'] + params['head']['bias']

  return init, apply


def nothing(classes: int) -> int:
  return classes


def greedy(classes: int, colour: str) -> None:
  del classes, colour


def forgets_no_info(model):
  """A method that returns variables alone."""
  del model
  return lambda key, variables, examples, split: variables
