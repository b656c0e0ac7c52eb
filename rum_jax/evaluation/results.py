"""What `results.json` holds: rows, their figures, differences, the best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rum_jax import records
from rum_jax.evaluation import judge, metrics, statistics
from rum_jax.evaluation.judge import Behaviour
from rum_jax.evaluation.statistics import Summary

CONTROLS = ('vanilla', 'matched', 'shuffle')
VARIANTS = (*CONTROLS, 'rum_f')
_record = dataclasses.dataclass(frozen=True, kw_only=True)


@_record
class Closeness:
  """How close models are to retrained ones: the figures that are compared."""

  tow: Summary
  tow_by_group: Summary
  tow_mia: Summary
  mia_gap: Summary


@_record
class Divergence:
  """A run that is not finite: its seed, and its first such stage, from 0."""

  seed: int
  stage: int


@_record
class GroupFigures:
  """A row's figures with one group alone as the forget set."""

  tow: Summary
  forget_accuracy: Summary


@_record
class Row(Closeness):
  """One row of the table: what the models of a method do.

  Attributes:
    method: name of the algorithm.
    variant: vanilla, matched, shuffle, rum_f, rum or reference.
    forget_accuracy: on the forget set.
    retain_accuracy: on the retain set.
    test_accuracy: on the examples that are held out.
    seconds: of one model.
    compile_seconds: of all of them together.
    steps: of each stage.
    diverged: runs that are not finite.
    probes: of each stage, what the method reports of itself.
    groups: name of a group to the figures on it alone.
    setting: the method and the hyper-parameters of each stage; `None` where
      nothing was unlearned.
  """

  method: str
  variant: str
  forget_accuracy: Summary
  retain_accuracy: Summary
  test_accuracy: Summary
  seconds: Summary
  compile_seconds: float
  steps: tuple[int, ...]
  diverged: tuple[Divergence, ...]
  probes: tuple[Mapping[str, float], ...]
  groups: Mapping[str, GroupFigures]
  setting: tuple[tuple[str, Mapping[str, Any]], ...] | None


class Figure(NamedTuple):
  """A column of the table.

  Attributes:
    name: of the field of a `Row`.
    title: what people call it.
    compared: whether it says how close a row is to retraining, so that rows are
      compared by it.
  """

  name: str
  title: str
  compared: bool = True

  def of(self, record: Any) -> Summary:
    """This figure of a `Row`, or of another record that has it."""
    return getattr(record, self.name)


TOW = Figure('tow', 'ToW')
TOW_BY_GROUP = Figure('tow_by_group', 'ToW by group')
TOW_MIA = Figure('tow_mia', 'ToW-MIA')
MIA_GAP = Figure('mia_gap', 'MIA gap')
ACCURACIES = (Figure('forget_accuracy', 'forget', compared=False),
              Figure('retain_accuracy', 'retain', compared=False),
              Figure('test_accuracy', 'test', compared=False))
FIGURES = (TOW, TOW_BY_GROUP, TOW_MIA, MIA_GAP, *ACCURACIES)
COMPARED = tuple(figure for figure in FIGURES if figure.compared)


@_record
class Difference(Closeness):
  """RUM^F of a method minus one of its controls, paired by seed."""

  method: str
  minus: str


@_record
class Oracle:
  """What retraining gives, and the seconds of one model.

  Attributes:
    groups: name of a group to the accuracy on it.
  """

  seconds: float
  mia: Summary
  forget_accuracy: Summary
  retain_accuracy: Summary
  test_accuracy: Summary
  groups: Mapping[str, Summary]


@_record
class Group:
  """A part of the forget set.

  Attributes:
    size: examples in it.
    rows: of the training examples of the run.
    published_rows: the same examples in the published data set.
    mean_memorization: NaN where memorization was not estimated.
    refined_by: what the groups were chosen by: memorization, or a proxy.
    mean_score: mean of that; NaN where the groups were given.
    es: entanglement score with the retain set.
    corrupted: examples whose label was made wrong.
  """

  size: int
  rows: tuple[int, ...]
  published_rows: tuple[int, ...]
  mean_memorization: float
  refined_by: str
  mean_score: float
  es: Summary
  corrupted: int


@_record
class RecordedRecipe:
  """What reports say of a recipe; `rest` is all else that decides results."""

  dataset: str
  network: str
  held_out: str
  corrupt: float
  refine_by: str
  seeds: int
  rest: Mapping[str, Any] = dataclasses.field(
      default_factory=dict, metadata=records.REST)


@_record
class Versions:
  """Version of each library by its name."""

  jax: str
  rest: Mapping[str, str] = dataclasses.field(
      default_factory=dict, metadata=records.REST)


@_record
class Environment:
  """Where a run was made.

  Attributes:
    versions: of libraries.
    device: name of the processor.
    platform: cpu, gpu or tpu.
    devices: how many JAX saw.
    cores: of the machine.
    commit: of the code, where it is known.
    devices_per_run: that shared the batches of a run, where it was written
      down.
  """

  versions: Versions
  device: str
  platform: str
  devices: int
  cores: int | None
  commit: str | None
  devices_per_run: int | None = None


@_record
class Origin:
  """Where figures come from: recipe, environment, and a hash of the data."""

  recipe: RecordedRecipe
  environment: Environment
  data_hash: str


@_record
class Examples:
  """How many examples were trained on, and how many judge."""

  train: int
  held_out: int


@_record
class Results(Origin):
  """All of `results.json`.

  Attributes:
    seeds: S of them.
    examples: how many there are.
    corrupted: rows whose label was made wrong.
    groups: name to what is known of a part of the forget set.
    oracle: what retraining gives.
    rows: doing nothing, another oracle, and everything that was unlearned.
    differences: RUM^F minus its controls.
  """

  SCHEMA: ClassVar[int] = 1

  seeds: tuple[int, ...]
  examples: Examples
  corrupted: tuple[int, ...]
  groups: Mapping[str, Group]
  oracle: Oracle
  rows: tuple[Row, ...]
  differences: tuple[Difference, ...]


def row(method: str, variant: str, groups: Iterable[str],
        unlearned: Behaviour, oracle: Behaviour, *, seconds: float = 0.0,
        compile_seconds: float = 0.0, steps: Sequence[int] = (),
        diverged: Iterable[Divergence] = (),
        probes: Iterable[Mapping[str, float]] = (),
        setting: Sequence[tuple[str, Mapping[str, Any]]] | None = None) -> Row:
  """One row of the table.

  Args:
    method: name of the algorithm.
    variant: vanilla, matched, shuffle, rum_f, rum or reference.
    groups: names of the G groups.
    unlearned: what the S models do.
    oracle: what the S retrained models do.
    seconds: that the S models took together.
    compile_seconds: likewise.
    steps: of each stage.
    diverged: runs that are not finite.
    probes: of each stage, what the method reports of itself.
    setting: the method and the hyper-parameters of each stage.
  """
  compared = judge.compare(unlearned, oracle)
  count = len(unlearned.forget)
  parts = {}
  for g, name in enumerate(groups):
    tow = metrics.tug_of_war(
        unlearned.groups[:, g] - oracle.groups[:, g],
        unlearned.retain - oracle.retain, unlearned.test - oracle.test)
    parts[name] = GroupFigures(
        tow=statistics.summary(np.asarray(tow)),
        forget_accuracy=statistics.summary(unlearned.groups[:, g]))
  return Row(
      method=method, variant=variant,
      **{x.name: statistics.summary(compared[x.name]) for x in FIGURES},
      seconds=statistics.summary([seconds / count] * count),
      compile_seconds=compile_seconds, steps=tuple(steps),
      diverged=tuple(diverged), probes=tuple(probes), groups=parts,
      setting=None if setting is None else tuple(map(tuple, setting)))


def of_oracle(groups: Iterable[str], truth: Behaviour, seconds: float
              ) -> Oracle:
  """What retraining gives, and what it costs.

  Args:
    groups: names of the G groups.
    truth: what the S retrained models do.
    seconds: that all of them took together.
  """
  summary = statistics.summary
  return Oracle(
      seconds=seconds / len(truth.forget), mia=summary(truth.mia),
      forget_accuracy=summary(truth.forget),
      retain_accuracy=summary(truth.retain), test_accuracy=summary(truth.test),
      groups={name: summary(truth.groups[:, g])
              for g, name in enumerate(groups)})


def differences(rows: Sequence[Row]) -> tuple[Difference, ...]:
  """RUM^F of each method minus each of its controls, paired by seed."""
  by_name = {(r.method, r.variant): r for r in rows}
  found = []
  for method in dict.fromkeys(r.method for r in rows):
    refined = by_name.get((method, 'rum_f'))
    for control in CONTROLS:
      other = by_name.get((method, control))
      if refined and other:
        found.append(Difference(method=method, minus=control, **{
            x.name: statistics.difference(x.of(refined), x.of(other))
            for x in COMPARED}))
  return tuple(found)


def best(rows: Iterable[Row], variant: str | None = None,
         figure: Figure = TOW) -> Row | None:
  """The row of highest mean `figure`, of all but references or of one variant.

  A row that lost seeds is passed over: what is left of it flatters it. Nor is
  one row alone the best.
  """
  rivals = [row for row in rows if row.variant != 'reference']
  able = [row for row in rivals if np.isfinite(figure.of(row).values).all()
          and not row.diverged and variant in (None, row.variant)]
  return max(able, key=lambda row: figure.of(row).mean,
             default=None) if len(rivals) > 1 else None


def references(rows: Iterable[Row]) -> list[Row]:
  """Doing nothing and another oracle."""
  return [row for row in rows if row.variant == 'reference']
