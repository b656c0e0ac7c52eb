"""What makes unlearning hard, in words, and how far that can be relied on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rum_jax.evaluation import factors
from rum_jax.evaluation.factors import FactorRow, Variation, WHOLE
from rum_jax.evaluation.statistics import direction
from rum_jax.reporting.vocabulary import figure, listed, name
from rum_jax.types import GROUPS


def answer(rows: Sequence[FactorRow], factor: str) -> list[str]:
  """Whether the paper's statement on a factor shows in these rows.

  Args:
    rows: of `by_level`.
    factor: `memorization` or `entanglement`.

  Returns:
    A sentence on doing nothing, on each method, and the verdict.
  """
  said, signs = [], {}
  for row in rows:
    if row.method == 'another_oracle':
      continue
    falls = row.falls.tow
    whole = falls[WHOLE]
    sign = signs[name(row)] = direction(whole)
    words = {-1: 'falls', 1: 'rises', 0: 'shows no difference',
             None: 'cannot be compared'}[sign]
    size = whole.effect_size
    size = '' if size is None else f', {abs(size):.1f} standard deviations'
    figures = ', '.join(
        f'{figure(row.groups[level].tow)} {level}'
        for level in GROUPS)
    steps = [direction(falls[f'{a} to {b}'])
             for a, b in factors.STEPS[:2]]
    middle = '; it is lowest on medium' if steps == [-1, 1] else ''
    said.append(f'{name(row)}: ToW {figures}; from low to high {factor} it '
                f'{words} ({figure(whole, signed=True)}{size})'
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


def label(variation: Variation) -> str:
  """What people call a variation."""
  return (f'{variation.axis}: {variation.value}' if variation.axis else
          'reference')


def paragraph(variations: Sequence[Variation]) -> list[str]:
  """What holds and what does not, a sentence each."""
  real = [x for x in variations if not x.control]
  said = [*_shares(real[1:]), *_order(real)]
  for i, row in enumerate(variations[0].rows):
    signs = {label(x): _sign(x.rows[i]) for x in real}
    said.append(f'{name(row)}: {_effect(signs)} choices, the reference among '
                'them.')
  for x in variations:
    if x.control:
      signs = {name(row): _sign(row) for row in x.rows}
      said.append(f'Sets of random examples, the control: {_effect(signs)} '
                  'rows.')
      if any(signs.values()):
        said.append('So two single sets may differ by more than the spread '
                    'over seeds without differing in entanglement.')
  return said


def _shares(real: Sequence[Variation]) -> list[str]:
  said = []
  for axis in dict.fromkeys(x.axis for x in real):
    several = [x for x in real if x.axis == axis]
    parts = []
    for level in ('low', 'high'):
      shares = [x.shares[level].share for x in several]
      parts.append(f'{_range(shares)} of the {level} set')
    chance = np.mean([x.shares['high'].chance for x in several])
    said.append(f'Another {axis} keeps {" and ".join(parts)} '
                f'(chance: {chance:.0%}).')
  return said


def _range(shares: Sequence[float]) -> str:
  low, high = f'{min(shares):.0%}', f'{max(shares):.0%}'
  return low if low == high else f'{low} to {high}'


def _order(real: Sequence[Variation]) -> list[str]:
  free = [x for x in real if x.ordered is not None]
  if not free:
    return []
  wrong = [label(x) for x in free if not x.ordered]
  said = (f'Of the {len(free)} whose sets the reference\'s features did not '
          f'choose, {len(free) - len(wrong)} have them in order of ES by these')
  return [f'{said}, not {listed(wrong)}.' if wrong else f'{said}.']


def _sign(row: FactorRow) -> int | None:
  return direction(row.falls.tow[WHOLE])


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
