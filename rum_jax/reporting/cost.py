"""What it costs to unlearn in a part of the parameters, as tables."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from rum_jax.evaluation.results import Environment
from rum_jax.evaluation.statistics import Summary
from rum_jax.reporting import markdown

_record = dataclasses.dataclass(frozen=True, kw_only=True)


@_record
class Network:
  """The network that is measured.

  Attributes:
    name: such as `ViT`.
    parameters: their number.
    examples: N, all examples.
    forget: F, those to forget.
    batch_size: examples a step.
    epochs: of training and of retraining.
    unlearning_epochs: of each stage.
  """

  name: str
  parameters: int
  examples: int
  forget: int
  batch_size: int
  epochs: int
  unlearning_epochs: int


@_record
class PartCost:
  """What unlearning a part of the parameters takes.

  Attributes:
    part: of the parameters: all, low rank or last layers.
    stages: 1 for the whole forget set at once, more for RUM.
    trained: number of parameters that are trained.
    seconds: of all stages, without compilation.
    processor_seconds: the same, summed over the cores that worked.
    epochs: `processor_seconds` over those of one epoch of training.
    compile_seconds: processor seconds to compile the program of a stage.
    mebibytes: at most, of that program: what goes in, what it holds, and what
      comes out.
    weights: `mebibytes` over those of the weights.
  """

  part: str
  stages: int
  trained: int
  seconds: float
  processor_seconds: float
  epochs: float
  compile_seconds: float
  mebibytes: float
  weights: float


@_record
class PartQuality:
  """How near to retraining an unlearned network is.

  Attributes:
    part: as of `PartCost`; `nothing` for the original network.
    stages: likewise; 0 for the original network.
    learning_rate: the best of those tried, on a seed that is not reported.
    tow: ToW, 1 is retraining.
    attack_gap: by how much the share of the forget set that the attack takes
      for non-members is off that of retraining.
    forget, retain, test: accuracies.
    processor_seconds: of all stages, the median of the seeds.
  """

  part: str
  stages: int
  learning_rate: float | None
  tow: Summary
  attack_gap: Summary
  forget: Summary
  retain: Summary
  test: Summary
  processor_seconds: float


@_record
class Price:
  """What RUM costs in all.

  Attributes:
    scores: where the scores come from that the groups are made of.
    part: as of `PartCost`.
    scoring: price of the scores, in retrainings.
    stages: price of the stages, in retrainings.
  """

  scores: str
  part: str
  scoring: float
  stages: float


@_record
class Cost:
  """Costs on a large network, quality on a small one, and RUM's price.

  Attributes:
    environment: where it was measured.
    command: which made it.
    method: the algorithm of each stage.
    rank: of the adapters.
    layers: number of last layers that are trained.
    large: on random images.
    costs: on `large`.
    dataset: name of the data of `small`.
    rates: the learning rates that were tried.
    small: on `dataset`.
    quality: on `small`.
    prices: on `small`.
  """

  SCHEMA: ClassVar[int] = 1

  environment: Environment
  command: str
  method: str
  rank: int
  layers: int
  large: Network
  costs: tuple[PartCost, ...]
  dataset: str
  rates: tuple[float, ...]
  small: Network
  quality: tuple[PartQuality, ...]
  prices: tuple[Price, ...]


def tables(record: Cost, command: str) -> str:
  """Three tables in Markdown: costs, quality and prices.

  Args:
    record: what `experiments.bench.partial` measured.
    command: ignored; the record holds its own.
  """
  del command
  lines = [
      f'`{record.command}` on {record.environment.device}, '
      f'{record.environment.cores} cores. `{record.method}` trains all '
      f'parameters, adapters of rank {record.rank}, or the last '
      f'{record.layers} layers with the features below computed once.', '',
      _described(record.large) + ' Random images. Memory is that of the '
      'compiled program of a stage. Other processes shared the machine: '
      'compare seconds of the processor; those of the clock include waiting.',
      '',
      *markdown.table(
          ('trained', 'stages', 'parameters', 'epochs of training',
           'processor seconds', 'seconds', 'MiB', 'copies of the weights',
           'compiled in'),
          ((x.part, str(x.stages), f'{x.trained:,}', f'{x.epochs:.2f}',
            f'{x.processor_seconds:.1f}', f'{x.seconds:.1f}',
            f'{x.mebibytes:.0f}', f'{x.weights:.2f}',
            f'{x.compile_seconds:.0f} s') for x in record.costs)),
      '', f'{_described(record.small)} {record.dataset}, '
      f'{record.quality[0].tow.seeds} seeds; learning rates are the best of '
      f'{", ".join(f"{x:g}" for x in record.rates)} on another seed, in one '
      'stage.', '',
      *markdown.table(
          ('trained', 'stages', 'rate', 'ToW', 'attack gap', 'forget',
           'retain', 'test', 'processor seconds'),
          ((x.part, str(x.stages or ''),
            '' if x.learning_rate is None else f'{x.learning_rate:g}',
            *map(_figure, (x.tow, x.attack_gap, x.forget, x.retain, x.test)),
            f'{x.processor_seconds:.1f}') for x in record.quality)),
      '', 'RUM in three stages on the same network, in retrainings by '
      'processor seconds:', '',
      *markdown.table(
          ('scores', 'trained', 'scores cost', 'stages cost', 'in all'),
          ((x.scores, x.part, f'{x.scoring:.2f}', f'{x.stages:.2f}',
            f'{x.scoring + x.stages:.2f}') for x in record.prices))]
  return '\n'.join(lines)


def _described(network: Network) -> str:
  return (f'{network.name}, {network.parameters:,} parameters; '
          f'{network.forget} of {network.examples:,} examples to forget, '
          f'batches of {network.batch_size}; epochs of a stage: '
          f'{network.unlearning_epochs}, of training: {network.epochs}.')


def _figure(x: Summary) -> str:
  return f'{x.mean:.3f} ± {x.ci95:.3f}'
