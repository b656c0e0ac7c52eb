"""Tables of text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import math
import textwrap

from rum_jax.evaluation import Oracle, Results, Row, winner
from rum_jax.evaluation.results import ACCURACIES, COMPARED, REFINED
from rum_jax.evaluation.results import TOW_BY_GROUP
from rum_jax.memorization.comparison import ProxiesFile, Proxy
from rum_jax.reporting._findings import comparisons, findings
from rum_jax.reporting.vocabulary import by_method, called, counted, duration
from rum_jax.reporting.vocabulary import figure, listed, losses, mark, MEANINGS
from rum_jax.reporting.vocabulary import name, retrainings, shown
from rum_jax.types import GROUPS

_HEAD = ('', 'Spearman', 'one run', *GROUPS, 'memorization',
         'seconds', 'cost')
_WIDTH = 100


def proxy_table(record: ProxiesFile) -> Sequence[str]:
  """A table of proxies as text; the highest correlation comes first."""
  rows = sorted(record.proxies.items(), reverse=True, key=lambda item: (
      -2 if math.isnan(item[1].spearman) else item[1].spearman))
  cells = [_HEAD, *(_proxy_cells(*item) for item in rows)]
  table = aligned(cells)
  whole = record.estimate_seconds
  cost = ('' if math.isnan(whole) else
          f' cost: this time as a share of the {whole:.1f} s of '
          f'{record.models} models.')
  return [*table, 'Spearman: rank correlation of memorization with the mean of '
          f'{record.runs} runs; one run: with a single run. low, medium, high: '
          f'share of the {record.group_size} examples of the group that '
          'memorization also chooses. memorization: its mean in each of these '
          f'groups. seconds: time of one run with its training.{cost}']


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
    results: the results of a run with any groups and any methods; figures may
      be NaN.

  Returns:
    Lines of about 100 columns: warnings; the oracle and the reference rows;
    each method with its variants; and the meanings of the columns. The marks of
    rows are those of `vocabulary.mark`.
  """
  first = winner(results)
  figures = [x for x in COMPARED
             if x is not TOW_BY_GROUP or len(results.groups) > 1]
  titles = [x.title for x in figures]
  lines = [('', *titles, *(x.title for x in ACCURACIES), 'seconds'),
           ('  Oracle', *[''] * len(figures), *_accuracies(results.oracle),
            duration(results.oracle.seconds))]
  for heading, rows in by_method(results.rows):
    lines += [(f'  {heading}',)] if heading else []
    for row in rows:
      label = f'  {called(row.variant)}' if heading else name(row)
      lines.append((
          f'{mark(row, first, results.sound) or " "} {label}',
          *(figure(x.of(row)) for x in figures),
          *_accuracies(row), duration(row.seconds.mean)))
  notes = [*(f'{x}: {MEANINGS[x]}' for x in MEANINGS
             if x in ('Oracle', 'MIA', *titles)),
           f'± is half of the 95 % confidence interval over '
           f'{counted(len(results.seeds), "seed")}; the accuracies are '
           'means, the seconds those of one seed.',
           *([f'* {name(first)}: the highest mean ToW; matched and shuffle '
             'are controls and do not count.']
             if first else []),
           *_kept_notes(results), *cost_notes(results), *losses(results.rows),
           *results.notes]
  warnings = _wrapped(results.warnings, '! ')
  pairs = comparisons(results) if results.sound else []
  table = [('', 'minus', 'ToW', 'verdict'), *(
      (x.what, x.minus, figure(x.tow, signed=True), x.verdict) for x in pairs)]
  paired = [] if not pairs else [
      '', 'Differences in ToW, paired by seed; equal means that the whole '
      f'interval lies within ± {results.margin}:', '',
      *aligned(table, left=(0, 1, 3))]
  return '\n'.join([
      *warnings, *[''] * bool(warnings), *aligned(lines), '', *_wrapped(notes),
      *paired, '', *_wrapped(findings(results), '- ')]).rstrip()


def _kept_notes(results: Results) -> list[str]:
  """Test accuracy without the classes that the forget set holds completely."""
  if not results.forgotten_classes:
    return []
  rows = [('Oracle', results.oracle), *((name(x), x) for x in results.rows)]
  parts = [f'{label} {figure(x.kept_test_accuracy)}'
           for label, x in rows if x.kept_test_accuracy]
  return ['The forget set holds all examples of '
          f'{listed(results.forgotten_classes)}. Test accuracy on the other '
          f'classes: {"; ".join(parts)}.']


def cost_notes(results: Results) -> list[str]:
  """Notes on the costs that the seconds of a row do not include."""
  one = results.oracle.seconds
  compiled = sum(row.compile_seconds for row in results.rows)
  refined = [row for row in results.rows if row.variant in REFINED]
  tuning = _tuning(results, one)
  notes = [f'The seconds leave out {duration(compiled)} s of compilation for '
           f'all rows, and tuning ({tuning}).']
  if refined:
    cost = retrainings(refined[0].beforehand_seconds, one)
    notes.append('RUM^F and RUM also need the scores that the groups are '
                 f'chosen by: {cost}.')
  return notes


def _tuning(results: Results, one: float) -> str:
  """What all searches for settings took; a retraining takes `one` seconds.

  That for full RUM includes those for RUM^F, which count once.
  """
  known = {(row.method, row.variant): row.tuning_seconds
           for row in results.rows if math.isfinite(row.tuning_seconds)}
  if not known:
    return 'not recorded'
  full = known.pop(('rum', 'rum'), 0.0)
  shared = sum(x for (_, variant), x in known.items() if variant == 'rum_f')
  return retrainings(sum(known.values()) + max(0.0, full - shared), one)


def _accuracies(row: Row | Oracle) -> list[str]:
  return [shown(x.of(row).mean) for x in ACCURACIES]


def aligned(lines: Sequence[Sequence[str]], left: Sequence[int] = (0,)
            ) -> list[str]:
  """Lines whose columns are aligned.

  Args:
    lines: the cells of each line; a line of one cell is a heading.
    left: the columns to align at the left; all others are aligned at the right.
  """
  full = [line for line in lines if len(line) > 1]
  wide = [max(len(line[0]) for line in lines),
          *(max(map(len, column)) for column in list(zip(*full))[1:])]
  return ['  '.join(
      cell.ljust(width) if i in left else cell.rjust(width)
      for i, (cell, width) in enumerate(zip(line, wide))).rstrip()
          for line in lines]


def _wrapped(sentences: Iterable[str], bullet: str = '') -> list[str]:
  """Wraps sentences without breaking a figure from its interval."""
  return [line.replace('\xa0', ' ') for sentence in sentences
          for line in textwrap.wrap(
              bullet + sentence.replace(' ± ', '\xa0±\xa0'), _WIDTH,
              subsequent_indent='  ', break_on_hyphens=False)]
