"""How far a finding about entanglement moves with what was chosen on the way.

A variation differs from the reference in one choice: the seed, the layer, the
network, the procedure or the size. It is asked for three things: whether it
picks the same examples, whether its sets are more and less entangled by the
reference's own measure, and whether unlearning falls from low to high.

References:
  Zhao et al., What makes unlearning hard and what to do about it, 2024: one
  embedding, one partition and one size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from rum_jax import evaluation
from rum_jax.rows import GROUPS, direction, interval, listed, name

Found = dict[str, Any]
CONTROL = 'random'  # The procedure that ranks by nothing.


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
          es: Sequence[np.ndarray], reference_es: Sequence[np.ndarray],
          rows: list[dict[str, Any]]) -> Found:
  """One variation, as `sensitivity.json` has it.

  Args:
    axis: what differs, empty for the reference.
    value: what it is here.
    shares: of `compared`.
    es: `[S]` ES of low, medium and high by its own features.
    reference_es: the same sets by the reference's features.
    rows: of `difficulty.by_level`.
  """
  return {
      'axis': axis, 'value': value, 'shares': shares,
      'es': dict(zip(GROUPS, map(evaluation.summary, es))),
      'reference_es': dict(zip(GROUPS, map(evaluation.summary, reference_es))),
      'ordered': in_order(reference_es), 'rows': rows}


def label(found: Found) -> str:
  """What people call a variation."""
  return f'{found["axis"]}: {found["value"]}' if found['axis'] else 'reference'


def paragraph(found: Sequence[Found]) -> list[str]:
  """What holds and what does not, a sentence each."""
  control = [x for x in found if x['value'] == CONTROL]
  real = [x for x in found if x['axis'] and x not in control]
  said = [*_shares(real), _order(real)]
  for row in found[0]['rows']:
    if row['method'] != 'another_oracle':
      said.append(_effect(name(row), [found[0], *real]))
  for x in control:
    said.append(
        'Sets of random examples, the control: '
        + _effect('', [x], lambda row: row['method'] != 'another_oracle'))
    if any(direction(interval(row['falls']['tow']['low to high']))
           for row in x['rows'] if row['method'] != 'another_oracle'):
      said.append('So two single sets may differ by more than the spread over '
                  'seeds without differing in entanglement.')
  return said


def _shares(real: Sequence[Found]) -> list[str]:
  said = []
  for axis in dict.fromkeys(x['axis'] for x in real):
    several = [x for x in real if x['axis'] == axis]
    parts = []
    for level in ('low', 'high'):
      shares = [x['shares'][level]['share'] for x in several]
      parts.append(f'{_range(shares)} of the {level} set')
    chance = np.mean([x['shares']['high']['chance'] for x in several])
    said.append(f'Another {axis} keeps {" and ".join(parts)} '
                f'(chance: {chance:.0%}).')
  return said


def _range(shares: Sequence[float]) -> str:
  low, high = f'{min(shares):.0%}', f'{max(shares):.0%}'
  return low if low == high else f'{low} to {high}'


def _order(real: Sequence[Found]) -> str:
  wrong = [label(x) for x in real if not x['ordered']]
  said = ('By the reference\'s features, the sets are in order of ES in '
          f'{len(real) - len(wrong)} of {len(real)} variations')
  return f'{said}, not in {listed(wrong)}.' if wrong else f'{said}.'


def _effect(called: str, found: Iterable[Found],
            wanted: Callable[[Any], bool] | None = None) -> str:
  """How often ToW falls from low to high, over variations or over rows."""
  signs: dict[int | None, list[str]] = {-1: [], 0: [], 1: [], None: []}
  for x in found:
    for row in x['rows']:
      if wanted(row) if wanted else name(row) == called:
        sign = direction(interval(row['falls']['tow']['low to high']))
        signs[sign].append(name(row) if wanted else label(x))
  total = sum(map(len, signs.values()))
  parts = [f'{word} in {len(signs[sign])}'
           + (f' ({listed(signs[sign])})' if 0 < len(signs[sign]) < total
              else '')
           for sign, word in ((-1, 'falls'), (1, 'rises')) if signs[sign]]
  parts.append(f'shows no difference in {len(signs[0])}')
  what = f'{called}: from low' if called else 'from low'
  of = 'rows' if wanted else 'choices, the reference among them'
  return f'{what} to high ES, ToW {", ".join(parts)} of {total} {of}.'
