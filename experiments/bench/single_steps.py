"""Times of training steps on one GPU, and those of PyTorch if installed.

Each step is measured on random images that lie on the device. PyTorch runs
channels-last, compiled on a GPU, and in the same precision. What was measured
is written before the next is compiled, so that a limit of time loses one row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools
import math
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.bench import timing
import rum_jax
from rum_jax import recipes
from rum_jax.datasets import Source
from rum_jax.pipeline import builders, results
from rum_jax.reporting.speed import AgainstTorch, Speed, Step
from rum_jax.types import Images, Split

_STEPS = 20  # Of each measurement.
_REPEATS = 5
_AT_A_TIME = ' at a time'


class What(NamedTuple):
  """A step to measure.

  Attributes:
    network: its name.
    batch: examples in a step.
    precision: float32 or bfloat16.
    widths: the widths of the network, separated by commas, if it has widths.
    seeds: models that take this step.
    at_once: how many of them under `vmap`.
  """

  network: str
  batch: int
  precision: str
  widths: str = ''
  seeds: int = 1
  at_once: int = 1


def parsed(text: str) -> What:
  """`network/batch/precision`, and maybe `/widths` by + and `/seeds/at once`.

  Raises:
    ValueError: if the text is not of this form.
  """
  parts = text.split('/')
  try:
    network, batch, precision, *rest = parts
    widths = rest[0].replace('+', ',') if rest else ''
    return What(network, int(batch), precision, widths, *map(int, rest[1:]))
  except (TypeError, ValueError) as error:
    raise ValueError(f'Expected speed={text} to be network/batch/precision, '
                     'and maybe /widths/seeds/at_once.') from error


def steps(wanted: Sequence[What], path: pathlib.Path, pixels: int = 32
          ) -> list[Step]:
  """Measures all steps, and writes the figures after each of them.

  Args:
    wanted: in this order.
    path: without its end `_<precision>.json`, as each precision has a file.
    pixels: height and width of the images.
  """
  done: list[Step] = []
  for what in wanted:
    done.append(_measured(what, pixels))
    same = [x for x, y in zip(done, wanted) if y.precision == what.precision]
    results.write(
        path.with_name(f'{path.name}_{what.precision}.json'),
        Speed(environment=results.environment(), precision=what.precision,
              steps=tuple(same)))
    row = done[-1]
    beside = ('' if math.isnan(row.times_as_fast) else
              f', {row.times_as_fast:.2f} times as fast as PyTorch')
    print(f'{what.network} {what.precision}, batch {what.batch}, {row.what}: '
          f'{row.microseconds:,.0f} µs a model-step, '
          f'{row.images_a_second:,.0f} images/s{beside}', flush=True)
  return done


def _measured(what: What, pixels: int) -> Step:
  rng, count = np.random.default_rng(0), 4 * what.batch
  images = Images(
      rng.integers(0, 256, (count, pixels, pixels, 3), np.uint8),
      rng.integers(0, 10, count, np.int32))
  source = Source(images, count, np.arange(count),
                  tuple(map(str, range(10))), 'random')
  recipe = recipes.Recipe(
      network=what.network, widths=what.widths, precision=what.precision,
      batch_size=what.batch, corrupt=0.0)
  ours, seconds = _ours(recipe, source, what)
  calls: list[timing.Call] = [ours]
  if what.seeds == 1:
    theirs = _theirs(what, source)
    calls += [theirs] if theirs else []
  mine, *others = np.array(timing.all_seconds(calls, _REPEATS)) / _rounds() / 4
  mine /= what.seeds
  return Step(
      network=what.network, image=pixels, batch=what.batch,
      what=('1 seed' if what.seeds == 1 else
            f'{what.seeds} seeds, {what.at_once}{_AT_A_TIME}'),
      compile_seconds=seconds, **vars(
          timing.compared(mine, others[0], what.batch) if others else
          _alone(mine, what.batch)))


def _alone(mine: np.ndarray, batch: int) -> AgainstTorch:
  """The figures where PyTorch is not there."""
  middle, nan = float(np.median(mine)), math.nan
  return AgainstTorch(
      microseconds=1e6 * middle, images_a_second=batch / middle,
      torch_microseconds=nan, times_as_fast=nan, from_to=(nan, nan))


def _rounds() -> int:
  """Passes over four batches."""
  return max(1, _STEPS // 4) if jax.default_backend() != 'cpu' else 1


def _ours(recipe: recipes.Recipe, source: Source, what: What
          ) -> tuple[timing.Call, float]:
  model = builders.build_model(recipe, source)
  examples = jax.tree.map(jnp.asarray, source.dataset)
  rows = jnp.asarray(source.train)
  train = rum_jax.retrain(
      model, rum_jax.sgd(0.1, momentum=0.9, weight_decay=1e-4),
      epochs=_rounds(), batch_size=what.batch)
  fn = rum_jax.over_seeds(
      lambda key, data, part: train(key, None, data, part),
      in_axes=(0, None, None), chunk=what.at_once, devices=jax.devices()[:1])
  return timing.compiled(fn, jax.random.split(jax.random.key(0), what.seeds),
                         examples, Split(rows[:0], rows))


def _theirs(what: What, source: Source) -> Callable[[], Any] | None:
  """PyTorch's steps, or nothing where it is not there."""
  try:
    from experiments.bench import torch_side
    import torch
  except ImportError:
    return None
  gpu = jax.default_backend() == 'gpu'
  if what.network not in torch_side.NETWORKS or gpu and (
      not torch.cuda.is_available()):
    return None
  torch.set_float32_matmul_precision('high')  # TF32, as XLA has it.
  widths = tuple(map(int, filter(None, what.widths.split(','))))
  run, _ = torch_side.passes(
      what.network, np.asarray(source.dataset.image),
      np.asarray(source.dataset.label), 10, what.batch, _rounds(), gpu,
      what.precision == 'bfloat16', widths)
  return functools.partial(run, 'step', 1)


def fastest(measured: Sequence[Step], network: str) -> int | None:
  """How many models at a time took the least; `None` if it was not measured."""
  rates = {x.what: x.microseconds for x in measured
           if x.network == network and x.what.endswith(_AT_A_TIME)}
  if not rates:
    return None
  best = min(rates, key=rates.__getitem__)
  return int(best.removesuffix(_AT_A_TIME).split()[-1])
