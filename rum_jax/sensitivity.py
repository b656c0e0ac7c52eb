"""How far a finding about entanglement moves with what was chosen on the way.

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

from rum_jax import evaluation
from rum_jax.rows import GROUPS, direction, interval, listed, name

Found = dict[str, Any]


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
    rows: of `difficulty.by_level`; that of the second oracle is left out.
    chosen: whether that very ES chose them, so that they cannot but be in
      order.
    control: whether its groups rank by nothing.
  """
  return {
      'axis': axis, 'value': value, 'shares': shares, 'control': control,
      'es': dict(zip(GROUPS, map(evaluation.summary, es))),
      'ordered': None if chosen else in_order(es),
      'rows': [row for row in rows if row['method'] != 'another_oracle']}


def label(found: Found) -> str:
  """What people call a variation."""
  return f'{found["axis"]}: {found["value"]}' if found['axis'] else 'reference'


def paragraph(found: Sequence[Found]) -> list[str]:
  """What holds and what does not, a sentence each."""
  real = [x for x in found if not x['control']]
  said = [*_shares(real[1:]), *_order(real)]
  for i, row in enumerate(found[0]['rows']):
    signs = {label(x): _sign(x['rows'][i]) for x in real}
    said.append(f'{name(row)}: {_effect(signs)} choices, the reference among '
                'them.')
  for x in found:
    if x['control']:
      signs = {name(row): _sign(row) for row in x['rows']}
      said.append(f'Sets of random examples, the control: {_effect(signs)} '
                  'rows.')
      if any(signs.values()):
        said.append('So two single sets may differ by more than the spread '
                    'over seeds without differing in entanglement.')
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


def _order(real: Sequence[Found]) -> list[str]:
  free = [x for x in real if x['ordered'] is not None]
  if not free:
    return []
  wrong = [label(x) for x in free if not x['ordered']]
  said = (f'Of the {len(free)} whose sets the reference\'s features did not '
          f'choose, {len(free) - len(wrong)} have them in order of ES by these')
  return [f'{said}, not {listed(wrong)}.' if wrong else f'{said}.']


def _sign(row: Any) -> int | None:
  return direction(interval(row['falls']['tow']['low to high']))


def _effect(signs: Mapping[str, int | None]) -> str:
  """How often ToW falls from low to high, and where."""
  parts = []
  for sign, word in ((-1, 'falls'), (1, 'rises')):
    where = [called for called, x in signs.items() if x == sign]
    if where:
      names = f' ({listed(where)})' if len(where) < len(signs) else ''
      parts.append(f'{word} in {len(where)}{names}')
  alike = sum(x == 0 for x in signs.values())
  parts.append(f'shows no difference in {alike}')
  return f'from low to high ES, ToW {", ".join(parts)} of {len(signs)}'
