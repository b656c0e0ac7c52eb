"""All that a machine with a GPU is wanted for, in one command of 12 minutes.

  make gpu OUT=DIR
  python -m experiments.gpu --out=DIR --data_dir=DIR --run_parts=models,table

Three parts, in this order. Each keeps its own limit of time, and writes what it
has as soon as it has it; a limit that is reached ends a part and not the next.

* `speed`: steps of training, beside compiled PyTorch where it is there.
  `DIR/speed_<precision>.json`. It needs no data.
* `models`: memorization models, several at a time under `vmap`. They are those
  of the recipe, whatever the machine, so that they merge with those of others:
  `DIR/models-<first>-<last>.npz`.
* `table`: the main job of the table's recipe, one seed after the other, on
  scores of all the memorization models there are. `DIR/scores.npz` and its card
  `DIR/scores.json`, `DIR/table-seed<n>.json`, and `DIR/table.json` of all seeds
  together. Rows that there is no time for are left out, the controls first.

`DIR/progress.json` says how far each part came and why it ended. Run again with
the same `--out`, on any machine, it goes on: with the next model that is
missing, and with the next seed. Only these small files are needed for that;
what is in `--workdir` is not. Models of other machines count where
`--known_models` names their folder. `make gpu` takes packages that the machine
lacks from `.gpu/wheels`, which `experiments.gpu_wheels` fills, and data sets
from `.gpu`, which `experiments.gpu_data` fills.

What to expect: under `vmap`, convolutions of several models become one with a
feature group a model, and the gradients of their kernels one with a batch group
a model, which a GPU's library knows as a gradient. Small networks hardly use a
GPU alone, so several at a time should be faster up to some number; `speed`
measures 1, 4 and 16 at a time, and `models` takes the number that was fastest,
or that of `--models_at_once`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent import futures
import contextlib
import dataclasses
import functools
import pathlib
import signal
import time
from typing import Any

from absl import flags
import jax
import jax.numpy as jnp
import numpy as np

from experiments.bench import single_steps
from rum_jax import datasets, evaluation, recipes, records
from rum_jax.commands import app
from rum_jax.evaluation import joining, Results
from rum_jax.memorization import shards
from rum_jax.pipeline import context, forget_set, packaging, results
from rum_jax.pipeline import shards as training
from rum_jax.pipeline import trained_models, unlearning
from rum_jax.pipeline.programs import Programs
from rum_jax.reporting.speed import Speed
from rum_jax.storage import files
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import GROUPS, Variables

PARTS = ('speed', 'models', 'table')
# The rows that are wanted first; the controls take as long again.
_FIRST = ('vanilla', 'rum_f', 'rum')

OUT = flags.DEFINE_string('out', 'gpu_out', 'Where to write.')
WANTED = flags.DEFINE_list('run_parts', list(PARTS), 'Which parts to run.')
SECONDS = flags.DEFINE_list(
    'seconds', ['150', '220', '300'], 'The limit of each part: at most 480.')
TOTAL = flags.DEFINE_integer(
    'total_seconds', 720, 'The limit of all parts together.', lower_bound=1)
KNOWN = flags.DEFINE_string(
    'known_models', 'results/shards/cifar10', 'Folder of models of others.')
MODELS_RECIPE = flags.DEFINE_string(
    'models_recipe', 'cifar10_memorization', 'Recipe of memorization models.')
TABLE_RECIPE = flags.DEFINE_string(
    'table_recipe', 'cifar10_resnet18', 'Recipe of the table.')
TABLE_PRECISION = flags.DEFINE_string(
    'table_precision', 'bfloat16', 'Of products and activations in the table.')
AT_ONCE = flags.DEFINE_integer(
    'models_at_once', 0, 'Memorization models that are trained under vmap; 0 '
    'for as many as `speed` found fastest, or else 16.', lower_bound=0)
FROM = flags.DEFINE_integer(
    'from_model', 0, 'The first memorization model, where another machine '
    'trains those before it.', lower_bound=0)
EACH = flags.DEFINE_integer(
    'save_every', 16, 'Memorization models between two saves.', lower_bound=1)
LEAST = flags.DEFINE_integer(
    'least_models', 40, 'The fewest models whose scores choose what the table '
    'forgets; with fewer, some images are in all of them and have no score.',
    lower_bound=2)
SEEDS = flags.DEFINE_integer(
    'table_seeds', 3, 'The most seeds of the table in one run.', lower_bound=1)
SPEED = flags.DEFINE_list(
    'speed', ['resnet18/256/bfloat16', 'airbench/128/float32/32+64+128/16/16',
              'airbench/128/float32/32+64+128/16/4',
              'airbench/128/float32/32+64+128/16/1',
              'airbench/128/float32/32+64+128',
              'airbench/1024/bfloat16/32+64+128'],
    'Steps to measure: network/batch/precision, and maybe '
    '/widths/seeds/at_once.')


class TimeUp(Exception):
  """The limit of a part is reached."""


@contextlib.contextmanager
def limited(seconds: float) -> Generator[None]:
  """Raises `TimeUp` in the block when so much time has passed."""

  def end(*_: object) -> None:
    raise TimeUp

  if seconds <= 0:
    raise TimeUp
  before = signal.signal(signal.SIGALRM, end)
  signal.setitimer(signal.ITIMER_REAL, seconds)
  try:
    yield
  finally:
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def speed(out: pathlib.Path, until: float) -> str:
  """Measures single steps, as many as there is time for."""
  wanted = [single_steps.parsed(x) for x in SPEED.value]
  done = single_steps.steps(wanted, out / 'speed')
  return f'{len(done)} steps measured'


def _there(folders: Sequence[pathlib.Path], identity: dict[str, Any]
           ) -> dict[int, pathlib.Path]:
  """First model to file, of all files; refuses those of another recipe."""
  found: dict[int, pathlib.Path] = {}
  for path in (x for folder in folders
               for x in sorted(folder.glob('models-*.npz'))):
    found.setdefault(shards.merged([path], identity).first, path)
  return found


def models(out: pathlib.Path, until: float) -> str:
  """Trains memorization models until the time is up or all are there."""
  recipe, data = _loaded(app.recipe_of(MODELS_RECIPE.value))
  runtime = context.start(recipe, data, _workdir(out),
                          Programs(_at_once(recipe, out)))
  identity = training.identity_of(recipe, data)
  numbers: set[int] = set()
  for path in _there((pathlib.Path(KNOWN.value), out), identity).values():
    shard = shards.read(path)
    numbers |= set(range(shard.first, shard.first + shard.models))
  made, taken, spent = 0, 0.0, 0.0
  for first, count in training.missing(
      numbers, FROM.value, recipe.models, EACH.value):
    if time.monotonic() + taken > until:
      break
    begun = time.monotonic()
    shard = training.trained(recipe, data, runtime, identity, first, count)
    shards.write(out, shard)
    training.forget_state(runtime, identity, first, count)
    compact(out, identity)
    notes, made = shard.notes, made + count
    spent += notes['seconds']
    taken = time.monotonic() - begun - notes['compile_seconds']
    print(f'models {first} to {first + count - 1}: right about '
          f'{np.mean(notes["fit"]):.2%} of their subsets, '
          f'{3600 * count / notes["seconds"]:,.0f} an hour, '
          f'{notes["compile_seconds"]:.0f} s to compile', flush=True)
  there = len(numbers) + made
  rate = f', {3600 * made / spent:,.0f} an hour' if made else ''
  return f'{made} models trained{rate}, {there} of {recipe.models} there'


def _at_once(recipe: recipes.Recipe, out: pathlib.Path) -> int:
  """Models at a time: what the flag says, or what was measured."""
  path = out / f'speed_{recipe.precision}.json'
  measured = records.read(Speed, path).steps if path.exists() else ()
  return AT_ONCE.value or single_steps.fastest(
      measured, recipe.network) or EACH.value


def _workdir(out: pathlib.Path) -> pathlib.Path:
  """Where what need not come back is kept."""
  return pathlib.Path(app.FLAGS.workdir or out / 'work')


def compact(out: pathlib.Path, identity: dict[str, Any]) -> None:
  """Puts files of models that follow each other into one."""
  last: shards.Shard | None = None
  for first, path in sorted(_there((out,), identity).items()):
    if last is not None and first == last.first + last.models:
      old = shards.path_of(out, last.first, last.models)
      last = shards.merged([old, path], identity)
      shards.write(out, last)
      old.unlink()
      path.unlink()
    else:
      last = shards.read(path)


def _loaded(recipe: recipes.Recipe, forgets: bool = False
            ) -> tuple[recipes.Recipe, context.Data]:
  """The data of a recipe, put together from their parts where need be."""
  datasets.parts.joined(pathlib.Path(app.FLAGS.data_dir), recipe.dataset)
  return recipe, context.load(recipe, app.FLAGS.data_dir, forgets)


def table(out: pathlib.Path, until: float) -> str:
  """The main job, seed by seed, on scores of the models that are there."""
  recipe = dataclasses.replace(
      app.recipe_of(TABLE_RECIPE.value), seeds=1,
      precision=TABLE_PRECISION.value, scores=_scores(out))
  data = _loaded(recipe, forgets=True)[1]
  seed = recipe.first_seed
  while (out / f'table-seed{seed}.json').exists():
    seed += 1
  ended, taken = 0, 0.0
  try:
    while ended < SEEDS.value and time.monotonic() + taken < until:
      begun = time.monotonic()
      _seed(dataclasses.replace(recipe, first_seed=seed), data, out, until)
      seed, ended, taken = seed + 1, ended + 1, time.monotonic() - begun
  finally:
    parts = [records.read(Results, x)
             for x in sorted(out.glob('table-seed*.json'))]
    if parts:
      results.write(out / 'table.json', joining.joined(parts))
  return f'{ended} seeds ended, {len(parts)} there'


def _scores(out: pathlib.Path) -> str:
  """The score file of the longest run of models, from number 0 on.

  Once made it stays, since all seeds are to forget the same examples.

  Raises:
    ValueError: if there are too few.
  """
  if (out / 'scores.npz').exists():
    return str(out / 'scores.npz')
  recipe, data = _loaded(app.recipe_of(MODELS_RECIPE.value))
  identity, end = training.identity_of(recipe, data), 0
  chosen = []
  there = _there((out, pathlib.Path(KNOWN.value)), identity)
  for first, path in sorted(there.items()):
    if first == end:
      chosen.append(path)
      end = first + shards.read(path).models
  if end < LEAST.value:
    raise ValueError(f'Expected least_models={LEAST.value} memorization models '
                     f'from number 0 on, found {end}.')
  card = packaging.package(
      shards.merged(chosen, identity), out / 'scores.npz', recipe.forget // 3)
  results.write(out / 'scores.json', card)
  print(f'Scores of {end} models; split-half Spearman correlation '
        f'{card.correctness.split_half.spearman:.3f}.', flush=True)
  return str(out / 'scores.npz')


def _seed(recipe: recipes.Recipe, data: context.Data, out: pathlib.Path,
          until: float) -> None:
  """One seed of the table: rows until the time is up, all of them judged.

  Raises:
    TimeUp: if the limit was reached, after what was done is written.
  """
  workdir = _workdir(out) / f'table-seed{recipe.first_seed}'
  runtime = context.start(recipe, data, workdir, Programs(1))
  groups, retain, copies, score, _ = forget_set.chosen(recipe, data, runtime)
  references = trained_models.references(recipe, data, runtime, retain)
  named = dict(zip(GROUPS, groups))
  test = data.source.test
  subsets = evaluation.Subsets(groups, retain, test)
  jobs = unlearning.jobs_of(recipe, data, runtime, groups)
  done: dict[int, tuple[unlearning.Job, Artefact]] = {}
  ended: TimeUp | None = None
  with futures.ThreadPoolExecutor() as pool:  # SVCs are slow, and take a core.
    judge = functools.partial(pool.submit, unlearning.judge, data, runtime)
    judged = [judge(x, subsets) for x in references]
    try:
      for job, artefact in _rows(recipe, data, runtime, jobs,
                                 references.original, until):
        done[jobs.index(job)] = job, artefact
        judged.append(judge(artefact, subsets))
    except TimeUp as error:  # Even so, what is done is judged and written.
      ended = error
    finally:
      runtime.programs.cancel()
    for one in judged:
      one.result()
  if done:
    results.write(out / f'table-seed{recipe.first_seed}.json', results.judged(
        recipe, data, runtime, named, retain, references,
        [done[i] for i in sorted(done)], score, warnings=copies.warnings,
        notes=copies.notes))
  if ended:
    raise ended


def _rows(recipe: recipes.Recipe, data: context.Data, runtime: context.Runtime,
          jobs: Sequence[unlearning.Job], start: Artefact, until: float
          ) -> Iterator[tuple[unlearning.Job, Artefact]]:
  """Rows in the order of their worth, as long as there is time for the next."""
  todo = sorted(jobs, key=lambda job: job.variant not in _FIRST)
  variables = Variables(**jax.tree.map(jnp.asarray, start.tree))
  for job in todo:  # The GPU works while the next rows are compiled.
    runtime.programs.ahead(
        *unlearning.call_of(recipe, data, runtime, job, variables))
  per_epoch = 0.0
  for job in todo:
    epochs = sum(float(x.get('epochs', 1)) for _, x in job.setting)
    if time.monotonic() + per_epoch * epochs > until:
      return
    begun = time.monotonic()
    yield job, unlearning.unlearn(recipe, data, runtime, job, start)
    per_epoch = (time.monotonic() - begun) / epochs


def main() -> None:
  out = pathlib.Path(OUT.value)
  limits = dict(zip(PARTS, map(float, SECONDS.value), strict=True))
  for name in WANTED.value:
    recipes.one_of('run_parts', name, PARTS)
  for name, seconds in limits.items():
    if not 0 < seconds <= 480:
      raise ValueError(f'Expected seconds={seconds:g} of {name} to be above 0 '
                       'and at most 480.')
  out.mkdir(parents=True, exist_ok=True)
  begun, said = time.monotonic(), {}
  device = jax.devices()[0].device_kind
  if jax.default_backend() != 'gpu':
    print(f'JAX finds no GPU here, and takes {device}.', flush=True)
  run: dict[str, Callable[[pathlib.Path, float], str]] = {
      'speed': speed, 'models': models, 'table': table}
  for name in filter(WANTED.value.__contains__, PARTS):
    start = time.monotonic()
    left = min(limits[name], TOTAL.value - (start - begun))
    try:
      with limited(left):
        how = run[name](out, start + 0.85 * left)
    except TimeUp:
      how = (f'stopped at its limit of {left:.0f} s' if left > 0 else
             f'not begun: total_seconds={TOTAL.value} were over')
    except (ImportError, OSError, ValueError, RuntimeError) as error:
      how = f'failed: {error}'  # The next part does not need this one.
    said[name] = {'seconds': time.monotonic() - start, 'how': how,
                  'device': device}
    files.write_json(out / 'progress.json', said)
    print(f'{name}: {how}, {said[name]["seconds"]:.0f} s', flush=True)


if __name__ == '__main__':
  app.define(recipes.Recipe(corrupt=0.0))
  app.run(main)
