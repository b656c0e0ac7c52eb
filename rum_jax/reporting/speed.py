"""What benchmarks measured, and the tables of it for a README."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from typing import ClassVar

from rum_jax.evaluation.results import Environment
from rum_jax.reporting import markdown

_record = dataclasses.dataclass(frozen=True, kw_only=True)


@_record
class AgainstTorch:
  """Our side beside PyTorch's, both measured in turn.

  Attributes:
    microseconds: the median time of one of our steps, in microseconds.
    images_a_second: the number of images that we process in a second.
    torch_microseconds: the same for PyTorch.
    times_as_fast: ratio of the medians.
    from_to: the least and the greatest ratio of one round.
  """

  microseconds: float
  images_a_second: float
  torch_microseconds: float
  times_as_fast: float
  from_to: tuple[float, float]


@_record
class Step(AgainstTorch):
  """A step of training.

  Attributes:
    network: name.
    image: height and width in pixels.
    batch: examples in it.
    what: forward, gradient or step, or how many seeds at once.
    compile_seconds: the time to compile, where it was measured.
    share_of_peak: our floating-point operations a second, as a share of those
      of one large matrix product.
    mebibytes: the peak memory of our process, in MiB.
    torch_mebibytes: the same for the process of PyTorch.
  """

  network: str
  image: int
  batch: int
  what: str
  compile_seconds: float | None = None
  share_of_peak: float | None = None
  mebibytes: float | None = None
  torch_mebibytes: float | None = None


@_record
class Layer(AgainstTorch):
  """One layer, forward and backward.

  Attributes:
    layer: name.
    pixels: height and width.
    loop: seconds of XLA's own form in a loop over ours.
    once: the same outside a loop.
  """

  layer: str
  pixels: int
  loop: float
  once: float


@_record
class AlgorithmCost:
  """What an algorithm takes.

  Attributes:
    network: name.
    method: name of the algorithm.
    seconds: the time of one run, in seconds.
    compile_seconds: the time to compile its program, in seconds.
    epochs: seconds over those of one epoch of training.
    of_its_passes: seconds over those of the passes that it must make.
  """

  network: str
  method: str
  seconds: float
  compile_seconds: float
  epochs: float
  of_its_passes: float


@_record
class FactorCost:
  """What memorization or entanglement takes, beside NumPy."""

  factor: str
  seconds: float
  plain_seconds: float
  times_as_fast: float


@_record
class Speed:
  """All of one file of a benchmark: figures of one machine and precision."""

  SCHEMA: ClassVar[int] = 1

  environment: Environment
  precision: str
  steps: tuple[Step, ...] = ()
  layers: tuple[Layer, ...] = ()
  algorithms: tuple[AlgorithmCost, ...] = ()
  factors: tuple[FactorCost, ...] = ()


def tables(measured: Sequence[Speed]) -> str:
  """Tables of what benchmarks measured, for each device and precision.

  Args:
    measured: the records that the benchmarks wrote.

  Returns:
    Markdown: steps and layers against PyTorch, algorithms against their passes,
    factors against NumPy.
  """
  machines: dict[tuple[str, str], list[Speed]] = {}
  for record in measured:
    machine = record.environment.device, record.precision
    machines.setdefault(machine, []).append(record)
  parts = []
  for (device, precision), several in machines.items():
    made = [
        _steps([x for record in several for x in record.steps]),
        _layers([x for record in several for x in record.layers]),
        _algorithms([x for record in several for x in record.algorithms]),
        _factors([x for record in several for x in record.factors])]
    if any(made):
      parts += [f'On {device}, {precision}:',
                *('\n'.join(lines) for lines in made if lines)]
  return '\n\n'.join(parts)


def ratios(measured: Sequence[Speed]) -> str:
  """In how many rows ours is faster than PyTorch, as a list."""
  steps = [x for record in measured for x in record.steps]
  layers = [x for record in measured for x in record.layers]
  lines = []
  for size in sorted({step.image for step in steps}):
    of_size = [x for x in steps if x.image == size]
    lines.append(f'* Steps of training at {size}×{size}: {_ahead(of_size)}.')
  if layers:
    slow, fast = (choose(layers, key=lambda x: x.times_as_fast)
                  for choose in (min, max))
    lines.append(f'* Single layers: {_ahead(layers)}; the slowest is '
                 f'{slow.layer} at {slow.pixels}×{slow.pixels}, the fastest '
                 f'{fast.layer} at {fast.pixels}×{fast.pixels}.')
  return '\n'.join(lines)


def _ahead(rows: Sequence[AgainstTorch]) -> str:
  values = [row.times_as_fast for row in rows]
  return (f'ours is faster in {sum(x > 1 for x in values)} of {len(values)} '
          f'rows, {min(values):.2f} to {max(values):.2f} times as fast as '
          'PyTorch')


def _steps(rows: Sequence[Step]) -> list[str]:
  head = ('network', 'images', 'batch', 'what', 'µs a model-step', 'PyTorch',
          'times as fast', 'MiB', 'PyTorch')
  return markdown.table(head, (
      (row.network, f'{row.image}×{row.image}', str(row.batch), row.what,
       *_against_torch(row), *('' if x is None else f'{x:.0f}' for x in (
           row.mebibytes, row.torch_mebibytes)))
      for row in rows)) if rows else []


def _layers(rows: Sequence[Layer]) -> list[str]:
  head = ('layer, one core', 'images', 'µs', 'PyTorch', 'times as fast',
          'as XLA’s own in a loop', 'outside')
  return markdown.table(head, (
      (row.layer, f'{row.pixels}×{row.pixels}', *_against_torch(row),
       f'{row.loop:.1f}', f'{row.once:.1f}') for row in rows)) if rows else []


def _against_torch(row: AgainstTorch) -> tuple[str, str, str]:
  """Three cells; with the range of what was measured more than once."""
  low, high = row.from_to
  spread = f' ({low:.2f}–{high:.2f})' if low < high else ''
  return (f'{row.microseconds:,.0f}', f'{row.torch_microseconds:,.0f}',
          f'{row.times_as_fast:.2f}{spread}')


def _algorithms(rows: Sequence[AlgorithmCost]) -> list[str]:
  by_name = {(row.method, row.network): row for row in rows}
  networks = list(dict.fromkeys(network for _, network in by_name))
  head = ['method']
  for network in networks:
    head += [f'{network}: epochs', 'of its passes']
  return markdown.table(head, (
      (f'`{method}`', *(cell for network in networks for cell in _algorithm(
          by_name.get((method, network)))))
      for method in dict.fromkeys(m for m, _ in by_name))) if rows else []


def _algorithm(row: AlgorithmCost | None) -> tuple[str, str]:
  return (f'{row.epochs:.1f}', f'{row.of_its_passes:.2f}') if row else ('', '')


def _factors(rows: Sequence[FactorCost]) -> list[str]:
  head = ('factor, one core', 'seconds', 'NumPy', 'times as fast')
  return markdown.table(head, (
      (row.factor, f'{row.seconds:.2f}', f'{row.plain_seconds:.2f}',
       f'{row.times_as_fast:.1f}') for row in rows)) if rows else []
