"""Proxies of memorization that are computed from one trained model.

With p the softmax in evaluation mode, y the training label and `ℓ = −log p_y`:

| score                 | of one example                                      |
|-----------------------|-----------------------------------------------------|
| `el2n`                | `‖p − onehot(y)‖₂`, early in training               |
| `grand`               | `‖∇_θ ℓ‖₂`, early in training                       |
| `curvature`           | `‖∇ₓℓ(x + z) − ∇ₓℓ(x)‖₂`, after training            |
| `held_out_retraining` | `½ KL(p‖q) + ½ KL(q‖p)`, where q is p after further |
|                       | training on held-out examples alone                 |

`grand` works for every task. The others need logits of classes, and
`curvature` needs images.

All are high where an example is memorized. `el2n` and `grand` are defined as
means over models from several initialisations, so their means over runs should
be used. Proxies from the course of a training run are in `learning_events`.

References:
  Paul, Ganguli and Dziugaite, Deep learning on a data diet: finding important
  examples early in training, 2021 (EL2N and GraNd).
  Garg, Ravikumar and Roy, Memorization through the lens of curvature of loss
  function around samples, 2024.
  Carlini, Erlingsson and Papernot, Distribution density, tails, and outliers in
  machine learning: metrics and applications, 2019 (held-out retraining).
  Zhao and Triantafillou, Scalability of memorization-based machine unlearning,
  2024 (the last two, as proxies for unlearning).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
from jax import lax
import jax.numpy as jnp
from jax.typing import ArrayLike
import optax

from rum_jax import _checks, gradients, objectives, plans, training, trees
from rum_jax.types import (
    Array, Examples, Images, Key, Model, PyTree, Split, Variables)


def el2n(logits: ArrayLike, labels: ArrayLike) -> Array:
  """`‖softmax − onehot‖₂`, in `[0, √2]`.

  Args:
    logits: `[N, K]`.
    labels: `[N]` int32.

  Returns:
    `[N]`.
  """
  p = jax.nn.softmax(logits)
  return _norm(p - jax.nn.one_hot(labels, p.shape[-1], dtype=p.dtype))


def grand(model: Model, variables: Variables, examples: Examples,
          batch_size: int = 64) -> Array:
  """Norm of the gradient of each example's loss, in evaluation mode.

  Args:
    model: the network.
    variables: the variables of one model.
    examples: the N training examples.
    batch_size: examples at a time, each with a gradient of its own in memory.

  Returns:
    `[N]`.
  """

  def norms(rows: Array) -> Array:
    grads = gradients.per_example(model, variables, examples, rows)
    return jnp.sqrt(sum(_norm(x)**2 for x in jax.tree.leaves(grads)))

  return _by_batch(norms, examples, batch_size)


def curvature(model: Model, variables: Variables, examples: Images,
              h: float = 0.01, batch_size: int = 256) -> Array:
  """How far the loss's gradient at the input turns over a small step.

  `z = h · s / ‖s‖₂` with `s = sign(∇ₓℓ(x))`, and 0 where the gradient is 0.

  Args:
    model: the network; it must take images of floats, as `from_linen` does.
    variables: the variables of one model.
    examples: the N training examples.
    h: length of the step, where x is the image in units of its full range: a
      pixel of 255 is 1.
    batch_size: examples at a time.

  Returns:
    `[N]`, per unit of x and not divided by h.

  Raises:
    ValueError: if `h` is not above 0.
  """
  _checks.check_range('h', h, 0, open_low=True)
  examples = jax.tree.map(jnp.asarray, examples)

  def turns(rows: Array) -> Array:
    batch = trees.take(examples, rows)

    def loss(x: Array) -> Array:
      moved = batch._replace(image=255 * x)
      outputs, _ = model.apply(variables, moved, train=False)
      return model.task.loss(outputs, moved).sum()

    x = batch.image.astype(float) / 255
    slope = jax.grad(loss)(x)
    sign = jnp.sign(slope)
    length = jnp.maximum(_norm(sign), 1)  # It is 0 or at least 1.
    step = h * sign / length.reshape(-1, *(1,) * (x.ndim - 1))
    return _norm(jax.grad(loss)(x + step) - slope)

  return _by_batch(turns, examples, batch_size)


def held_out_retraining(
    model: Model,
    tx: optax.GradientTransformation,
    *,
    epochs: int = 30,
    batch_size: int = 256,
    floor: float = 1e-10,
) -> Callable[[Key, Variables, Examples, Examples], Array]:
  """How much an example's prediction moves when others are trained on.

  The released code trains on the *test* set for at most 30 epochs, and stops
  once the loss has not improved for 4. Here the caller says on what, which
  should be validation examples, and every run is as long as it is told.

  Args:
    model: the network.
    tx: the optimiser, started afresh; the follow-up: SGD, learning rate 0.1.
    epochs: passes over the held-out examples.
    batch_size: examples a step.
    floor: as for `symmetric_divergence`.

  Returns:
    `(key, variables, examples, held_out) -> [N]`. The `variables` are those of
    a model trained on the N examples of `examples` and on none of `held_out`.

  Raises:
    ValueError: if `epochs`, `batch_size` or `floor` is out of range.
  """
  _checks.check_range('floor', floor, 0, 1, open_low=True)
  train = training.descent(
      objectives.supervised(model), tx, plans.over_retain(batch_size),
      epochs=epochs)

  def score(key: Key, variables: Variables, examples: Examples,
            held_out: Examples) -> Array:
    rows = jnp.arange(trees.length(held_out))
    moved, _ = train(key, variables, held_out, Split(rows[:0], rows))
    before, after = (training.predict(model, v, examples).prediction
                     for v in (variables, moved))
    return symmetric_divergence(before, after, floor)

  return score


def symmetric_divergence(before: ArrayLike, after: ArrayLike,
                         floor: float = 1e-10) -> Array:
  """`½ KL(p‖q) + ½ KL(q‖p)` of two softmaxes.

  Args:
    before: `[N, K]` logits.
    after: `[N, K]` logits.
    floor: smaller probabilities are replaced by it, so that the result is
      finite; the default is that of the released code.

  Returns:
    `[N]` nats, at least 0.
  """
  p, q = (jnp.maximum(jax.nn.softmax(x), floor) for x in (before, after))
  return ((p - q) * (jnp.log(p) - jnp.log(q))).sum(axis=-1) / 2


def _norm(x: PyTree) -> Array:
  """Euclidean norm over all axes but the first."""
  return jnp.sqrt(jnp.square(x.reshape(x.shape[0], -1)).sum(axis=-1))


def _by_batch(fn: Callable[[Array], Array], examples: Examples, batch_size: int
              ) -> Array:
  """`fn` of all rows `[N]`, a batch `[B]` at a time."""
  _checks.check_count('batch_size', batch_size, 1)
  n = trees.length(examples)
  rows, _ = gradients.in_batches(jnp.arange(n), batch_size)
  return lax.map(fn, rows).reshape(-1)[:n]
