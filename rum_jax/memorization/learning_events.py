"""How examples are learned: proxies of memorization from one training run.

With p the softmax of the model after an epoch, and y the training label:

| score            | of one example, over the E epochs of a run               |
|------------------|----------------------------------------------------------|
| `confidence`     | mean of `1 − p_y`                                        |
| `max_confidence` | mean of `1 − max p`                                      |
| `entropy`        | mean of `−Σ p log p`, in nats, where `0 log 0 = 0`       |
| `accuracy`       | mean of `[argmax p ≠ y]`                                 |
| `loss`           | sum of `−log p_y`: the cumulative sample loss            |
| `forgetting`     | how often it became wrong; E where it is never correct   |

`max_confidence` and `entropy` need the probabilities of classes. The others
work for every task, from its loss and score, with `exp(−loss)` for `p_y`.

All are high where an example is memorized. `confidence` and `accuracy` have the
opposite sign in their papers.

A probe evaluates all examples with the same weights after each epoch, in
evaluation mode, which costs one forward pass. The released code of the
follow-up, and Toneva et al., instead use the training step of each example: the
forward pass in training mode of its batch, before the update.

    train = rum_jax.retrain(model, tx, probe=probe(model, examples))
    _, info = train(key, None, examples, split)
    proxies = scores(history(info.probes))

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

from rum_jax import training
from rum_jax.types import (
    Array, Examples, Model, Outputs, Task, Variables)


class Difficulty(NamedTuple):
  """How hard each example is for a model; high where it is hard.

  Attributes:
    confidence: `[N]`, `1 − exp(−loss)`.
    max_confidence: `[N]`, `1 − max p`; `None` for a task without classes.
    entropy: `[N]` nats; `None` for a task without classes.
    accuracy: `[N]`, `1 − score`; in a classifier 0 where it is correct.
    loss: `[N]` nats.
  """

  confidence: Array
  max_confidence: Array | None
  entropy: Array | None
  accuracy: Array
  loss: Array


NAMES = (*Difficulty._fields, 'forgetting')


class History(NamedTuple):
  """The record of the epochs so far, from which `scores` are computed.

  Attributes:
    epochs: `[]` int32, the number of epochs.
    total: the sums of their difficulties.
    wrong: `[N]`, `accuracy` after the last epoch.
    forgotten: `[N]`, how often an example that was correct became wrong.
  """

  epochs: Array
  total: Difficulty
  wrong: Array
  forgotten: Array


def difficulty(task: Task, outputs: Outputs, examples: Examples, *,
               classes: bool = True) -> Difficulty:
  """How hard the examples are for a model; NaN where its outputs are NaN.

  Args:
    task: its loss and score are used.
    outputs: the model's outputs for N examples.
    examples: leaves `[N, ...]`.
    classes: whether the prediction holds logits `[N, K]` of classes, which
      `max_confidence` and `entropy` need.
  """
  loss, score = task.loss(outputs, examples), task.score(outputs, examples)
  highest = entropy = None
  if classes:
    log_p = jax.nn.log_softmax(outputs.prediction)
    p = jnp.exp(log_p)
    highest = -jnp.expm1(log_p.max(axis=-1))
    entropy = -jnp.where(p == 0, 0, p * log_p).sum(axis=-1)
  return Difficulty(
      confidence=-jnp.expm1(-loss), max_confidence=highest, entropy=entropy,
      accuracy=jnp.where(jnp.isnan(loss), jnp.nan, 1 - score), loss=loss)


def probe(model: Model, examples: Examples, *, classes: bool = True
          ) -> Callable[[Variables], Difficulty]:
  """The function `variables -> Difficulty` of all examples: a probe of a run.

  Args:
    model: the network.
    examples: the N training examples.
    classes: as for `difficulty`.
  """

  def evaluate(variables: Variables) -> Difficulty:
    outputs = training.predict(model, variables, examples)
    return difficulty(model.task, outputs,
                      jax.tree.map(jnp.asarray, examples), classes=classes)

  return evaluate


def empty_history(num_examples: int, *, classes: bool = True) -> History:
  """The history before the first epoch, where no example is correct."""
  zeros = jnp.zeros((num_examples,))
  only = zeros if classes else None
  return History(jnp.zeros((), jnp.int32),
                 Difficulty(zeros, only, only, zeros, zeros), zeros + 1, zeros)


def add_epoch(history: History, seen: Difficulty) -> History:
  """The history an epoch later."""
  return History(
      history.epochs + 1, jax.tree.map(jnp.add, history.total, seen),
      seen.accuracy, history.forgotten + (1 - history.wrong) * seen.accuracy)


def history(seen: Difficulty) -> History:
  """The history of a run from its difficulties `[E, N]`."""
  start = empty_history(seen.loss.shape[1], classes=seen.entropy is not None)
  return lax.scan(
      lambda past, now: (add_epoch(past, now), None), start, seen)[0]


def scores(history: History) -> dict[str, Array]:
  """The scores of the table above by name, `[N]` each.

  Args:
    history: the history of at least one epoch.

  Returns:
    All scores; for a task without classes, all except `max_confidence` and
    `entropy`.
  """
  total, epochs = history.total, history.epochs
  mean = jax.tree.map(lambda x: x / epochs, total)
  never = total.accuracy == epochs
  by_name = {**mean._replace(loss=total.loss)._asdict(),
             'forgetting': jnp.where(never, epochs, history.forgotten)}
  return {name: x for name, x in by_name.items() if x is not None}
