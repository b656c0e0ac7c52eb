"""Times of every algorithm, in units of the passes that it must make.

There are three kinds of passes over the data, whose times are measured on the
same network in the same run: forward and backward, as in training; forward
only, as for a teacher; and forward and backward for the gradients of single
examples, a chunk at a time. WoodFisher also needs inner products of these
gradients.

The ratio of an algorithm is its time divided by the time of its passes.
Computations that it repeats to save memory count as passes. All batches count
as full, because the last batch of an epoch is padded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
import numpy as np

from experiments.bench import timing
import rum_jax
from rum_jax import datasets, gradients, plans, recipes, search, training
from rum_jax import trees
from rum_jax.pipeline import builders
from rum_jax.reporting.speed import AlgorithmCost
from rum_jax.types import Images, Model, Split

ROUNDS = 4  # Number of passes in a measurement.
_CHUNK = 64  # The default of influence.


class Work(NamedTuple):
  """Numbers of examples in each kind of pass, and of pairs of chunks."""

  train: float = 0
  predict: float = 0
  single: float = 0
  pairs: float = 0


def whole(count: int, size: int) -> int:
  """The number of examples in the batches of `count` examples, with padding."""
  width = min(size, max(count, 1))  # As plans lay them out.
  return plans.num_steps(count, width) * width


def work(method: str, setting: dict[str, Any], num_forget: int,
         num_retain: int, size: int) -> Work:
  """The passes of a method; methods for few layers count whole passes."""
  forget, retain, both = (whole(n, size) for n in (
      num_forget, num_retain, num_forget + num_retain))
  epochs = setting.get('epochs', 1)
  if method == 'scrub':
    seen = setting['msteps'] * forget + epochs * retain
    return Work(train=seen, predict=seen)
  if method == 'bad_teacher':
    seen = epochs * whole(num_forget + int(0.3 * num_retain), size)
    return Work(train=seen, predict=2 * seen)
  if method == 'influence':
    samples = whole(min(setting['num_samples'], num_retain), _CHUNK)
    chunks = samples // _CHUNK
    pairs = chunks * (chunks + 1) / 2
    # Each of two rounds projects and combines, and multiplies by A.
    return Work(train=both + 4 * samples, pairs=pairs,
                single=5 * samples + pairs * _CHUNK)
  if method == 'ssd':
    return Work(single=both + forget)
  return Work(train={
      'neggrad': epochs * forget, 'neggrad_plus': 2 * epochs * retain,
      'random_label': epochs * both, 'salun': epochs * both + forget,
  }.get(method, epochs * retain))


def repeated(once: Callable[[jax.Array], Any], rounds: int = ROUNDS) -> Any:
  """Runs `once` `rounds` times in a loop that XLA cannot shorten."""

  def step(total, _):
    result = once(jnp.where(total > jnp.inf, 1, 0))
    return total + sum(x.sum() for x in jax.tree.leaves(result)), None

  return lax.scan(step, jnp.zeros(()), length=rounds)[0]


class Case(NamedTuple):
  """The recipe, the data and the network to measure.

  Attributes:
    recipe: the recipe of the training.
    examples: the examples, on the device.
    source: the same examples, on the host.
    model: the network.
  """

  recipe: recipes.Recipe
  examples: Images
  source: datasets.Source
  model: Model


def prices(case: Case, rows: jax.Array) -> list[timing.Call]:
  """Calls that do `ROUNDS` passes of each kind, and `ROUNDS` products."""
  recipe, data, _, model = case
  key, size = jax.random.key(0), recipe.batch_size
  variables = model.init(key)
  tx = rum_jax.sgd(recipe.learning_rate, momentum=recipe.momentum,
                   weight_decay=recipe.weight_decay)
  train = rum_jax.retrain(model, tx, epochs=ROUNDS, batch_size=size)

  def predict(variables, data):
    return repeated(lambda zero: training.predict(
        model, variables, trees.take(data, rows + zero), size).prediction)

  def single(variables, data):
    batches, _ = gradients.in_batches(rows, _CHUNK)

    def totals(batch):
      held = lax.optimization_barrier(
          gradients.per_example(model, variables, data, batch))
      return jax.tree.map(lambda x: x.sum(0), held)

    return repeated(lambda zero: lax.map(totals, batches + zero))

  def product(stack):
    return repeated(lambda zero: gradients.inner(
        stack, jax.tree.map(lambda x: x + zero, stack)))

  stack = gradients.per_example(model, variables, data, rows[:_CHUNK])
  split = Split(rows[:0], rows)
  whole, _ = timing.compiled(
      lambda key, data, split: train(key, None, data, split), key, data, split)
  return [whole, timing.compiled(predict, variables, data)[0],
          timing.compiled(single, variables, data)[0],
          timing.compiled(product, stack)[0]]


def algorithm_costs(case: Case, network: str, repeats: int
                    ) -> list[AlgorithmCost]:
  """One row for each algorithm; all of them are measured in turn."""
  n, forget = case.source.num_train, case.recipe.forget
  rows = jnp.asarray(np.random.default_rng(0).permutation(n), jnp.int32)
  split, key = Split(rows[:forget], rows[forget:]), jax.random.key(1)
  variables, methods = case.model.init(key), case.recipe.method_names
  settings = [search.draw(*recipes.SPACES[m], 1, 0)[0] for m in methods]
  programs = [timing.compiled(
      builders.build(case.recipe, case.model, method, setting),
      key, variables, case.examples, split)
              for method, setting in zip(methods, settings)]
  calls, compilations = zip(*programs)
  seconds = timing.medians([*prices(case, rows), *calls], repeats)
  size = case.recipe.batch_size
  full = whole(n, size)
  each = np.array(seconds[:4]) / ROUNDS / [full, full, whole(n, _CHUNK), 1]
  print(f'{network}: {1e6 * each[0]:.1f} µs an example to train on, '
        f'{1e6 * each[1]:.1f} to predict, {1e6 * each[2]:.1f} with a gradient '
        'of its own')
  rows = []
  for method, setting, mine, compilation in zip(
      methods, settings, seconds[4:], compilations):
    must = np.dot(work(method, setting, forget, n - forget, size), each)
    rows.append(AlgorithmCost(
        network=network, method=method, seconds=mine,
        compile_seconds=compilation, epochs=mine / (full * each[0]),
        of_its_passes=mine / must))
    print('{network:4} {method:13} {seconds:8.4f} s = {epochs:6.2f} epochs of '
          'training = {of_its_passes:5.2f} times its passes; compiled in '
          '{compile_seconds:.1f} s'.format(**vars(rows[-1])))
  return rows
