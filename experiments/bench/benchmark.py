"""Measures speed, as ratios of times from the same run.

  pip install -e '.[bench]'
  python -m experiments.bench.benchmark --suite=training --json=speed.json
  python -m experiments.bench.benchmark --networks=cnn,resnet9 --image=32
  python -m experiments.bench.benchmark --suite=layers
  python -m experiments.bench.benchmark --suite=algorithms
  python -m experiments.bench.benchmark --suite=factors
  python -m experiments.bench.benchmark --image=32 \
      --precision=bfloat16  # On a GPU.

There are four suites:

* `training`: the time of a training step against PyTorch, for one model and for
  several seeds; the times of the forward pass and of the gradient; and the
  memory of both. PyTorch uses the channels-last layout and the same precision,
  and it is compiled on a GPU. In rows named `one core`, both sides use one
  core. In rows for several seeds, our side uses one device for each seed, as
  far as there are cores. PyTorch's time is the shorter one of one thread and of
  one thread for each core. In rows named `shared by 2`, with --image, two
  devices share each batch.
* `layers`: each layer against XLA's own form and against PyTorch. The last line
  says whether XLA has caught up, so that our own layers can be deleted.
* `algorithms`: every algorithm against the passes over the data that it must
  make.
* `factors`: memorization and ES against NumPy.

The two sides of a ratio are measured in turn, because machines are noisy. The
printed values are medians, and the lowest and the highest ratio. Compilation is
timed separately.
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
    'Suite to measure.')
NETWORKS = flags.DEFINE_list('networks', 'mlp,cnn', 'Networks to measure.')
IMAGE = flags.DEFINE_integer(
    'image', 0, 'Height and width of random images with three channels to '
    'train on, in four batches; 0 for the data set.', lower_bound=0)
REPEATS = flags.DEFINE_integer(
    'repeats', 7, 'Number of measurements of both sides.', lower_bound=1)
ROUNDS = flags.DEFINE_integer(
    'rounds', costs.ROUNDS, 'Passes over the data in each measurement of '
    '`training`.',
    lower_bound=1)
JSON = flags.DEFINE_string('json', '', 'File to write the figures to.')
ALONE = flags.DEFINE_bool(
    'alone', False, 'Run our side once and print its peak memory.')
_LINE = ('{network:8} {what:22} {microseconds:9.0f} µs a model-step, PyTorch '
         '{torch_microseconds:9.0f} µs: {times_as_fast:5.2f} '
         '({from_to[0]:.2f}–{from_to[1]:.2f}) times as fast')


def prepare(network: str) -> costs.Case:
  """The recipe, the data or random images, and the network to measure."""
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
  """Training runs of `count` seeds, and the seconds to compile them."""
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
  """The forward pass or the gradient of all examples, in a loop."""
  key, rows = jax.random.key(0), jnp.asarray(case.source.train)
  objective, tx = objectives.supervised(case.model), rum_jax.sgd(1e-3)
  step = training.make_step(objective, tx)
  draw = plans.over_retain(case.recipe.batch_size)

  def move(carry: Any, row: Any) -> tuple[Any, jax.Array]:
    batch = training.gather(case.examples, row, jnp.zeros(()),
                            jnp.zeros((), jnp.int32))
    if kind == 'gradient':  # The step of plain SGD takes almost no time.
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
  """One core for both sides; with a GPU, the host keeps all cores."""
  return contextlib.nullcontext() if on_gpu() else timing.one_core()


def cases(gpu: bool) -> list[tuple[int, int | None, int]]:
  """Cases: seeds, seeds at a time on a device, devices that share a seed."""
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
  """Times of a step of one model, against PyTorch, for all cases."""
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
  """The row with its share of the machine's peak speed, and peak memory."""
  side = 8192 if on_gpu() else 2048
  x = jnp.ones((side, side), app.recipe().precision)
  call = timing.compiled(jnp.matmul, x, x)[0]
  with one_core():  # The step was measured in the same way.
    product = timing.medians([call], 5)[0]
  share = flops * product / (2 * side**3 * 1e-6 * row.microseconds)
  mine, other = peaks(row.network, image, row.batch)
  print(f'  {share:.0%} of the speed of one large product; at most {mine:.0f} '
        f'MiB, PyTorch {other:.0f}')
  return dataclasses.replace(row, share_of_peak=share, mebibytes=mine,
                             torch_mebibytes=other)


def peaks(network: str, image: AnyArray, batch: int) -> list[float]:
  """Peak memory of our process and of PyTorch's, in MiB; on a GPU, its own."""
  code = ('from experiments.bench import memory, torch_side; memory.print_peak('
          f'torch_side.peak("{network}", {image.shape}, {batch}, '
          f'{on_gpu()}, {app.recipe().precision == "bfloat16"}))')
  ours, held = ['-m', 'experiments.bench.benchmark', *sys.argv[1:], '--alone',
                 f'--networks={network}'], []
  for command in (ours, ours, ['-c', code]):  # Our first run may compile.
    printed = subprocess.run([sys.executable, *command], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    held.append(float(printed.split()[-1]))
  return held[1:]


def main() -> None:
  """Measures the suite, prints the figures and writes them."""
  app.refuse_dry_run()
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
