"""What makes unlearning hard: one forget set of each level of a factor.

The paper says that unlearning is harder the more memorized the forget set, and
the more entangled it is with the retain set. Harder means here: a lower figure
(ToW, ToW-MIA) of the same method, against an oracle retrained without that very
set. Levels are paired by seed, since they start from the same originals.

References:
  Zhao et al., What makes unlearning hard and what to do about it, 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rum_jax import evaluation
from rum_jax.rows import GROUPS, direction, interval, listed, name, Row
from rum_jax.rows import shown, values

FIGURES = ('tow', 'tow_mia', 'mia_gap')
STEPS = (('low', 'medium'), ('medium', 'high'), ('low', 'high'))


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
  return {**evaluation.summary(gap),
          'effect_size': float(finite.mean() / spread) if spread else None}


def answer(rows: list[Row], factor: str) -> list[str]:
  """Whether the paper's statement on a factor shows in these rows.

  Args:
    rows: of `by_level`.
    factor: `memorization` or `entanglement`.

  Returns:
    A sentence on doing nothing, on each method, and the verdict.
  """
  said, signs = [], {}
  for row in rows:
    if row['method'] == 'another_oracle':
      continue
    falls = row['falls']['tow']
    whole = falls['low to high']
    sign = signs[name(row)] = direction(interval(whole))
    words = {-1: 'falls', 1: 'rises', 0: 'shows no difference',
             None: 'cannot be compared'}[sign]
    size = whole['effect_size']
    size = '' if size is None else f', {abs(size):.1f} standard deviations'
    figures = ', '.join(
        f'{shown(*interval(row["groups"][level]["tow"]))} {level}'
        for level in GROUPS)
    steps = [direction(interval(falls[f'{a} to {b}'])) for a, b in STEPS[:2]]
    middle = '; it is lowest on medium' if steps == [-1, 1] else ''
    said.append(f'{name(row)}: ToW {figures}; from low to high {factor} it '
                f'{words} ({shown(*interval(whole), signed=True)}{size})'
                f'{middle}.')
  return [*said, _verdict(signs, factor)]


def _verdict(signs: Mapping[str, int | None], factor: str) -> str:
  """The plain answer over all methods but doing nothing."""
  methods = {k: v for k, v in signs.items() if k != 'Do nothing'}
  harder, easier = ([k for k, v in methods.items() if v == sign]
                    for sign in (-1, 1))
  word = {'memorization': 'memorized', 'entanglement': 'entangled'}[factor]
  said = f'The more {word} the forget set, the harder it is to unlearn: '
  if methods and len(harder) == len(methods):
    return f'{said}shown for all {len(methods)} methods.'
  parts = [f'shown for {len(harder)} of {len(methods)} methods'
           + (f' ({listed(harder)})' if harder else '')]
  if easier:
    parts.append(f'the contrary for {listed(easier)}')
  if signs.get('Do nothing') == -1:
    parts.append('true of doing nothing')
  return said + '; '.join(parts) + '.'
