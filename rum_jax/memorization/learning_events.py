"""How examples are learned: proxies of memorization read off a single run.

With p the softmax of the model after an epoch, y the label that was trained on:

| score            | of one example, over the E epochs of a run               |
|------------------|----------------------------------------------------------|
| `confidence`     | mean of `1 − p_y`                                        |
| `max_confidence` | mean of `1 − max p`                                      |
| `entropy`        | mean of `−Σ p log p`, in nats, where `0 log 0 = 0`       |
| `accuracy`       | mean of `[argmax p ≠ y]`                                 |
| `loss`           | sum of `−log p_y`: the cumulative sample loss            |
| `forgetting`     | times it went from right to wrong; E where never right   |

All are high where an example is memorized, also those that their papers define
the other way round (confidence, accuracy) and name here by what they measure.

A probe looks at all examples after each epoch in evaluation mode, all of them
under the same weights, at the price of a forward pass an epoch. The released
code of the follow-up, and Toneva et al., take them instead from the forward
pass in training mode of the example's own batch, before its step.

    train = rum_jax.retrain(model, tx, probe=probe(model, dataset))
    _, info = train(key, None, dataset, split)
    found = scores(history(info.probes))

References:
  Zhao and Triantafillou, Scalability of memorization-based machine unlearning,
  2024 (the first four).
  Ravikumar et al., Towards memorization estimation: fast, formal and free, 2025
  (cumulative sample loss).
  Toneva et al., An empirical study of example forgetting during deep neural
  network learning, 2019.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp

from rum_jax import losses, training
from rum_jax.types import Array, Dataset, Model, Variables


class Signals(NamedTuple):
  """What a model says of each example; high where it finds it hard.

  Attributes:
    confidence: `[N]`, `1 − p_y`.
    max_confidence: `[N]`, `1 − max p`.
    entropy: `[N]` nats.
    accuracy: `[N]`, 0 where it is right and 1 where it is wrong.
    loss: `[N]` nats.
  """

  confidence: Array
  max_confidence: Array
  entropy: Array
  accuracy: Array
  loss: Array


NAMES = (*Signals._fields, 'forgetting')


class History(NamedTuple):
  """All that has to be kept of the epochs so far.

  Attributes:
    epochs: `[]` int32, how many.
    total: sums of their signals.
    wrong: `[N]`, `accuracy` after the last of them.
    forgotten: `[N]`, how often an example went from right to wrong.
  """

  epochs: Array
  total: Signals
  wrong: Array
  forgotten: Array


def signals(logits: Array, labels: Array) -> Signals:
  """What a model says; all of it NaN where the logits are.

  Args:
    logits: `[N, K]`.
    labels: `[N]` int32.
  """
  log_p = jax.nn.log_softmax(logits)
  p = jnp.exp(log_p)
  loss = losses.cross_entropy(logits, labels)
  wrong = (logits.argmax(axis=-1) != labels).astype(loss.dtype)
  return Signals(
      confidence=-jnp.expm1(-loss),
      max_confidence=-jnp.expm1(log_p.max(axis=-1)),
      entropy=-jnp.where(p == 0, 0, p * log_p).sum(axis=-1),
      accuracy=jnp.where(jnp.isnan(loss), jnp.nan, wrong),
      loss=loss)


def probe(model: Model, dataset: Dataset) -> Callable[[Variables], Signals]:
  """`variables -> Signals` of all examples, for a run to call every epoch.

  Args:
    model: the network.
    dataset: the N training examples.
  """

  def look(variables: Variables) -> Signals:
    outputs = training.predict(model, variables, dataset.image)
    return signals(outputs.logits, jnp.asarray(dataset.label))

  return look


def begin(num_examples: int) -> History:
  """The history before the first epoch, when nothing is right yet."""
  zeros = jnp.zeros((num_examples,))
  return History(jnp.zeros((), jnp.int32),
                 Signals(*[zeros] * len(Signals._fields)), zeros + 1, zeros)


def observe(history: History, seen: Signals) -> History:
  """The history an epoch later."""
  return History(
      history.epochs + 1, jax.tree.map(jnp.add, history.total, seen),
      seen.accuracy, history.forgotten + (1 - history.wrong) * seen.accuracy)


def history(seen: Signals) -> History:
  """The history of a run from its signals `[E, N]`."""
  start = begin(seen.loss.shape[1])
  return lax.scan(lambda past, now: (observe(past, now), None), start, seen)[0]


def scores(history: History) -> dict[str, Array]:
  """The scores of the table above by name, `[N]` each.

  Args:
    history: of at least one epoch.
  """
  total, epochs = history.total, history.epochs
  mean = jax.tree.map(lambda x: x / epochs, total)
  never = total.accuracy == epochs
  return {**mean._replace(loss=total.loss)._asdict(),
          'forgetting': jnp.where(never, epochs, history.forgotten)}
