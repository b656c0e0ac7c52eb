"""Records of benchmarks, and their tables for the documentation."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from typing import ClassVar

from rum_jax.evaluation.results import Environment
from rum_jax.reporting import markdown

_record = dataclasses.dataclass(frozen=True, kw_only=True)


@_record
class AgainstTorch:
  """The times of our side and of PyTorch, which were measured in turn.

  Attributes:
    microseconds: the median time of one of our steps, in microseconds.
    images_a_second: the number of images that we process in a second.
    torch_microseconds: the same for PyTorch.
    times_as_fast: the ratio of the medians.
    from_to: the lowest and the highest ratio of one round.
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
    network: the name of the network.
    image: the height and the width of an image in pixels.
    batch: the number of examples in a batch.
    what: forward, gradient or step, or the number of seeds.
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
    layer: the name of the layer.
    pixels: the height and the width of an image.
    loop: the time of XLA's own form inside a loop, in units of our time.
    once: the same outside a loop.
  """

  layer: str
  pixels: int
  loop: float
  once: float


@_record
class AlgorithmCost:
  """The cost of an algorithm.

  Attributes:
    network: the name of the network.
    method: the name of the algorithm.
    seconds: the time of one run, in seconds.
    compile_seconds: the time to compile its program, in seconds.
    epochs: the time of one run, in units of one epoch of training.
    of_its_passes: the time of one run, in units of the time of the passes over
      the data that it must make.
  """

  network: str
  method: str
  seconds: float
  compile_seconds: float
  epochs: float
  of_its_passes: float


@_record
class FactorCost:
  """The time of memorization or entanglement, and that of plain NumPy."""

  factor: str
  seconds: float
  plain_seconds: float
  times_as_fast: float


@_record
class Speed:
  """The content of a file of a benchmark, on one machine in one precision."""

  SCHEMA: ClassVar[int] = 1

  environment: Environment
  precision: str
  steps: tuple[Step, ...] = ()
  layers: tuple[Layer, ...] = ()
  algorithms: tuple[AlgorithmCost, ...] = ()
  factors: tuple[FactorCost, ...] = ()


def tables(measured: Sequence[Speed]) -> str:
  """Tables of the figures of benchmarks, for each device and precision.

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
  """A list that says how often ours is faster, and whether XLA caught up."""
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
    lines.append(f'* {caught_up(layers)}')
  return '\n'.join(lines)


def caught_up(layers: Sequence[Layer]) -> str:
  """Whether XLA's own layers are as fast as ours, so that ours can go.

  Args:
    layers: one or more layers.

  Returns:
    A sentence or two.
  """
  times = [x.loop for x in layers]
  fast = [f'{x.layer} at {x.pixels}×{x.pixels}' for x in layers if x.loop <= 1]
  verdict = (f'has caught up on {", ".join(fast)}: these layers of ours can go'
             if fast else 'has not caught up on any layer')
  return (f'XLA’s own layers, inside a loop, take {min(times):.1f} to '
          f'{max(times):.1f} times as long as ours: XLA {verdict}.')


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
  """Three cells; the last has the range if there were several rounds."""
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
