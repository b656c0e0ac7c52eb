"""Speed, as ratios measured in one run.

  pip install -e '.[bench]'
  python -m experiments.bench.benchmark --suite=training --json=speed.json
  python -m experiments.bench.benchmark --networks=cnn,resnet9 --image=32
  python -m experiments.bench.benchmark --suite=layers
  python -m experiments.bench.benchmark --suite=algorithms
  python -m experiments.bench.benchmark --suite=factors
  python -m experiments.bench.benchmark --image=32 \
      --precision=bfloat16  # On a GPU.

`training`: a training step against PyTorch, alone, under seeds and pass by
pass, and the memory of both. PyTorch runs channels-last, on a GPU compiled, and
in the same precision. `one core`: both sides have one core to run on.
Seeds: ours on as many devices as there are seeds and cores, and the faster of
one thread and one a core; `shared by 2`, with --image: two divide each batch.
`layers`: each layer against XLA's own form and PyTorch's. `algorithms`: every
algorithm against the forward and backward passes that it must make. `factors`:
memorization and ES against NumPy.

Both sides of a ratio are measured in turn, since machines are noisy; what is
printed are medians, and the least and the greatest ratio of one round.
Compilation is timed apart.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
import subprocess
import sys
from typing import Any

from absl import flags
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from experiments.bench import costs, factors, layers, memory, timing
import rum_jax
from rum_jax import objectives, plans, recipes, training
from rum_jax.commands import app
from rum_jax.pipeline import builders, context, results
from rum_jax.reporting.speed import Speed, Step
from rum_jax.types import AnyArray, Images, Split

DEFAULT = recipes.Recipe(methods='all')
SUITE = flags.DEFINE_enum(
    'suite', 'training', ['training', 'layers', 'algorithms', 'factors'],
    'What to measure.')
NETWORKS = flags.DEFINE_list('networks', 'mlp,cnn', 'Networks to measure.')
IMAGE = flags.DEFINE_integer(
    'image', 0, 'Train on random images so high and wide, of three channels, '
    'four batches of them; 0 for the data set.', lower_bound=0)
REPEATS = flags.DEFINE_integer(
    'repeats', 7, 'How often both sides are measured.', lower_bound=1)
ROUNDS = flags.DEFINE_integer(
    'rounds', costs.ROUNDS, 'Passes over the data each time, for `training`.',
    lower_bound=1)
JSON = flags.DEFINE_string('json', '', 'File for the figures.')
ALONE = flags.DEFINE_bool('alone', False, 'Run our side once, to measure.')
_LINE = ('{network:8} {what:22} {microseconds:9.0f} µs a model-step, PyTorch '
         '{torch_microseconds:9.0f} µs: {times_as_fast:5.2f} '
         '({from_to[0]:.2f}–{from_to[1]:.2f}) times as fast')


def prepare(network: str) -> costs.Case:
  """The data set, or random images in its place."""
  recipe = dataclasses.replace(app.recipe(), network=network)
  data = context.load(recipe, app.FLAGS.data_dir)
  source = data.source
  if not IMAGE.value:
    return costs.Case(recipe, data.examples, source,
                      builders.build_model(recipe, source))
  count, rng = 4 * recipe.batch_size, np.random.default_rng(0)
  source = source._replace(num_train=count, dataset=Images(
      rng.integers(0, 256, (count, IMAGE.value, IMAGE.value, 3), np.uint8),
      rng.integers(0, 10, count, np.int32)))
  return costs.Case(recipe, jax.tree.map(jnp.asarray, source.dataset), source,
                    builders.build_model(recipe, source))


def under_seeds(case: costs.Case, count: int, chunk: int | None = None,
                devices_per_run: int = 1) -> tuple[timing.Call, float]:
  """Whole runs of so many seeds, and the seconds of their compilation."""
  rows, recipe = jnp.asarray(case.source.train), case.recipe
  train = rum_jax.retrain(
      case.model, rum_jax.sgd(
          recipe.learning_rate, momentum=recipe.momentum,
          weight_decay=recipe.weight_decay),
      epochs=ROUNDS.value, batch_size=recipe.batch_size)
  fn = rum_jax.over_seeds(lambda key, data, part: train(key, None, data, part),
                          in_axes=(0, None, None), chunk=chunk,
                          devices=jax.devices()[:count * devices_per_run],
                          devices_per_run=devices_per_run)
  return timing.compiled(fn, jax.random.split(jax.random.key(0), count),
                         case.examples, Split(rows[:0], rows))


def one_pass(case: costs.Case, kind: str) -> timing.Call:
  """Forward alone, or with the gradient, over all examples in the loop."""
  key, rows = jax.random.key(0), jnp.asarray(case.source.train)
  objective, tx = objectives.supervised(case.model), rum_jax.sgd(1e-3)
  step = training.make_step(objective, tx)
  draw = plans.over_retain(case.recipe.batch_size)

  def move(carry: Any, row: Any) -> tuple[Any, jax.Array]:
    batch = training.gather(case.examples, row, jnp.zeros(()),
                            jnp.zeros((), jnp.int32))
    if kind == 'gradient':  # What plain SGD adds is nothing beside it.
      return step(*carry, batch, key)
    variables, state = carry
    loss, stats = objective(variables.params, variables.stats, batch, key)
    return (variables._replace(stats=stats), state), loss

  def run(key: jax.Array) -> Any:
    variables, plan = case.model.init(key), draw(key, Split(rows[:0], rows))
    state = variables, tx.init(variables.params)
    return costs.repeated(lambda zero: lax.scan(
        move, state, plan._replace(index=plan.index + zero)), ROUNDS.value)

  return timing.compiled(run, key)[0]


def on_gpu() -> bool:
  return jax.default_backend() == 'gpu'


def one_core() -> contextlib.AbstractContextManager[None]:
  """One core for both sides; on a GPU nothing, as its host needs them all."""
  return contextlib.nullcontext() if on_gpu() else timing.one_core()


def cases(gpu: bool) -> list[tuple[int, int | None, int]]:
  """Seeds, seeds at a time on a device, devices that share a seed."""
  count = jax.device_count()
  shared = [(1, None, count)] if IMAGE.value and count > 1 else []
  at_once = [(8, 4, 1), (8, 1, 1)] if gpu else []
  many = [] if IMAGE.value else [(32, None, 1)]
  return [(1, None, 1), *shared, (8, None, 1), *at_once, *many]


def other_side(network: str) -> Any:
  """The module that runs the network in PyTorch."""
  try:
    from experiments.bench import torch_side
  except ImportError as error:
    raise ValueError("The benchmark needs PyTorch: pip install '.[bench]'."
                     ) from error
  recipes.one_of('networks', network, torch_side.NETWORKS)
  return torch_side


def against_torch(case: costs.Case, network: str
                  ) -> list[Step]:
  """Microseconds of a model-step: pass by pass, alone, and under seeds."""
  torch_side = other_side(network)
  gpu = on_gpu()
  batch, rows = case.recipe.batch_size, case.source.train
  rounds = ROUNDS.value
  image, label = (x[rows] for x in case.source.dataset)
  theirs, flops = torch_side.passes(
      network, image, label, len(case.source.classes), batch, rounds, gpu,
      case.recipe.precision == 'bfloat16')
  steps = rounds * plans.num_steps(len(rows), batch)

  def compare(what: str, ours: timing.Call, kind: str, *threads: int,
              models: int = 1, keep: Any = contextlib.nullcontext
              ) -> Step:
    with keep():
      mine, *others = np.array(timing.all_seconds(
          [ours, *(functools.partial(theirs, kind, n) for n in threads)],
          REPEATS.value)) / steps
    row = Step(network=network, image=image.shape[1], batch=batch, what=what,
               **vars(timing.compared(
                   mine / models, min(others, key=np.median), batch)))
    print(_LINE.format(**vars(row)), flush=True)
    return row

  where = '' if gpu else ', one core'
  ours, _ = under_seeds(case, 1)
  measured = [compare(f'{kind}{where}', ours if kind == 'step' else one_pass(
      case, kind), kind, 1, keep=one_core)
              for kind in ('forward', 'gradient', 'step')]
  measured[-1] = resources(measured[-1], flops / steps, image)
  for count, chunk, shared in cases(gpu):
    ours, seconds = under_seeds(case, count, chunk, shared)
    measured.append(dataclasses.replace(compare(
        f'{count} seed{"s" * (count > 1)}'
        + (f', {chunk} at a time' if chunk else '')
        + (f', shared by {shared}' if shared > 1 else ''), ours,
        'step', *{1, jax.device_count()}, models=count
    ), compile_seconds=seconds))
  return measured


def resources(row: Step, flops: float, image: AnyArray) -> Step:
  """The same with the share of the machine's peak, and peak memory."""
  side = 8192 if on_gpu() else 2048
  x = jnp.ones((side, side), app.recipe().precision)
  call = timing.compiled(jnp.matmul, x, x)[0]
  with one_core():  # As the step was.
    product = timing.medians([call], 5)[0]
  share = flops * product / (2 * side**3 * 1e-6 * row.microseconds)
  mine, other = peaks(row.network, image, row.batch)
  print(f'  {share:.0%} of the speed of one large product; at most {mine:.0f} '
        f'MiB, PyTorch {other:.0f}')
  return dataclasses.replace(row, share_of_peak=share, mebibytes=mine,
                             torch_mebibytes=other)


def peaks(network: str, image: AnyArray, batch: int) -> list[float]:
  """MiB that our process, and PyTorch's, held at most: of a GPU, if on one."""
  code = ('from experiments.bench import memory, torch_side; memory.print_peak('
          f'torch_side.peak("{network}", {image.shape}, {batch}, '
          f'{on_gpu()}, {app.recipe().precision == "bfloat16"}))')
  ours, held = ['-m', 'experiments.bench.benchmark', *sys.argv[1:], '--alone',
                 f'--networks={network}'], []
  for command in (ours, ours, ['-c', code]):  # The first of ours may compile.
    printed = subprocess.run([sys.executable, *command], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    held.append(float(printed.split()[-1]))
  return held[1:]


def main() -> None:
  """Measures the suite and prints it."""
  suite = SUITE.value
  whole = {'layers': layers.layer_costs, 'factors': factors.factor_costs
           }.get(suite)
  rows = whole(REPEATS.value) if whole else []
  for network in () if whole else NETWORKS.value:
    case = prepare(network)
    if ALONE.value:
      under_seeds(case, 1)[0]()
      held = jax.local_devices()[0].memory_stats() or {}
      return memory.print_peak(held.get('peak_bytes_in_use'))
    rows += (against_torch(case, network) if suite == 'training' else
             costs.algorithm_costs(case, network, REPEATS.value))
  if JSON.value:
    kind = 'steps' if suite == 'training' else suite
    figures: dict[str, Any] = {kind: tuple(rows)}
    results.write(pathlib.Path(JSON.value), Speed(
        environment=results.environment(), precision=app.recipe().precision,
        **figures))


if __name__ == '__main__':
  app.define(DEFAULT)
  app.run(main)
