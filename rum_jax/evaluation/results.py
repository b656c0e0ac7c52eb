"""The content of `results.json`: rows, their figures, differences, the best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import math
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

import numpy as np

from rum_jax import records
from rum_jax.evaluation import measurements, metrics, reference_checks
from rum_jax.evaluation import statistics
from rum_jax.evaluation.measurements import Behaviour
from rum_jax.evaluation.statistics import Summary

CONTROLS = ('vanilla', 'matched', 'shuffle')
VARIANTS = (*CONTROLS, 'rum_f')
REFINED = ('rum_f', 'rum')  # Variants that need the groups of the forget set.
_NOT_A_METHOD = ('reference', 'matched', 'shuffle')
_record = dataclasses.dataclass(frozen=True, kw_only=True)


class Named(Protocol):
  """A row of any table that names a method and a variant."""

  @property
  def method(self) -> str:
    ...

  @property
  def variant(self) -> str:
    ...


AnyRow = TypeVar('AnyRow', bound=Named)


@_record
class Closeness:
  """How close models are to retrained ones: the figures that are compared."""

  tow: Summary
  tow_by_group: Summary
  tow_mia: Summary
  mia_gap: Summary


@_record
class Divergence:
  """A run that diverged: its seed, and the first such stage, from 0."""

  seed: int
  stage: int


@_record
class GroupFigures:
  """A row's figures with one group alone as the forget set."""

  tow: Summary
  forget_accuracy: Summary


@_record
class Row(Closeness):
  """One row of the table: the results of the models of one method.

  Attributes:
    method: name of the algorithm.
    variant: vanilla, matched, shuffle, rum_f, rum or reference.
    forget_accuracy: the accuracy on the forget set.
    retain_accuracy: the accuracy on the retain set.
    test_accuracy: the accuracy on the held-out examples.
    seconds: the time to unlearn one model, in seconds.
    compile_seconds: the time to compile the program of all models, in seconds.
    steps: the number of steps of each stage.
    diverged: the runs that diverged.
    probes: for each stage, the values that the method reports.
    groups: name of a group to the figures on it alone.
    setting: the method and the hyper-parameters of each stage; `None` where
      nothing was unlearned.
    collapsed: seeds whose accuracy on the retain set is not above chance.
    beforehand_seconds: time to compute the scores that the groups were chosen
      by; 0 where a variant needs no groups, NaN where it was not recorded.
    tuning_seconds: time of the search for the setting; NaN where it was not
      recorded.
    kept_test_accuracy: the accuracy on the held-out examples without the
      classes that the forget set contains completely; `None` where there is no
      such class.
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
  collapsed: tuple[int, ...] = ()
  beforehand_seconds: float = math.nan
  tuning_seconds: float = math.nan
  kept_test_accuracy: Summary | None = None

  @property
  def lost(self) -> bool:
    """Whether no seed has a figure: all of them diverged."""
    return not self.tow.seeds


class Figure(NamedTuple):
  """A column of the table.

  Attributes:
    name: the name of the field of a `Row`.
    title: its heading.
    compared: whether it measures how close a row is to retraining, so that rows
      are compared by it.
    lower_is_better: whether 0 is the best value.
  """

  name: str
  title: str
  compared: bool = True
  lower_is_better: bool = False

  def of(self, record: Any) -> Summary:
    """This figure of a `Row`, or of another record that has it."""
    return getattr(record, self.name)

  def verdict(self, difference: Summary) -> str:
    """The verdict on a difference in this figure; see `statistics.verdict`."""
    return statistics.verdict(
        difference, lower_is_better=self.lower_is_better)


TOW = Figure('tow', 'ToW')
TOW_BY_GROUP = Figure('tow_by_group', 'ToW by group')
TOW_MIA = Figure('tow_mia', 'ToW-MIA')
MIA_GAP = Figure('mia_gap', 'MIA gap', lower_is_better=True)
ACCURACIES = (Figure('forget_accuracy', 'forget', compared=False),
              Figure('retain_accuracy', 'retain', compared=False),
              Figure('test_accuracy', 'test', compared=False))
FIGURES = (TOW, TOW_BY_GROUP, TOW_MIA, MIA_GAP, *ACCURACIES)
COMPARED = tuple(figure for figure in FIGURES if figure.compared)


@_record
class Difference(Closeness):
  """RUM^F of a method minus one of its controls, paired by seed.

  Attributes:
    verdicts: name of a figure to the verdict by its 95 % interval.
  """

  method: str
  minus: str
  verdicts: Mapping[str, str]


@_record
class Oracle:
  """The results of retraining, and the seconds of one model.

  Attributes:
    groups: name of a group to the accuracy on it.
    kept_test_accuracy: as in a `Row`.
  """

  seconds: float
  mia: Summary
  forget_accuracy: Summary
  retain_accuracy: Summary
  test_accuracy: Summary
  groups: Mapping[str, Summary]
  kept_test_accuracy: Summary | None = None


@_record
class Group:
  """A part of the forget set.

  Attributes:
    size: examples in it.
    rows: the rows of its examples in the published training part.
    positions: where these examples stand among the training examples of the
      run, which are fewer where some were set apart.
    mean_memorization: NaN where memorization was not estimated.
    refined_by: the score that the groups were chosen by: memorization or a
      proxy.
    mean_score: mean of that score; NaN where the groups were given.
    es: entanglement score with the retain set.
    corrupted: number of examples whose label was replaced by a wrong one.
    standard_error: mean standard error of the memorization scores; NaN where it
      is not known.
    overlap: share of such a group that two halves of the models agree on; NaN
      where they are not known, or the groups were not chosen by memorization.
  """

  size: int
  rows: tuple[int, ...]
  positions: tuple[int, ...]
  mean_memorization: float
  refined_by: str
  mean_score: float
  es: Summary
  corrupted: int
  standard_error: float = math.nan
  overlap: float = math.nan


@_record
class RecordedRecipe:
  """The fields of a recipe that reports use, and the `rest`."""

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
    versions: the versions of libraries.
    device: name of the processor.
    platform: cpu, gpu or tpu.
    devices: number of devices of JAX.
    cores: the number of cores of the machine.
    commit: the commit that the package was built from, where it is not used
      from a clone; in files of older versions, of the clone.
    devices_per_run: number of devices that shared the batches of a run, where
      it was recorded.
  """

  versions: Versions
  device: str
  platform: str
  devices: int
  cores: int | None
  commit: str | None = None
  devices_per_run: int | None = None


@_record
class Origin:
  """Where figures come from: recipe, environment, and a hash of the data."""

  recipe: RecordedRecipe
  environment: Environment
  data_hash: str


@_record
class Examples:
  """Number of training examples and of held-out examples."""

  train: int
  held_out: int


@_record
class Results(Origin):
  """The content of `results.json`.

  Attributes:
    seeds: S of them.
    examples: numbers of examples.
    corrupted: published rows whose label was replaced by a wrong one.
    groups: name of each part of the forget set to its description.
    oracle: the results of retraining.
    rows: doing nothing, another oracle, and every method.
    differences: RUM^F minus its controls.
    chance: accuracy of a guess; `None` where the task has none.
    margin: a difference is equal to 0 if its whole interval is within ± this.
    sound: whether original and retrained models are accurate enough to compare
      rows with.
    warnings: sentences on problems that concern all rows.
    forgotten_classes: the classes that the forget set contains completely.
    memorization_fit: mean accuracy of the memorization models on their own
      training subsets; NaN where it is not known.
    notes: sentences on what was done to the data.
  """

  SCHEMA: ClassVar[int] = 3

  seeds: tuple[int, ...]
  examples: Examples
  corrupted: tuple[int, ...]
  groups: Mapping[str, Group]
  oracle: Oracle
  rows: tuple[Row, ...]
  differences: tuple[Difference, ...]
  chance: float | None
  margin: float
  sound: bool
  warnings: tuple[str, ...]
  forgotten_classes: tuple[str, ...] = ()
  memorization_fit: float = math.nan
  notes: tuple[str, ...] = ()


def assemble(origin: Origin, *, seeds: Sequence[int], examples: Examples,
             corrupted: Sequence[int], groups: Mapping[str, Group],
             oracle: Oracle, rows: Sequence[Row], chance: float | None,
             forgotten_classes: Sequence[str] = (),
             memorization_fit: float = math.nan, warnings: Sequence[str] = (),
             notes: Sequence[str] = ()) -> Results:
  """Results of the given parts, with differences, warnings and collapsed runs.

  Args:
    origin: where the figures come from.
    seeds: S of them.
    examples: numbers of examples.
    corrupted: published rows whose label was replaced by a wrong one.
    groups: name of each part of the forget set to its description.
    oracle: the results of retraining.
    rows: all rows; doing nothing is the first.
    chance: accuracy of a guess; `None` where the task has none.
    forgotten_classes: the classes that the forget set contains completely.
    memorization_fit: mean accuracy of the memorization models on their own
      training subsets; NaN where it is not known.
    warnings: more sentences on problems that concern all rows.
    notes: sentences on what was done to the data.
  """
  forget = sum(group.size for group in groups.values())
  retain = examples.train - forget
  rows = tuple(dataclasses.replace(row, collapsed=tuple(
      seed for seed, x in zip(seeds, row.retain_accuracy.values, strict=True)
      if reference_checks.at_chance(x, chance, retain))) for row in rows)
  idle = next((row for row in rows if row.method == 'do_nothing'), None)
  faults = []
  if idle:
    faults += reference_checks.faults(
        'original', idle.test_accuracy, examples.held_out,
        reference_checks.mean_of(idle.forget_accuracy, forget,
                                 idle.retain_accuracy, retain), chance)
  faults += reference_checks.faults(
      'retrained', oracle.test_accuracy, examples.held_out,
      oracle.retain_accuracy, chance)
  unlearned = [row for row in rows if row.variant != 'reference']
  all_lost = unlearned and all(row.lost for row in unlearned)
  return Results(
      **vars(origin), seeds=tuple(seeds), examples=examples,
      corrupted=tuple(corrupted), groups=groups, oracle=oracle, rows=rows,
      differences=differences(rows), chance=chance, margin=statistics.MARGIN,
      sound=not faults,
      warnings=(
          *faults, *([reference_checks.ALL_DIVERGED] if all_lost else []),
          *reference_checks.group_faults(
              {name: x.overlap for name, x in groups.items()},
              max(x.size for x in groups.values()) / examples.train,
              memorization_fit), *warnings),
      forgotten_classes=tuple(forgotten_classes),
      memorization_fit=memorization_fit, notes=tuple(notes))


def row(method: str, variant: str, groups: Iterable[str],
        unlearned: Behaviour, oracle: Behaviour, *, seconds: float = 0.0,
        compile_seconds: float = 0.0, steps: Sequence[int] = (),
        diverged: Iterable[Divergence] = (),
        probes: Iterable[Mapping[str, float]] = (),
        setting: Sequence[tuple[str, Mapping[str, Any]]] | None = None,
        beforehand_seconds: float = 0.0,
        tuning_seconds: float = math.nan) -> Row:
  """One row of the table.

  Args:
    method: name of the algorithm.
    variant: vanilla, matched, shuffle, rum_f, rum or reference.
    groups: names of the G groups.
    unlearned: accuracies and attack of the S models.
    oracle: the same of the S retrained models.
    seconds: time of the S models together.
    compile_seconds: the time to compile their program.
    steps: the number of steps of each stage.
    diverged: the runs that diverged.
    probes: for each stage, the values that the method reports.
    setting: the method and the hyper-parameters of each stage.
    beforehand_seconds: time to compute the scores that the groups were chosen
      by.
    tuning_seconds: time of the search for the setting; NaN where it was not
      recorded.
  """
  compared = measurements.compare(unlearned, oracle)
  summary = statistics.summary
  count = len(unlearned.forget)
  parts = {}
  for g, name in enumerate(groups):
    tow = metrics.tug_of_war(
        unlearned.groups[:, g] - oracle.groups[:, g],
        unlearned.retain - oracle.retain, unlearned.test - oracle.test)
    parts[name] = GroupFigures(
        tow=summary(np.asarray(tow)),
        forget_accuracy=summary(unlearned.groups[:, g]))
  return Row(
      method=method, variant=variant,
      tow=summary(compared.tow), tow_by_group=summary(compared.tow_by_group),
      tow_mia=summary(compared.tow_mia), mia_gap=summary(compared.mia_gap),
      forget_accuracy=summary(compared.forget_accuracy),
      retain_accuracy=summary(compared.retain_accuracy),
      test_accuracy=summary(compared.test_accuracy),
      seconds=summary([seconds / count] * count),
      compile_seconds=compile_seconds, steps=tuple(steps),
      diverged=tuple(diverged), probes=tuple(probes), groups=parts,
      setting=None if setting is None else tuple(
          (name, values) for name, values in setting),
      beforehand_seconds=beforehand_seconds, tuning_seconds=tuning_seconds,
      kept_test_accuracy=_kept(unlearned))


def _kept(behaviour: Behaviour) -> Summary | None:
  return (None if behaviour.kept_test is None else
          statistics.summary(behaviour.kept_test))


def of_oracle(groups: Iterable[str], truth: Behaviour, seconds: float
              ) -> Oracle:
  """The results of retraining, and its cost.

  Args:
    groups: names of the G groups.
    truth: accuracies and attack of the S retrained models.
    seconds: time of all of them together.
  """
  summary = statistics.summary
  return Oracle(
      seconds=seconds / len(truth.forget), mia=summary(truth.mia),
      forget_accuracy=summary(truth.forget),
      retain_accuracy=summary(truth.retain), test_accuracy=summary(truth.test),
      groups={name: summary(truth.groups[:, g])
              for g, name in enumerate(groups)},
      kept_test_accuracy=_kept(truth))


def differences(rows: Sequence[Row]) -> tuple[Difference, ...]:
  """RUM^F of each method minus each of its controls, paired by seed."""
  by_name = {(r.method, r.variant): r for r in rows}
  pairs = []
  for method in dict.fromkeys(r.method for r in rows):
    refined = by_name.get((method, 'rum_f'))
    for control in CONTROLS:
      other = by_name.get((method, control))
      if refined and other:
        gaps = {x.name: statistics.difference(x.of(refined), x.of(other))
                for x in COMPARED}
        pairs.append(Difference(
            method=method, minus=control, **gaps,
            verdicts={x.name: x.verdict(gaps[x.name]) for x in COMPARED}))
  return tuple(pairs)


def best(rows: Iterable[Row], variant: str | None = None,
         figure: Figure = TOW) -> Row | None:
  """The row of highest mean `figure`, of all methods or of one variant.

  Controls (matched, shuffle) and references do not count as methods. Rows with
  diverged seeds are left out, because the mean of their other seeds is biased,
  and so are rows with seeds at chance. If there is only one row, none is best.
  """
  unlearned = [row for row in rows if row.variant != 'reference']
  able = [row for row in unlearned if np.isfinite(figure.of(row).values).all()
          and not row.diverged and not row.collapsed
          and (row.variant == variant if variant else
               row.variant not in _NOT_A_METHOD)]
  return max(able, key=lambda row: figure.of(row).mean,
             default=None) if len(unlearned) > 1 else None


def winner(results: Results, figure: Figure = TOW) -> Row | None:
  """The best row, or `None`.

  It is `None` where the results are not sound, and where the best row is not
  closer to retraining than doing nothing.
  """
  first = best(results.rows, figure=figure) if results.sound else None
  idle = [row for row in results.rows if row.method == 'do_nothing']
  if first and idle and figure.of(first).mean <= figure.of(idle[0]).mean:
    return None
  return first


def references(rows: Iterable[AnyRow]) -> list[AnyRow]:
  """Doing nothing and another oracle."""
  return [row for row in rows if row.variant == 'reference']
