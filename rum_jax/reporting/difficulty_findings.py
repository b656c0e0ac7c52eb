"""Sentences on what makes unlearning hard, and on their sensitivity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rum_jax.evaluation import difficulty
from rum_jax.evaluation.difficulty import FactorRow, Variation, WHOLE
from rum_jax.evaluation.results import TOW
from rum_jax.evaluation.statistics import BETTER, EQUAL, UNKNOWN, WORSE
from rum_jax.reporting.vocabulary import counted, figure, listed, name
from rum_jax.types import GROUPS


def answer(rows: Sequence[FactorRow], factor: str) -> list[str]:
  """Tells whether the paper's statement on a factor holds for these rows.

  Args:
    rows: the rows that `by_level` returned.
    factor: `memorization` or `entanglement`.

  Returns:
    A sentence on doing nothing, one on each method, and the verdict.
  """
  sentences, verdicts = [], {}
  for row in rows:
    if row.method == 'another_oracle':
      continue
    falls = row.falls.tow
    whole = falls[WHOLE]
    verdict = verdicts[name(row)] = TOW.verdict(whole)
    words = {WORSE: 'it falls', BETTER: 'it rises', EQUAL: 'it is equal',
             UNKNOWN: f'{counted(whole.seeds, "seed")} cannot tell whether it '
                      'changes'
             }[verdict]
    size = whole.effect_size
    size = '' if size is None else f', {abs(size):.1f} standard deviations'
    figures = ', '.join(
        f'{figure(row.groups[level].tow)} {level}'
        for level in GROUPS)
    steps = [TOW.verdict(falls[f'{a} to {b}'])
             for a, b in difficulty.STEPS[:2]]
    middle = '; it is lowest on medium' if steps == [WORSE, BETTER] else ''
    sentences.append(f'{name(row)}: ToW {figures}; from low to high {factor} '
                     f'{words} ({figure(whole, signed=True)}{size}){middle}.')
  return [*sentences, _answer(verdicts, factor)]


def _answer(verdicts: Mapping[str, str], factor: str) -> str:
  """The verdict over all methods except doing nothing."""
  methods = {k: v for k, v in verdicts.items() if k != 'Do nothing'}
  harder, easier, equal, unknown = (
      [k for k, v in methods.items() if v == kind]
      for kind in (WORSE, BETTER, EQUAL, UNKNOWN))
  word = {'memorization': 'memorized', 'entanglement': 'entangled'}[factor]
  claim = f'The more {word} the forget set, the harder it is to unlearn: '
  if methods and len(harder) == len(methods):
    return f'{claim}shown for all {len(methods)} methods.'
  parts = [f'shown for {len(harder)} of {len(methods)} methods'
           + (f' ({listed(harder)})' if harder else '')]
  if easier:
    parts.append(f'the contrary for {listed(easier)}')
  if equal:
    parts.append(f'no difference for {listed(equal)}')
  if unknown:
    parts.append(f'cannot tell for {listed(unknown)}')
  if verdicts.get('Do nothing') == WORSE:
    parts.append('true of doing nothing')
  return claim + '; '.join(parts) + '.'


def label(variation: Variation) -> str:
  """The name of a variation in reports."""
  return (f'{variation.axis}: {variation.value}' if variation.axis else
          'reference')


def paragraph(variations: Sequence[Variation]) -> list[str]:
  """Sentences on the findings that hold and on those that do not."""
  real = [x for x in variations if not x.control]
  sentences = [*_shares(real[1:]), *_order(real)]
  for i, row in enumerate(variations[0].rows):
    verdicts = {label(x): _change(x.rows[i]) for x in real}
    sentences.append(f'{name(row)}: {_effect(verdicts)} choices, the reference '
                     'among them.')
  for x in variations:
    if x.control:
      verdicts = {name(row): _change(row) for row in x.rows}
      sentences.append('Sets of random examples, the control: '
                       f'{_effect(verdicts)} rows.')
      if {BETTER, WORSE} & set(verdicts.values()):
        sentences.append('So two single sets may differ by more than the '
                         'spread over seeds without differing in '
                         'entanglement.')
  return sentences


def _shares(real: Sequence[Variation]) -> list[str]:
  sentences = []
  for axis in dict.fromkeys(x.axis for x in real):
    several = [x for x in real if x.axis == axis]
    parts = []
    for level in ('low', 'high'):
      shares = [x.shares[level].share for x in several]
      parts.append(f'{_range(shares)} of the {level} set')
    chance = np.mean([x.shares['high'].chance for x in several])
    sentences.append(f'Another {axis} keeps {" and ".join(parts)} '
                     f'(chance: {chance:.0%}).')
  return sentences


def _range(shares: Sequence[float]) -> str:
  low, high = f'{min(shares):.0%}', f'{max(shares):.0%}'
  return low if low == high else f'{low} to {high}'


def _order(real: Sequence[Variation]) -> list[str]:
  free = [x for x in real if x.ordered is not None]
  if not free:
    return []
  wrong = [label(x) for x in free if not x.ordered]
  text = (f'Of the {len(free)} whose sets the reference\'s features did not '
          f'choose, {len(free) - len(wrong)} have them in order of ES by these')
  return [f'{text}, not {listed(wrong)}.' if wrong else f'{text}.']


def _change(row: FactorRow) -> str:
  return TOW.verdict(row.falls.tow[WHOLE])


def _effect(verdicts: Mapping[str, str]) -> str:
  """How often ToW falls from low to high, and for which rows."""
  parts = []
  for kind, word in ((WORSE, 'falls'), (BETTER, 'rises')):
    where = [called for called, x in verdicts.items() if x == kind]
    if where:
      names = f' ({listed(where)})' if len(where) < len(verdicts) else ''
      parts.append(f'{word} in {len(where)}{names}')
  for kind, word in ((EQUAL, 'is equal'), (UNKNOWN, 'cannot be told')):
    count = sum(x == kind for x in verdicts.values())
    if count:
      parts.append(f'{word} in {count}')
  return f'from low to high ES, ToW {", ".join(parts)} of {len(verdicts)}'
