"""What unlearning costs that trains all parameters, adapters or last layers.

  python -m experiments.bench.partial --dataset=cifar10 --data_dir=DIR \
      --cost_file=results/cost_vit.json

Time and memory of a stage of SCRUB on a vision transformer of 24 million
parameters and random images; ToW and attack of the same on a small one and a
part of the data set; and what RUM costs in all, scores included, in retrainings
of the small one. Seconds of a processor are counted, since other processes may
share the machine. Memory is that of the compiled programs.

`--tiny` takes networks and data of a test's size.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import pathlib
import time
from typing import Any, NamedTuple

from absl import flags
import jax
import jax.numpy as jnp
import numpy as np
import optax

import rum_jax
from rum_jax import datasets, evaluation, models, plans, recipes, refinement
from rum_jax import subspaces, trees
from rum_jax.commands import app
from rum_jax.memorization import learning_events
from rum_jax.pipeline import results
from rum_jax.reporting.cost import (
    Cost, Network, PartCost, PartQuality, Price)
from rum_jax.types import (
    Examples, Images, Model, Split, Unlearner, Variables)

FILE = flags.DEFINE_string('cost_file', '', 'File for the figures.')
TINY = flags.DEFINE_bool('tiny', False, 'Networks and data of a test\'s size.')
RANK, LAYERS, STAGES = 8, 3, 3  # The last layers: a block, a norm, the head.
_SHARE = 0.7  # Of the examples, in the subset of a memorization model.
_ALL = 'all'
PARTS: dict[str, subspaces.Subspace | None] = {
    _ALL: None, 'low rank': subspaces.low_rank(RANK),
    'last layers': subspaces.last_layers(LAYERS, cached=True)}


class Sizes(NamedTuple):
  """What is measured; `classes` and `test` are of the small data set."""

  large: models.ViT
  large_examples: int
  large_forget: int
  large_batch: int
  small: models.ViT
  classes: int
  train: int
  test: int
  forget: int
  batch: int
  epochs: int
  stage_epochs: int
  seeds: int
  rates: tuple[float, ...]


FULL = Sizes(
    models.ViT(10, 8, 704, 4, 11, 2816), 128, 24, 32,
    models.ViT(5, 8, 64, 3, 4, 128), 5, 600, 300, 90, 32, 20, 3, 3,
    (1e-4, 1e-3, 1e-2))
SMALL = Sizes(
    models.ViT(10, 8, 8, 4, 2, 8), 24, 6, 6, models.ViT(2, 8, 8, 4, 2, 8), 2,
    24, 10, 6, 8, 1, 1, 1, (1e-3,))


def unlearner(part: str, model: Model, rate: Any, sizes: Sizes, batch: int
              ) -> Unlearner:
  """A stage of SCRUB that trains a part of the parameters."""
  epochs = sizes.stage_epochs
  factory = lambda model, tx: rum_jax.scrub(
      model, tx, epochs=epochs, msteps=max(epochs - 1, 1), batch_size=batch)
  space, tx = PARTS[part], optax.adam(rate)
  return (subspaces.within(space, factory, model, tx) if space else
          factory(model, tx))


class Timed(NamedTuple):
  """A compiled program, and processor seconds of its compilation."""

  call: Any
  compile_seconds: float


def compiled(fn: Callable, *args: Any) -> Timed:
  start = time.process_time()
  program = jax.jit(fn).lower(*args).compile()
  return Timed(program, time.process_time() - start)


def timed(fn: Callable, *args: Any) -> tuple[Any, float, float]:
  """The result, the seconds and the processor seconds of a call."""
  start = time.perf_counter(), time.process_time()
  result = jax.block_until_ready(fn(*args))
  return (result, time.perf_counter() - start[0],
          time.process_time() - start[1])


def staged(stages: list[tuple[Timed, Split]], key: jax.Array,
           variables: Variables, *more: Any
           ) -> tuple[Variables, float, float]:
  """Runs stages one after another: the result and the seconds of all."""
  seconds, busy = 0.0, 0.0
  for i, (program, split) in enumerate(stages):
    stage = jax.random.fold_in(key, i)
    (variables, _), taken, worked = timed(
        program.call, stage, variables, *more, split)
    seconds, busy = seconds + taken, busy + worked
  return variables, seconds, busy


def groups_of(scores: np.ndarray, count: int) -> refinement.Groups:
  """The forget set in three groups of equal size, by score."""
  return refinement.by_score(scores, count // STAGES, middle=None)


def plans_of(groups: refinement.Groups, total: int
             ) -> dict[int, tuple[Split, ...]]:
  """Number of stages to the splits: all at once, and RUM's.

  Every stage retains the same examples, so that one program serves all.
  """
  policy = refinement.retain_untouched
  return {1: refinement.stages(refinement.merged(groups), total, policy),
          STAGES: refinement.stages(groups, total, policy)}


def measure_large(sizes: Sizes) -> tuple[Network, list[PartCost]]:
  """Time and memory of every part, in one stage and in three."""
  count, side = sizes.large_examples, 32
  noise = np.random.default_rng(0)
  examples = Images(
      noise.integers(0, 256, (count, side, side, 3), np.uint8),
      noise.integers(0, sizes.large.classes, count, np.int32))
  model = models.from_linen(
      sizes.large, (side, side, 3), mean=(0.5,), std=(0.25,))
  variables, key = model.init(jax.random.key(0)), jax.random.key(1)
  number = sum(x.size for x in jax.tree.leaves(variables.params))
  weights = sum(x.nbytes for x in jax.tree.leaves(variables.params))
  network = Network(
      name=_name(sizes.large), parameters=number, examples=count,
      forget=sizes.large_forget, batch_size=sizes.large_batch, epochs=1,
      unlearning_epochs=1)
  sizes = sizes._replace(stage_epochs=1)
  rows = np.arange(count, dtype=np.int32)
  whole = Split(rows[:0], rows)
  train = rum_jax.finetune(
      model, optax.adam(1e-4), epochs=1, batch_size=sizes.large_batch)
  program = compiled(train, key, variables, examples, whole)
  _, _, epoch = timed(program.call, key, variables, examples, whole)
  print(f'{number:,} parameters: {epoch:.1f} processor seconds an epoch of '
        'training', flush=True)
  costs = []
  splits = plans_of(groups_of(noise.random(count), sizes.large_forget), count)
  for part in PARTS:
    unlearn = unlearner(part, model, 1e-4, sizes, sizes.large_batch)
    trained = trained_by(part, model, variables, examples)
    for stages, parts in splits.items():
      program = compiled(unlearn, key, variables, examples, parts[0])
      held = program.call.memory_analysis()
      size = (held.argument_size_in_bytes + held.temp_size_in_bytes
              + held.output_size_in_bytes - held.alias_size_in_bytes)
      _, seconds, busy = staged(
          [(program, split) for split in parts], key, variables, examples)
      costs.append(PartCost(
          part=part, stages=stages, trained=trained, seconds=seconds,
          processor_seconds=busy, epochs=busy / epoch,
          compile_seconds=program.compile_seconds, mebibytes=size / 2**20,
          weights=size / weights))
      print(f'{part}, {stages} stages: {busy:.1f} processor seconds, '
            f'{size / 2**20:.0f} MiB', flush=True)
  return network, costs


def trained_by(part: str, model: Model, variables: Variables,
               examples: Examples) -> int:
  """Number of parameters that are trained."""
  space = PARTS[part]
  if space is None:
    return sum(x.size for x in jax.tree.leaves(variables.params))
  inside = jax.eval_shape(lambda v, x: space(
      jax.random.key(0), model, optax.sgd(0.0), v, x).variables.params,
                          variables, examples)
  return sum(x.size for x in jax.tree.leaves(inside))


class Trained(NamedTuple):
  """Originals and oracles of all seeds, the first one for tuning."""

  model: Model
  examples: Images
  groups: refinement.Groups
  originals: list[Variables]
  oracles: list[Variables]
  retraining: float  # Processor seconds, as of the others.
  observed: float
  predicting: float


def prepare(source: datasets.Source, sizes: Sizes) -> Trained:
  """Trains originals, groups the forget set by a proxy, and retrains."""
  count, side = sizes.train, source.dataset.image.shape[1]
  chosen = [np.flatnonzero(source.dataset.label[rows] < sizes.classes)[:n]
            + rows[0] for rows, n in ((source.train, count),
                                      (source.test, sizes.test))]
  examples = jax.tree.map(
      jnp.asarray, trees.take(source.dataset, np.concatenate(chosen)))
  model = models.from_linen(
      sizes.small, (side, side, 3), mean=(0.5,), std=(0.25,))
  steps = sizes.epochs * plans.num_steps(count, sizes.batch)
  tx = optax.adamw(optax.cosine_decay_schedule(1e-3, steps), weight_decay=0.05)
  train = functools.partial(
      rum_jax.retrain, model, tx, epochs=sizes.epochs, batch_size=sizes.batch)
  rows = np.arange(count, dtype=np.int32)
  known = trees.take(examples, slice(count))
  watched = train(probe=learning_events.probe(model, known, classes=False))
  keys = jax.random.split(jax.random.key(2), 2 * (sizes.seeds + 1))

  def run(unlearn: Any) -> Callable:
    return lambda key, examples, split: unlearn(key, None, examples, split)

  original = compiled(run(watched), keys[0], examples, Split(rows[:0], rows))
  made = [timed(original.call, key, examples, Split(rows[:0], rows))
          for key in keys[:sizes.seeds + 1]]
  originals = [variables for (variables, _), *_ in made]
  look = compiled(functools.partial(
      evaluation.signals, model), originals[0], examples)
  looks = [timed(look.call, x, examples) for x in originals]
  loss = np.mean([signals.loss for signals, *_ in looks], 0)[:count]
  groups = groups_of(1 - np.exp(-loss), sizes.forget)
  split, = plans_of(groups, count)[1]
  oracle = compiled(run(train()), keys[0], examples, split)
  retrained = [timed(oracle.call, key, examples, split)
               for key in keys[sizes.seeds + 1:]]
  return Trained(
      model, examples, groups, originals,
      [variables for (variables, _), *_ in retrained],
      *(float(np.median([busy for *_, busy in runs]))
        for runs in (retrained, made, looks)))


def measure_small(trained: Trained, sizes: Sizes) -> list[PartQuality]:
  """ToW and attack of every part on all seeds but the first."""
  model, examples, groups, originals, oracles, *_ = trained
  key, splits = jax.random.key(3), plans_of(groups, sizes.train)
  rows = splits[1][0]
  test = np.arange(sizes.train, sizes.train + sizes.test)
  look = jax.jit(functools.partial(evaluation.signals, model))

  def figures(variables: Variables) -> np.ndarray:
    """Accuracies on forget, retain and test, and the attack's score."""
    signals = look(variables, examples)
    sure = np.exp(-np.asarray(signals.loss))
    return np.array([*(evaluation.accuracy(signals, x) for x in (
        rows.forget, rows.retain, test)), evaluation.svc_attack(
            sure[rows.retain], sure[test], sure[rows.forget])])

  wanted = [figures(x) for x in oracles]

  def quality(part: str, stages: int, rate: float | None,
              found: list[np.ndarray], busy: list[float]) -> PartQuality:
    gaps = np.array(found) - np.array(wanted[1:])
    tow = np.asarray(evaluation.tug_of_war(*gaps[:, :3].T))
    accuracies = np.array(found)[:, :3].T
    row = PartQuality(
        part=part, stages=stages, learning_rate=rate,
        tow=evaluation.summary(tow),
        attack_gap=evaluation.summary(np.abs(gaps[:, 3])),
        forget=evaluation.summary(accuracies[0]),
        retain=evaluation.summary(accuracies[1]),
        test=evaluation.summary(accuracies[2]),
        processor_seconds=float(np.median(busy)))
    print(f'{part}, {stages} stages, rate {rate}: ToW {row.tow.mean:.3f}, '
          f'attack gap {row.attack_gap.mean:.3f}', flush=True)
    return row

  measured = [
      quality('nothing', 0, None, [figures(x) for x in originals[1:]], [0.0]),
      quality('all, from scratch', 0, None, wanted[1:], [trained.retraining])]
  for part in PARTS:

    def unlearn(key, variables, examples, rate, split, part=part):
      return unlearner(part, model, rate, sizes, sizes.batch)(
          key, variables, examples, split)

    programs = {n: compiled(
        unlearn, key, originals[0], examples, jnp.float32(sizes.rates[0]),
        parts[0]) for n, parts in splits.items()}

    def run(seed: int, stages: int, rate: float, programs=programs
            ) -> tuple[np.ndarray, float]:
      variables, _, busy = staged(
          [(programs[stages], split) for split in splits[stages]],
          jax.random.fold_in(key, seed), originals[seed], examples,
          jnp.float32(rate))
      return figures(variables), busy

    def tow(rate: float, run=run) -> float:
      found, _ = run(0, 1, rate)
      return float(np.nan_to_num(evaluation.tug_of_war(
          *(found - wanted[0])[:3])))

    rate = max(sizes.rates, key=tow)
    for stages in splits:
      found, busy = zip(*(run(seed, stages, rate)
                          for seed in range(1, sizes.seeds + 1)))
      measured.append(quality(part, stages, rate, list(found), list(busy)))
  return measured


def prices(trained: Trained, quality: list[PartQuality], number: int
           ) -> list[Price]:
  """Scores and three stages, in retrainings."""
  scores = {
      f'memorization by {number} models': _SHARE * number,
      'learning events of one more training':
          trained.observed / trained.retraining,
      'confidence of the given weights':
          trained.predicting / trained.retraining}
  return [Price(scores=name, part=row.part, scoring=price,
                stages=row.processor_seconds / trained.retraining)
          for name, price in scores.items() for row in quality
          if row.stages == STAGES]


def main() -> None:
  """Measures all of it and writes it."""
  sizes, recipe = SMALL if TINY.value else FULL, app.recipe()
  jax.config.update('jax_enable_compilation_cache', False)  # It is timed.
  large, costs = measure_large(sizes)
  source = datasets.load(recipe.dataset, app.FLAGS.data_dir)
  trained = prepare(source, sizes)
  quality = measure_small(trained, sizes)
  number = sum(x.size for x in jax.tree.leaves(trained.originals[0].params))
  small = Network(
      name=_name(sizes.small), parameters=number, examples=sizes.train,
      forget=len(np.concatenate(trained.groups)), batch_size=sizes.batch,
      epochs=sizes.epochs, unlearning_epochs=sizes.stage_epochs)
  record = Cost(
      environment=results.environment(),
      command='python -m experiments.bench.partial '
              f'--dataset={recipe.dataset}',
      method='scrub', rank=RANK, layers=LAYERS, large=large,
      costs=tuple(costs), dataset=(
          f'The first {sizes.train} training images of {sizes.classes} classes '
          f'of {source.name}'),
      rates=sizes.rates, small=small, quality=tuple(quality),
      prices=tuple(prices(trained, quality, recipe.models)))
  if FILE.value:
    results.write(pathlib.Path(FILE.value), record)


def _name(network: models.ViT) -> str:
  return (f'ViT, {network.depth} blocks of {network.width} channels, patches '
          f'of {network.patch}')


if __name__ == '__main__':
  app.define(recipes.Recipe(dataset='cifar10'))
  app.run(main)
