"""Results by level of memorization or entanglement, and their sensitivity.

There is one forget set for each level of a factor. According to the paper,
unlearning is harder if the forget set is more memorized, and if it is more
entangled with the retain set. Harder means here: a lower ToW or ToW-MIA of the
same method, compared with an oracle that was retrained without that forget set.
Levels are paired by seed, because they start from the same original models.

A variation differs from the reference in one choice: the seed, the layer, the
network, the procedure or the size. Three questions are answered for it: whether
it chooses the same examples; whether the ES of its sets, by the reference's
features, rises from low to high where ES did not choose them; whether ToW falls
from low to high.

References:
  Zhao et al., What makes unlearning hard and what to do about it, 2024: one
  embedding, one partition and one size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import ClassVar

import numpy as np

from rum_jax.evaluation import statistics
from rum_jax.evaluation.results import Divergence, Figure, Group, MIA_GAP
from rum_jax.evaluation.results import Oracle, Origin, Results, Row
from rum_jax.evaluation.results import TOW, TOW_MIA
from rum_jax.evaluation.statistics import Summary
from rum_jax.types import GROUPS

FIGURES = (TOW, TOW_MIA, MIA_GAP)
STEPS = (('low', 'medium'), ('medium', 'high'), ('low', 'high'))
WHOLE = 'low to high'
_record = dataclasses.dataclass(frozen=True, kw_only=True)


@_record
class LevelFigures:
  """How close a method is to retraining on the forget set of one level."""

  tow: Summary
  tow_mia: Summary
  mia_gap: Summary


@_record
class Change(Summary):
  """The change of a figure from one level to another, paired by seed.

  Attributes:
    effect_size: mean over standard deviation (Cohen's d of pairs); `None` where
      the differences do not vary.
  """

  effect_size: float | None


@_record
class Changes:
  """The changes of each figure: low to medium, medium to high, low to high."""

  tow: Mapping[str, Change]
  tow_mia: Mapping[str, Change]
  mia_gap: Mapping[str, Change]


@_record
class FactorRow:
  """A method on each level of a factor.

  Attributes:
    method: name of the algorithm.
    variant: as in a `Row`.
    diverged: runs that are not finite, on any level.
    groups: level to the figures on its forget set.
    falls: the changes of each figure from one level to another.
  """

  method: str
  variant: str
  diverged: tuple[Divergence, ...]
  groups: Mapping[str, LevelFigures]
  falls: Changes


@_record
class Factor:
  """The forget sets of a factor, one for each level, and their results.

  Attributes:
    levels: level to its forget set.
    oracles: level to the results of retraining without that set.
    rows: the rows that `by_level` returned.
    answer: sentences that tell whether the paper's statement holds.
  """

  levels: Mapping[str, Group]
  oracles: Mapping[str, Oracle]
  rows: tuple[FactorRow, ...]
  answer: tuple[str, ...]


@_record
class Difficulty(Origin):
  """The content of `difficulty.json`.

  Attributes:
    seeds: S of them.
    factors: `memorization` and `entanglement` to their results.
  """

  SCHEMA: ClassVar[int] = 2

  seeds: tuple[int, ...]
  factors: Mapping[str, Factor]


@_record
class Share:
  """Share of a set that is also in the reference's, and that of random sets."""

  share: float
  chance: float


@_record
class Variation:
  """One variation of the reference.

  Attributes:
    axis: the choice that differs; empty for the reference.
    value: the value of that choice.
    shares: level to the share of its set that is also in the reference's.
    control: whether its groups are random.
    es: level to the ES of its set by the reference's features.
    ordered: whether these rise from low to high; `None` where the sets were
      chosen by them, so that they always do.
    rows: the rows that `by_level` returned, without the second oracle.
  """

  axis: str
  value: str
  shares: Mapping[str, Share]
  control: bool
  es: Mapping[str, Summary]
  ordered: bool | None
  rows: tuple[FactorRow, ...]


@_record
class Sensitivity(Origin):
  """The content of `sensitivity.json`; the reference is the first variation."""

  SCHEMA: ClassVar[int] = 1

  variations: tuple[Variation, ...]


def by_level(results: Mapping[str, Results]) -> tuple[FactorRow, ...]:
  """One row for each method, with its figures on each level.

  Args:
    results: level to the results of a run whose whole forget set is of that
      level; all with the same rows and seeds.
  """
  rows = []
  for several in zip(*(results[level].rows for level in GROUPS), strict=True):
    levels = dict(zip(GROUPS, several, strict=True))
    rows.append(FactorRow(
        method=several[0].method, variant=several[0].variant,
        diverged=tuple(case for row in several for case in row.diverged),
        groups={level: LevelFigures(**{f.name: f.of(row) for f in FIGURES})
                for level, row in levels.items()},
        falls=Changes(**{f.name: _changes(levels, f) for f in FIGURES})))
  return tuple(rows)


def _changes(levels: Mapping[str, Row], figure: Figure) -> dict[str, Change]:
  return {f'{a} to {b}': _change(figure.of(levels[b]), figure.of(levels[a]))
          for a, b in STEPS}


def _change(figure: Summary, other: Summary) -> Change:
  gap = statistics.difference(figure, other)
  finite = np.array(gap.values)[np.isfinite(gap.values)]
  spread = finite.std(ddof=1) if len(finite) > 1 else 0.0
  return Change(mean=gap.mean, ci95=gap.ci95, values=gap.values,
                effect_size=float(finite.mean() / spread) if spread else None)


def compared(groups: Sequence[np.ndarray], reference: Sequence[np.ndarray],
             num_examples: int) -> dict[str, Share]:
  """Share of each set that is also in the reference's, and that of random sets.

  Args:
    groups: three arrays of rows.
    reference: the same for the reference.
    num_examples: N; both choose from these.

  Returns:
    Level to the shares, relative to the size of the smaller of the two sets.
  """
  shares = {}
  for level, mine, other in zip(GROUPS, groups, reference, strict=True):
    small, large = sorted((len(mine), len(other)))
    shares[level] = Share(share=len(np.intersect1d(mine, other)) / small,
                          chance=large / num_examples)
  return shares


def in_order(es: Sequence[np.ndarray]) -> bool:
  """Whether the mean over seeds `[S]` rises from low to medium to high."""
  low, medium, high = (np.mean(x) for x in es)
  return bool(low < medium < high)


def variation(axis: str, value: str, shares: Mapping[str, Share],
              es: Sequence[np.ndarray], rows: Sequence[FactorRow], *,
              chosen: bool, control: bool = False) -> Variation:
  """One variation, as `sensitivity.json` has it.

  Args:
    axis: the choice that differs; empty for the reference.
    value: the value of that choice.
    shares: the shares that `compared` returned.
    es: `[S]` ES of low, medium and high by the reference's features.
    rows: the rows that `by_level` returned; that of the second oracle is left
      out.
    chosen: whether the sets were chosen by this ES, so that they are always in
      order.
    control: whether its groups are random.
  """
  return Variation(
      axis=axis, value=value, shares=shares, control=control,
      es=dict(zip(GROUPS, map(statistics.summary, es), strict=True)),
      ordered=None if chosen else in_order(es),
      rows=tuple(row for row in rows if row.method != 'another_oracle'))
