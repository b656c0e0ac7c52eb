"""Plans: which examples a method visits, and in which order.

A *draw* is a pure function `(key, split) -> Plan` that makes the plan of one
epoch. `pair` and `then` combine two draws: `pair` joins their batches, and
`then` runs one after the other. Subsets are index arrays of fixed length, so
every plan has a static shape and can be vmapped over seeds.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from rum_jax import _checks
from rum_jax.types import AnyArray, Array, Draw, Key, Plan, Split


def num_steps(num_examples: int, batch_size: int) -> int:
  """Number of steps of one epoch; a last partial batch counts as a step.

  >>> num_steps(3000, 256)
  12
  """
  return -(-num_examples // batch_size)


def one_or_nan(rows: AnyArray, count: int) -> Array:
  """`[...]` float32: 1 for rows in `[0, count)`, NaN for others."""
  return jnp.where((rows >= 0) & (rows < count), jnp.float32(1), jnp.nan)


def shuffled(key: Key, index: AnyArray, forget: AnyArray, batch_size: int
             ) -> Plan:
  """Arranges `index` `[n]` in random order as `[ceil(n / B), B]`.

  Every row is visited exactly once. The last batch is padded with the first
  row, whose weight is 0 there.
  """
  n = index.shape[0]
  width = min(batch_size, max(n, 1))
  total = num_steps(n, width) * width
  order = jnp.argsort(jax.random.bits(key, (n,)))

  def padded(values: Array) -> Array:
    fill = jnp.zeros((total - n,), values.dtype)
    return jnp.concatenate([values, fill]).reshape(-1, width)

  positions = jnp.concatenate([order, jnp.zeros((total - n,), order.dtype)])
  return Plan(
      index=jnp.asarray(index)[positions].reshape(-1, width),
      forget=padded(forget[order]),
      weight=padded(jnp.ones((n,), jnp.float32)))


def over_retain(batch_size: int) -> Draw:
  """Visits the retain set once an epoch, in random order."""
  _checks.check_count('batch_size', batch_size, 1)

  def draw(key: Key, split: Split) -> Plan:
    forget = jnp.zeros(split.retain.shape, bool)
    return shuffled(key, split.retain, forget, batch_size)

  return draw


def over_forget(batch_size: int) -> Draw:
  """Visits the forget set once an epoch, in random order."""
  _checks.check_count('batch_size', batch_size, 1)

  def draw(key: Key, split: Split) -> Plan:
    forget = jnp.ones(split.forget.shape, bool)
    return shuffled(key, split.forget, forget, batch_size)

  return draw


def over_both(batch_size: int) -> Draw:
  """Visits forget and retain set once an epoch, mixed in random order."""
  _checks.check_count('batch_size', batch_size, 1)

  def draw(key: Key, split: Split) -> Plan:
    index = jnp.concatenate([split.forget, split.retain])
    forget = jnp.arange(index.shape[0]) < split.forget.shape[0]
    return shuffled(key, index, forget, batch_size)

  return draw


def pair(first: Draw, second: Draw, *, fresh: bool = True) -> Draw:
  """Appends a batch of `second` to every batch of `first`.

  An epoch has as many steps as an epoch of `first`. When the batches of
  `second` are used up, its epoch starts again: with a new draw if `fresh`, else
  with the same one.
  """

  def draw(key: Key, split: Split) -> Plan:
    key_first, key_second = jax.random.split(key)
    lead = first(key_first, split)
    steps = lead.index.shape[0]
    period = jax.eval_shape(second, key_second, split).index.shape[0]
    if steps and not period:
      raise ValueError('Expected examples to pair with, found none.')
    rounds = max(num_steps(steps, max(period, 1)), 1)
    keys = (jax.random.split(key_second, rounds) if fresh
            else jnp.stack([key_second] * rounds))
    drawn = jax.vmap(second, in_axes=(0, None))(keys, split)
    cycled = jax.tree.map(
        lambda x: x.reshape((-1,) + x.shape[2:])[:steps], drawn)
    return jax.tree.map(
        lambda a, b: jnp.concatenate([a, b], axis=1), lead, cycled)

  return draw


def then(first: Draw, second: Draw) -> Draw:
  """Runs all batches of `first`, then all batches of `second`.

  If their batches differ in size, the smaller ones are padded with weight 0.
  """

  def draw(key: Key, split: Split) -> Plan:
    key_first, key_second = jax.random.split(key)
    plans = first(key_first, split), second(key_second, split)
    width = max(plan.index.shape[1] for plan in plans)

    def widen(plan: Plan) -> Plan:
      extra = width - plan.index.shape[1]
      index = jnp.pad(plan.index, ((0, 0), (0, extra)), mode='edge')
      forget = jnp.pad(plan.forget, ((0, 0), (0, extra)), mode='edge')
      return Plan(index, forget, jnp.pad(plan.weight, ((0, 0), (0, extra))))

    return jax.tree.map(lambda *xs: jnp.concatenate(xs), *map(widen, plans))

  return draw
