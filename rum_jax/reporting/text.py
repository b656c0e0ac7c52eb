"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import math
import textwrap

from rum_jax.evaluation import best, Difference, Oracle, Results, Row
from rum_jax.evaluation.results import ACCURACIES, COMPARED, TOW_BY_GROUP
from rum_jax.memorization.comparison import ProxiesFile, Proxy
from rum_jax.reporting._findings import findings
from rum_jax.reporting.vocabulary import by_method, called, counted, duration
from rum_jax.reporting.vocabulary import figure, losses, MEANINGS, name, shown
from rum_jax.types import GROUPS

_HEAD = ('', 'Spearman', 'one run', *GROUPS, 'memorization',
         'seconds', 'cost')
_WIDTH = 100


def proxy_table(record: ProxiesFile) -> Sequence[str]:
  """A table for a terminal, the best correlation first."""
  rows = sorted(record.proxies.items(), reverse=True, key=lambda item: (
      -2 if math.isnan(item[1].spearman) else item[1].spearman))
  cells = [_HEAD, *(_proxy_cells(*item) for item in rows)]
  widths = [max(map(len, column)) for column in zip(*cells)]
  table = ['  '.join([row[0].ljust(widths[0]), *(
      cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
           for row in cells]
  whole = record.estimate_seconds
  cost = ('' if math.isnan(whole) else
          f', and what share they are of the {whole:.1f} s of '
          f'{record.models} models')
  return [*table, f'Spearman: rank correlation with memorization, of the mean '
          f'of {record.runs} runs and of one. low, medium, high: share of '
          f'the {record.group_size} examples that memorization chooses, too; '
          'then the mean memorization of each. seconds: of one run, training '
          f'included{cost}.']


def _proxy_cells(name: str, row: Proxy) -> Sequence[str]:
  return (
      name, *(_shown(x, '.3f') for x in (row.spearman, row.one_run)),
      *(_shown(x, '.2f') for x in (row.low, row.medium, row.high)),
      ' '.join(_shown(x, '.2f') for x in (
          row.low_memorization, row.medium_memorization,
          row.high_memorization)),
      _shown(row.seconds, '.2f'), _shown(row.share, '.2%'))


def _shown(value: float, form: str) -> str:
  return '–' if math.isnan(value) else format(value, form)


def table(results: Results) -> str:
  """The main table, paired differences and findings as aligned text.

  Args:
    results: of a run with any groups and any methods; figures may be NaN.

  Returns:
    Lines of about 100 columns: the oracle and the reference rows first, then
    each method with its variants; under them what the columns mean. The best
    row has a `*`, rows with diverged seeds a `†`.
  """
  first = best(results.rows)
  figures = [x for x in COMPARED
             if x is not TOW_BY_GROUP or len(results.groups) > 1]
  titles = [x.title for x in figures]
  lines = [('', *titles, *(x.title for x in ACCURACIES), 'seconds'),
           ('  Oracle', *[''] * len(figures), *_accuracies(results.oracle),
            duration(results.oracle.seconds))]
  for heading, rows in by_method(results.rows):
    lines += [(f'  {heading}',)] if heading else []
    for row in rows:
      mark = '*' if row is first else '†' if row.diverged else ' '
      label = f'  {called(row.variant)}' if heading else name(row)
      lines.append((
          f'{mark} {label}', *(figure(x.of(row)) for x in figures),
          *_accuracies(row), duration(row.seconds.mean)))
  notes = [*(f'{x}: {MEANINGS[x]}' for x in MEANINGS
             if x in ('Oracle', 'MIA', *titles)),
           f'± is half of the 95 % confidence interval over '
           f'{counted(len(results.seeds), "seed")}; the accuracies are '
           'means, the seconds those of one seed.',
           *([f'* {name(first)}: the highest mean ToW of a method.']
             if first else []),
           *(f'† {x}' for x in losses(results.rows))]
  paired = [] if not results.differences else [
      '', 'RUM^F minus its controls, paired by seed:', '',
      *_aligned(_difference_lines(results.differences))]
  return '\n'.join([*_aligned(lines), '', *_wrapped(notes), *paired, '',
                    *_wrapped(findings(results), '- ')])


def _accuracies(row: Row | Oracle) -> list[str]:
  return [shown(x.of(row).mean) for x in ACCURACIES]


def _difference_lines(differences: Sequence[Difference]
                      ) -> list[Sequence[str]]:
  lines = [('', *(x.title for x in COMPARED))]
  for method in dict.fromkeys(gap.method for gap in differences):
    lines.append((f'  {called(method)}',))
    lines += [
        (f'    minus {gap.minus}',
         *(figure(x.of(gap), signed=True) for x in COMPARED))
        for gap in differences if gap.method == method]
  return lines


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
  """Columns set under each other; a line of one cell is a heading."""
  wide = [max(len(line[0]) for line in lines)]
  full = [line for line in lines if len(line) > 1]
  wide += [max(len(line[i]) for line in full) for i in range(1, len(full[0]))]
  return ['  '.join([line[0].ljust(wide[0]), *(
      cell.rjust(wide[i]) for i, cell in enumerate(line[1:], start=1))]
                   ).rstrip() for line in lines]


def _wrapped(sentences: Iterable[str], bullet: str = '') -> list[str]:
  """Wraps sentences, but not between a figure and its interval."""
  return [line.replace('\xa0', ' ') for sentence in sentences
          for line in textwrap.wrap(
              bullet + sentence.replace(' ± ', '\xa0±\xa0'), _WIDTH,
              subsequent_indent='  ', break_on_hyphens=False)]
