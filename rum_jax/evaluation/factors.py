"""What makes unlearning hard, and how far that moves with what was chosen.

There is one forget set of each level of a factor. The paper says that
unlearning is harder the more memorized the forget set, and the more entangled
it is with the retain set. Harder means here: a lower figure (ToW, ToW-MIA) of
the same method, against an oracle retrained without that very set. Levels are
paired by seed, since they start from the same originals.

A variation differs from the reference in one choice: the seed, the layer, the
network, the procedure or the size. It is asked for three things: whether it
picks the same examples, whether its sets are in order of entanglement by the
reference's measure where that did not choose them, and whether unlearning falls
from low to high.

References:
  Zhao et al., What makes unlearning hard and what to do about it, 2024: one
  embedding, one partition and one size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rum_jax.evaluation import statistics
from rum_jax.evaluation.statistics import values
from rum_jax.types import GROUPS

FIGURES = ('tow', 'tow_mia', 'mia_gap')
STEPS = (('low', 'medium'), ('medium', 'high'), ('low', 'high'))
Found = dict[str, Any]


def by_level(results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
  """One row a method with its figures on each level.

  Args:
    results: level to what `results.json` holds of a run whose whole forget set
      is of that level; all with the same rows and seeds.

  Returns:
    Rows with `method`, `variant`, `diverged`, `groups` (level to `FIGURES`,
    each a summary), and `falls`: figure to `'low to high'` and the two steps
    that make it up, summaries of the difference over seeds with `effect_size`,
    the mean over the standard deviation (Cohen's d of pairs).
  """
  rows = []
  for several in zip(*(results[level]['rows'] for level in GROUPS),
                     strict=True):
    levels = dict(zip(GROUPS, several, strict=True))
    rows.append({
        'method': several[0]['method'], 'variant': several[0]['variant'],
        'diverged': [case for row in several for case in row['diverged']],
        'groups': {level: {f: row[f] for f in FIGURES}
                   for level, row in levels.items()},
        'falls': {f: {f'{a} to {b}': _difference(levels[b][f], levels[a][f])
                      for a, b in STEPS} for f in FIGURES}})
  return rows


def _difference(figure: Mapping[str, Any], other: Mapping[str, Any]
                ) -> dict[str, Any]:
  gap = values(figure) - values(other)
  finite = gap[np.isfinite(gap)]
  spread = finite.std(ddof=1) if len(finite) > 1 else 0.0
  return {**statistics.summary(gap),
          'effect_size': float(finite.mean() / spread) if spread else None}


def compared(groups: Sequence[np.ndarray], reference: Sequence[np.ndarray],
             num_examples: int) -> dict[str, dict[str, float]]:
  """Share of each set that the reference's has, too, and what chance gives.

  Args:
    groups: three arrays of rows.
    reference: likewise.
    num_examples: N, of which both pick.

  Returns:
    Level to `share` and `chance`, both of the smaller of the two sets.
  """
  found = {}
  for level, mine, other in zip(GROUPS, groups, reference, strict=True):
    small, large = sorted((len(mine), len(other)))
    found[level] = {'share': len(np.intersect1d(mine, other)) / small,
                    'chance': large / num_examples}
  return found


def in_order(es: Sequence[np.ndarray]) -> bool:
  """Whether the mean over seeds `[S]` rises from low to medium to high."""
  low, medium, high = (np.mean(x) for x in es)
  return bool(low < medium < high)


def entry(axis: str, value: str, shares: dict[str, Any],
          es: Sequence[np.ndarray], rows: list[dict[str, Any]], *,
          chosen: bool, control: bool = False) -> Found:
  """One variation, as `sensitivity.json` has it.

  Args:
    axis: what differs, empty for the reference.
    value: what it is here.
    shares: of `compared`.
    es: `[S]` ES of low, medium and high by the reference's features.
    rows: of `by_level`; that of the second oracle is left out.
    chosen: whether that very ES chose them, so that they cannot but be in
      order.
    control: whether its groups rank by nothing.
  """
  return {
      'axis': axis, 'value': value, 'shares': shares, 'control': control,
      'es': dict(zip(GROUPS, map(statistics.summary, es))),
      'ordered': None if chosen else in_order(es),
      'rows': [row for row in rows if row['method'] != 'another_oracle']}
