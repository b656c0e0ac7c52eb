"""What the numbers of `results.json` say, in plain sentences.

Nothing here is typed from a paper or from a run: each sentence follows from
paired differences between rows and from their 95 % confidence intervals. A
difference counts where its interval excludes 0.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
import itertools

from rum_jax.evaluation import best, difference, Difference, Figure, Oracle
from rum_jax.evaluation import Results, Row, Summary
from rum_jax.evaluation.results import CONTROLS, TOW, TOW_BY_GROUP, TOW_MIA
from rum_jax.evaluation.statistics import direction
from rum_jax.reporting.vocabulary import called, figure, listed, name, shown
from rum_jax.types import GROUPS

_WORDS = {1: 'above', -1: 'below', 0: 'no difference shown from',
          None: 'too few seeds to compare with'}


def findings(results: Results) -> list[str]:
  """Sentences on the paper's findings, as they show in these numbers.

  Args:
    results: of a run; figures may be NaN.

  Returns:
    On doing nothing by memorization, on RUM^F against its controls for each
    method, on full RUM, on the best row against the ceiling, on the best row
    where the attack counts, too, on rows that ruin the network, and on those
    above doing nothing. A sentence is left out where the rows that it needs
    are.
  """
  rows = {(row.method, row.variant): row for row in results.rows}
  methods = dict.fromkeys(d.method for d in results.differences)
  ruined = _on_ruin(rows, results.oracle)
  said = [_on_memorization(rows),
          *(_on_refinement(m, results.differences) for m in methods),
          _on_full_rum(rows), _on_ceiling(rows), _on_attack(rows),
          *ruined.values(), _on_doing_nothing(rows, ruined)]
  return [sentence for sentence in said if sentence]


def _compared(pairs: Iterable[tuple[str, Summary]]) -> str:
  """`above A (+0.100 ± 0.020) and B (…); no difference shown from C (…)`."""
  pairs, said = list(pairs), []
  for sign, words in _WORDS.items():
    others = [f'{other} ({figure(gap, signed=True)})'
              for other, gap in pairs if direction(gap) == sign]
    if others:
      said.append(f'{words} {listed(others)}')
  return '; '.join(said)


def _on_memorization(rows: Mapping[tuple[str, str], Row]) -> str:
  row = rows.get(('do_nothing', 'reference'))
  if row is None or not set(GROUPS) <= set(row.groups):
    return ''
  tow = [row.groups[group].tow for group in GROUPS]
  steps = [difference(b, a) for a, b in itertools.pairwise(tow)]
  signs = [direction(step) for step in steps]
  figures = [f'{figure(summary)} on the {group} group'
             for group, summary in zip(GROUPS, tow, strict=True)]
  said = f'ToW of doing nothing is {listed(figures)}'
  if None in signs:
    return f'{said}. There are too few seeds to say whether it falls.'
  if signs == [-1, -1]:
    verdict = ('The more memorized the examples, the further doing nothing is '
               'from retraining, as the paper found.')
  elif 1 in signs:
    verdict = 'This contradicts the paper, where it falls at each step.'
  elif -1 in signs:
    verdict = 'The fall that the paper found shows at one step only.'
  else:
    verdict = 'The fall that the paper found is not shown.'
  words = {1: 'rises', -1: 'falls', 0: 'shows no difference'}
  moves = [f'{words[signs[i]]} from {GROUPS[i]} to {GROUPS[i + 1]} '
           f'({figure(steps[i], signed=True)})' for i in (0, 1)]
  return f'{said}: it {listed(moves)}. {verdict}'


def _on_refinement(method: str, differences: Sequence[Difference]
                   ) -> str:

  def gaps_of(of: Figure) -> dict[str, Summary]:
    return {d.minus: of.of(d) for d in differences if d.method == method}

  gaps = gaps_of(TOW)
  signs = {control: direction(gap) for control, gap in gaps.items()}
  if _helps(gaps):
    verdict = 'Refinement helps here.'
  elif all(sign == -1 for sign in signs.values()):
    verdict = 'Refinement hurts here.'
  elif signs.get('vanilla') == 1:
    verdict = 'The gain over vanilla is not shown to come from refinement.'
  else:
    verdict = 'Refinement is not shown to help here.'
  said = f'{called(method)}, ToW of RUM^F: {_compared(gaps.items())}. {verdict}'
  return said + ''.join(_on_other_figure(x, signs, gaps_of(x))
                        for x in (TOW_BY_GROUP, TOW_MIA))


def _helps(gaps: Mapping[str, Summary]) -> bool:
  """Whether RUM^F is above each of its controls."""
  return all(control in gaps and direction(gaps[control]) == 1
             for control in CONTROLS)


def _on_other_figure(other: Figure, signs: Mapping[str, int | None],
                     gaps: Mapping[str, Summary]) -> str:
  """What a figure shows that ToW, of the given signs, does not."""
  new = [(control, gap) for control, gap in gaps.items()
         if direction(gap) and direction(gap) != signs[control]]
  helps = ': refinement helps by this figure' if _helps(gaps) else ''
  return f' By {other.title} it is {_compared(new)}{helps}.' if new else ''


def _on_full_rum(rows: Mapping[tuple[str, str], Row]) -> str:
  row = rows.get(('rum', 'rum'))
  if row is None:
    return ''
  rivals = [best(rows.values(), v) for v in ('rum_f', 'matched', 'vanilla')]
  gaps = [(f'the best {called(x.variant)}, {called(x.method)}',
           difference(row.tow, x.tow)) for x in rivals if x]
  if gaps and all(direction(gap) == 1 for _, gap in gaps):
    verdict = 'It is better than each of them.'
  elif row is best(rows.values()):
    verdict = 'Its mean is the highest, but it is not shown to be the best.'
  elif row.diverged:
    verdict = 'Some of its seeds diverged.'
  else:
    verdict = 'Its mean is not the highest.'
  what = [called(m) for m, _ in row.setting or ()]
  what = f' ({", then ".join(what)})' if what else ''
  said = f'Full RUM{what} has a ToW of {figure(row.tow)}'
  return f'{said}: {_compared(gaps)}. {verdict}' if gaps else f'{said}.'


def _on_ceiling(rows: Mapping[tuple[str, str], Row]) -> str:
  others = [row for row in rows.values() if row.variant != 'reference']
  first = best(others) or (others[0] if len(others) == 1 else None)
  ceiling = rows.get(('another_oracle', 'reference'))
  if first is None or ceiling is None:
    return ''
  what = (f'The best row of a method, {name(first)},' if len(others) > 1 else
          name(first))
  gap = difference(first.tow, ceiling.tow)
  word = {1: 'The row is above this ceiling',
          -1: 'The row is below this ceiling',
          0: 'No difference from this ceiling is shown',
          None: 'There are too few seeds to compare'}[direction(gap)]
  return (f'{what} reaches a ToW of {figure(first.tow)}; a second '
          'oracle, retrained with other random numbers, '
          f'{figure(ceiling.tow)}. {word} '
          f'({figure(gap, signed=True)}).')


def _on_attack(rows: Mapping[tuple[str, str], Row]) -> str:
  """Where the best by ToW is not the best by ToW-MIA."""
  first, other = (best(rows.values(), figure=x) for x in (TOW, TOW_MIA))
  if first is None or other is None or first is other:
    return ''
  return (f'By ToW-MIA, in which what an attacker sees of the forget set '
          f'stands for accuracy on it, the best row is {name(other)} '
          f'({figure(other.tow_mia)}); {name(first)} reaches '
          f'{figure(first.tow_mia)}.')


def _on_ruin(rows: Mapping[tuple[str, str], Row], oracle: Oracle
             ) -> dict[str, str]:
  """A sentence on each row that loses half of the oracle's test accuracy."""
  want, said = oracle.test_accuracy.mean, {}
  for row in rows.values():
    found = row.test_accuracy.mean
    if row.variant != 'reference' and found < want / 2:
      said[name(row)] = (
          f'{name(row)} ruins the network: its test accuracy is '
          f'{shown(found)}, the oracle’s {shown(want)}.')
  return said


def _on_doing_nothing(rows: Mapping[tuple[str, str], Row],
                      ruined: Container[str]) -> str:
  idle = rows.get(('do_nothing', 'reference'))
  others = [row for row in rows.values() if row.variant != 'reference']
  if idle is None or not others:
    return ''
  named: dict[int | None, list[str]] = {1: [], -1: [], 0: [], None: []}
  for row in others:
    named[direction(difference(row.tow, idle.tow))].append(name(row))
  if len(named[None]) == len(others):
    return ''
  if len(others) == 1:
    word = ('above ' if named[1] else 'below ' if named[-1] else
            'not shown to differ from ')
    but = (', but ruins the network'
           if named[1] and name(others[0]) in ruined else '')
    return f'{name(others[0])} is {word}doing nothing{but}.'
  said = [f'{len(named[1])} of {len(others)} rows '
          f'{"is" if len(named[1]) == 1 else "are"} above doing nothing']
  worthless = [row for row in named[1] if row in ruined]
  if worthless:
    said[0] += (f', of which {listed(worthless)} '
                f'ruin{"s" * (len(worthless) == 1)} the network')
  for sign, words in ((-1, 'below it'), (0, 'no difference from it shown'),
                      (None, 'too few seeds to compare')):
    if named[sign]:
      said.append(f'{words}: {listed(named[sign])}')
  return '; '.join(said) + '.'
