"""Findings of a run: a table of differences, and a sentence on each.

Nothing here is typed from a paper or from a run. Every verdict follows from the
95 % confidence interval of a difference that is paired by seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import itertools
from typing import NamedTuple

from rum_jax.evaluation import best, difference, Oracle, Results, Row, Summary
from rum_jax.evaluation import smallest, winner
from rum_jax.evaluation.results import CONTROLS, TOW, TOW_MIA
from rum_jax.evaluation.statistics import BETTER, EQUAL, UNKNOWN, WORSE
from rum_jax.reporting.vocabulary import called, counted, figure, listed, name
from rum_jax.reporting.vocabulary import shown
from rum_jax.types import GROUPS

_ByName = Mapping[tuple[str, str], Row]


class Comparison(NamedTuple):
  """A difference in ToW between two rows, or two groups, paired by seed."""

  what: str
  minus: str
  tow: Summary

  @property
  def verdict(self) -> str:
    """The verdict as text; if it is unknown, with the number of seeds."""
    return worded(TOW.verdict(self.tow), self.tow)


def worded(verdict: str, gap: Summary) -> str:
  """A verdict as text: `better`, or `cannot tell with 3 seeds`."""
  if verdict != UNKNOWN:
    return verdict
  return (f'cannot tell with {counted(gap.seeds, "seed")}' if gap.seeds else
          'no seed to compare')


def comparisons(results: Results) -> list[Comparison]:
  """All differences in ToW that the findings use, in their order."""
  rows = _by_name(results)
  idle, ceiling = (rows.get((x, 'reference')) for x in (
      'do_nothing', 'another_oracle'))
  pairs = [(f'Do nothing, {b} group', f'{a} group', gap)
           for a, b, gap in _steps(idle)]
  pairs += [(f'{called(x.method)} RUM^F', x.minus, x.tow)
            for x in results.differences]
  full = rows.get(('rum', 'rum'))
  if full:
    pairs += [(name(full), name(x), difference(full.tow, x.tow))
              for x in _rivals(rows)]
  first = winner(results)
  if first and ceiling:
    pairs.append((name(first), name(ceiling),
                  difference(first.tow, ceiling.tow)))
  if idle:
    pairs += [(name(x), 'Do nothing', difference(x.tow, idle.tow))
              for x in _unlearned(rows)]
  return [Comparison(*pair) for pair in pairs]


class Headline(NamedTuple):
  """What stands first on the page of a run.

  Attributes:
    question: the question that is answered.
    answer: `yes`, `no` or `cannot tell`.
    sentence: what it means.
    reason: the difference that it follows from.
    row: the row that the answer is about; `None` where there is none.
  """

  question: str
  answer: str
  sentence: str
  reason: str
  row: Row | None


def headline(results: Results) -> Headline:
  """Whether a row comes as close to retraining as retraining does to itself.

  The row is the best one. If none is closer to retraining than doing nothing,
  the answer is no. Otherwise its ToW is compared with that of another oracle,
  paired by seed.
  """
  rows = _by_name(results)
  ceiling = rows.get(('another_oracle', 'reference'))
  made = lambda answer, sentence, reason='', row=None: Headline(
      'Does a method come as close to retraining as a second retrained model?',
      answer, sentence, reason, row)
  if not results.sound or ceiling is None:
    return made('cannot tell', 'The models of this run are no use to judge by.',
                ' '.join(results.warnings))
  alone = _unlearned(rows)
  first = winner(results)
  idle = rows.get(('do_nothing', 'reference'))
  if first is None and len(alone) == 1 and not alone[0].lost:
    first = alone[0]
  if first is None:
    highest = best(alone)
    if highest is None or idle is None:
      return made('cannot tell', 'No row has figures that can be judged.')
    return made('no', 'No row has a higher ToW than doing nothing.',
                f'The highest is {name(highest)} with {figure(highest.tow)}; '
                f'doing nothing has {figure(idle.tow)}.', highest)
  gap = difference(first.tow, ceiling.tow)
  seeds = counted(gap.seeds, 'seed')
  picked = (f'{name(first)} has the highest ToW of all rows that are no '
            'controls. ' if len(alone) > 1 else '')
  verdict = TOW.verdict(gap)
  reason = (f'Its ToW minus that of the second retrained models is '
            f'{figure(gap, signed=True)}; within ± {results.margin:g} they '
            'count as equal.')
  least = smallest(gap)
  if verdict == UNKNOWN:
    reason += (f' {seeds.capitalize()} would show a difference of '
               f'{shown(least)} or more.' if least == least else
               ' With one seed there is no interval.')
  answer, said = {
      BETTER: ('yes', 'It comes closer to retraining than a second retrained '
                      'model does.'),
      EQUAL: ('yes', 'It comes as close to retraining as a second retrained '
                     'model.'),
      WORSE: ('no', 'It stays further from retraining than a second retrained '
                    'model.'),
      UNKNOWN: ('cannot tell', f'{seeds.capitalize()} are too few to tell it '
                               'from a second retrained model.')}[verdict]
  if len(alone) == 1:
    said = said.replace('It ', f'{name(first)} ', 1).replace(
        'tell it', f'tell {name(first)}')
  return made(answer, (picked + said).replace('1 seed are', '1 seed is'),
              reason, first)


def findings(results: Results) -> list[str]:
  """One short sentence on each of the paper's findings, for this run.

  Args:
    results: the results of a run; figures may be NaN.

  Returns:
    On doing nothing by memorization, on RUM^F against its controls for each
    method, on full RUM, on the best row against another oracle, on the best row
    by the attack, on rows that ruin the network, and on doing nothing against
    all rows. A sentence is left out where the rows that it needs are. Of
    results that are not sound nothing is found.
  """
  if not results.sound:
    return []
  rows = _by_name(results)
  methods = dict.fromkeys(x.method for x in results.differences)
  sentences = [_on_memorization(rows),
               *(_on_refinement(m, results) for m in methods),
               _on_full_rum(rows), _on_ceiling(results, rows),
               _on_attack(results), *_on_ruin(rows, results.oracle),
               _on_doing_nothing(rows)]
  return [sentence for sentence in sentences if sentence]


def overview(results: Results) -> list[str]:
  """The overview of a run: full RUM, the best row, and doing nothing."""
  if not results.sound:
    return list(results.warnings)
  rows = _by_name(results)
  return [x for x in (_on_full_rum(rows), _on_ceiling(results, rows),
                      _on_doing_nothing(rows)) if x]


def _by_name(results: Results) -> _ByName:
  return {(row.method, row.variant): row for row in results.rows}


def _unlearned(rows: _ByName) -> list[Row]:
  return [row for row in rows.values() if row.variant != 'reference']


def _rivals(rows: _ByName) -> list[Row]:
  """The best RUM^F, the best matched and the best vanilla row."""
  rivals = [best(rows.values(), x) for x in ('rum_f', 'matched', 'vanilla')]
  return [row for row in rivals if row]


def _steps(row: Row | None) -> list[tuple[str, str, Summary]]:
  """Changes of ToW from low to medium and from medium to high, with names."""
  if row is None or not set(GROUPS) <= set(row.groups):
    return []
  return [(a, b, difference(row.groups[b].tow, row.groups[a].tow))
          for a, b in itertools.pairwise(GROUPS)]


def _on_memorization(rows: _ByName) -> str:
  gaps = [gap for _, _, gap in _steps(rows.get(('do_nothing', 'reference')))]
  if not gaps:
    return ''
  verdicts = [TOW.verdict(gap) for gap in gaps]
  if verdicts == [WORSE, WORSE]:
    return ('The more memorized the examples, the further doing nothing is '
            'from retraining, as the paper found.')
  if BETTER in verdicts:
    return ('Doing nothing comes closer to retraining at one step of '
            'memorization, which contradicts the paper.')
  if UNKNOWN in verdicts:
    return (f'With {counted(gaps[0].seeds, "seed")} one cannot tell whether '
            'doing nothing gets worse with memorization.')
  return 'Doing nothing does not get worse at each step of memorization.'


def _on_refinement(method: str, results: Results) -> str:
  gaps = {x.minus: x for x in results.differences if x.method == method}
  verdicts = {control: x.verdicts[TOW.name] for control, x in gaps.items()}
  kinds = set(verdicts.values())
  whole = set(CONTROLS) <= set(verdicts)
  seeds = counted(max(x.tow.seeds for x in gaps.values()), 'seed')
  if whole and kinds == {BETTER}:
    text = 'refinement helps'
  elif kinds == {WORSE}:
    text = 'refinement hurts'
  elif kinds == {EQUAL}:
    text = 'refinement makes no difference'
  elif kinds == {UNKNOWN}:
    text = f'one cannot tell with {seeds} whether refinement helps'
  else:
    return f'{called(method)}: ' + _sentence('RUM^F', verdicts.items(), seeds)
  return f'{called(method)}: {text}.'


def _sentence(subject: str, verdicts: Iterable[tuple[str, str]], seeds: str
              ) -> str:
  """A sentence on which rows are better, worse, or not distinguishable."""
  verdicts, parts = list(verdicts), []
  for kind, word in ((BETTER, 'better than'), (WORSE, 'worse than'),
                     (EQUAL, 'equal to'), (UNKNOWN, '')):
    names = listed([other for other, verdict in verdicts if verdict == kind])
    if names and kind == UNKNOWN:
      other = subject.replace('The ', 'the ', 1).replace('Full', 'full', 1)
      other = 'it' if parts else other
      parts.append(f'{"with" if parts else "With"} {seeds} one cannot tell '
                   f'{other} from {names}')
    elif names:
      parts.append(f'{"" if parts else f"{subject} is "}{word} {names}')
  return '; '.join(parts) + '.'


def _on_full_rum(rows: _ByName) -> str:
  row = rows.get(('rum', 'rum'))
  if row is None or row.lost:
    return ''
  gaps = [(f'the best {called(x.variant)} ({called(x.method)})',
           difference(row.tow, x.tow)) for x in _rivals(rows)]
  if not gaps:
    return ''
  seeds = counted(max(gap.seeds for _, gap in gaps), 'seed')
  verdicts = [(other, TOW.verdict(gap)) for other, gap in gaps]
  return _sentence('Full RUM', verdicts, seeds)


def _on_ceiling(results: Results, rows: _ByName) -> str:
  first, ceiling = winner(results), rows.get(('another_oracle', 'reference'))
  alone = _unlearned(rows)
  if first is None and len(alone) == 1 and not alone[0].lost:
    first = alone[0]
  if first is None or ceiling is None:
    return ''
  gap = difference(first.tow, ceiling.tow)
  what = name(first) if len(alone) == 1 else f'The best row, {name(first)},'
  return _sentence(what, [('a second oracle', TOW.verdict(gap))],
                   counted(gap.seeds, 'seed'))


def _on_attack(results: Results) -> str:
  """A sentence if the best row by ToW is not the best by ToW-MIA."""
  first, other = (winner(results, x) for x in (TOW, TOW_MIA))
  if first is None or other is None or first is other:
    return ''
  return (f'By {TOW_MIA.title} the best row is {name(other)} '
          f'({figure(other.tow_mia)}); {name(first)} has '
          f'{figure(first.tow_mia)}.')


def _on_ruin(rows: _ByName, oracle: Oracle) -> list[str]:
  """A sentence on each row that loses half of the oracle's test accuracy."""
  want = oracle.test_accuracy.mean
  return [f'{name(row)} ruins the network: its test accuracy is '
          f'{shown(row.test_accuracy.mean)}, the oracle’s {shown(want)}.'
          for row in _unlearned(rows) if row.test_accuracy.mean < want / 2]


def _on_doing_nothing(rows: _ByName) -> str:
  idle, others = rows.get(('do_nothing', 'reference')), _unlearned(rows)
  if idle is None or not others:
    return ''
  gaps = {name(row): difference(row.tow, idle.tow) for row in others}
  seeds = counted(max(gap.seeds for gap in gaps.values()), 'seed')
  verdicts = [(row, TOW.verdict(gap)) for row, gap in gaps.items()]
  if len(others) == 1:
    return _sentence(
        name(others[0]), [('doing nothing', verdicts[0][1])], seeds)
  named = {kind: [row for row, x in verdicts if x == kind]
           for kind in (BETTER, WORSE, EQUAL, UNKNOWN)}
  parts = [f'{len(named[BETTER])} of {len(others)} rows are better than doing '
           'nothing']
  for kind, words in ((WORSE, 'worse'), (EQUAL, 'equal'),
                      (UNKNOWN, f'cannot tell with {seeds}')):
    if named[kind]:
      parts.append(f'{words}: {_shortened(named[kind])}')
  return '; '.join(parts) + '.'


def _shortened(names: Sequence[str]) -> str:
  return listed(names) if len(names) <= 6 else counted(len(names), 'row')
