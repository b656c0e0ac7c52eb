"""Turns `results.json` into a table for a terminal and a page for a browser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import textwrap
from typing import Any

from rum_jax import report_details, report_page
from rum_jax.findings import findings
from rum_jax.report_page import Line, section
from rum_jax.rows import best, by_method, called, counted, direction, duration
from rum_jax.rows import FIGURES, GROUPS, interval, losses, mean_score
from rum_jax.rows import MEANINGS, measure, name, Row, shown

__all__ = ['findings', 'page', 'table']

_WIDTH = 100
_ACCURACIES = ('forget', 'retain', 'test')
_CAUTION = ('A difference counts where its 95 % confidence interval excludes '
            '0; the intervals are not corrected for the number of '
            'comparisons. The best rows are picked on the seeds that judge '
            'them, which flatters them a little.')


def table(results: Mapping[str, Any]) -> str:
  """The main table, paired differences and findings as aligned text.

  Args:
    results: what `results.json` holds, of any groups and any methods; figures
      may be NaN or `None`.

  Returns:
    Lines of about 100 columns: the oracle and the reference rows first, then
    each method with its variants; under them what the columns mean. The best
    row has a `*`, rows with diverged seeds a `†`.
  """
  first = best(results['rows'])
  figures = {key: words for key, words in FIGURES.items()
             if key != 'tow_by_group' or len(results['groups']) > 1}
  lines = [('', *figures.values(), *_ACCURACIES, 'seconds'),
           ('  Oracle', *[''] * len(figures),
            *_accuracies(results['oracle']),
            duration(results['oracle']['seconds']))]
  for heading, rows in by_method(results['rows']):
    lines += [(f'  {heading}',)] if heading else []
    for row in rows:
      mark = '*' if row is first else '†' if row['diverged'] else ' '
      label = f'  {called(row["variant"])}' if heading else name(row)
      lines.append((
          f'{mark} {label}', *(shown(*interval(row[x])) for x in figures),
          *_accuracies(row), duration(row['seconds']['mean'])))
  notes = [*(f'{x}: {MEANINGS[x]}' for x in MEANINGS
             if x in ('Oracle', 'MIA', *figures.values())),
           f'± is half of the 95 % confidence interval over '
           f'{counted(len(results["seeds"]), "seed")}; the accuracies are '
           'means, the seconds those of one seed.',
           *([f'* {name(first)}: the highest mean ToW of a method.']
             if first else []),
           *(f'† {x}' for x in losses(results['rows']))]
  paired = [] if not results['differences'] else [
      '', 'RUM^F minus its controls, paired by seed:', '',
      *_aligned(_difference_lines(results['differences']))]
  return '\n'.join([*_aligned(lines), '', *_wrapped(notes), *paired, '',
                    *_wrapped(findings(results), '- ')])


def _accuracies(row: Row) -> list[str]:
  return [shown(row[f'{x}_accuracy']['mean']) for x in _ACCURACIES]


def _difference_lines(differences: Sequence[Row]) -> list[Sequence[str]]:
  lines = [('', *FIGURES.values())]
  for method in dict.fromkeys(gap['method'] for gap in differences):
    lines.append((f'  {called(method)}',))
    lines += [
        (f'    minus {gap["minus"]}',
         *(shown(*interval(gap[x]), signed=True) for x in FIGURES))
        for gap in differences if gap['method'] == method]
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


def page(results: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
  """One HTML page that holds all of a run and needs no other file.

  Args:
    results: what `results.json` holds, with groups of low, medium and high
      memorization; figures may be NaN or `None`.
    pictures: SVG by the name of the function of `plots` that drew it; what is
      missing is left out.
  """
  recipe = results['recipe']

  def drawn(key: str, caption: str) -> str:
    return report_page.figure(pictures.get(key, ''), caption)

  return report_page.document(
      f'Machine unlearning by refinement: {recipe["dataset"]}, '
      f'{recipe["network"]}', _what_was_run(results),
      section('How to read it', report_page.terms(MEANINGS)),
      section('Findings', report_page.items(findings(results)),
              report_page.paragraph(_CAUTION, 'note')),
      section('Every method', _main_table(results), *(
          report_page.paragraph(f'† {x}', 'note')
          for x in losses(results['rows']))),
      section('Closeness to retraining', drawn(
          'tow_by_method', 'ToW of every method. Small dots are seeds, large '
          'marks their mean with its 95 % confidence interval; the bands are '
          'those of doing nothing and of another oracle.')),
      section('What was forgotten', _group_table(results), drawn(
          'memorization_histogram', f'{measure(results).capitalize()} of all '
          'training examples; in colour, the groups of the forget set.'), drawn(
          'examples', 'Examples of each group, from its first to its last '
          'row, with the label that was trained on, what it truly is where '
          f'that label was made wrong, and the {measure(results)}.')),
      section('Closeness by memorization', drawn(
          'tow_by_group', 'ToW with one group alone as the forget set: how '
          'close each method comes on low, medium and high memorization.'),
              _accuracy_table(results)),
      section('Where the groups lie', drawn(
          'embedding', 'Features of the first original model on their first '
          'two principal components; retained examples in grey.')),
      section('Cost', drawn(
          'cost', 'Seconds of each method over those of retraining; '
          'compilation is left out, and so is the tuning of each method.')),
      section('Paired differences', _difference_table(results)),
      section('How it was made', *report_details.details(results)))


def _what_was_run(results: Mapping[str, Any]) -> str:
  recipe, count = results['recipe'], results['examples']
  sizes = [results['groups'][group]['size'] for group in GROUPS]
  wrong = len(results['corrupted'])
  made = (f', {wrong:,} of which ({100 * recipe["corrupt"]:.3g} %) were given '
          'a wrong label' if wrong else '')
  networks = counted(len(results['seeds']), 'network')
  return (f'{networks} ({recipe["network"]}) trained on '
          f'{counted(count["train"], "example")} of '
          f'{recipe["dataset"]}{made}, and made to forget {sum(sizes):,} of '
          f'them: {sizes[0]:,} of low, {sizes[1]:,} of medium and '
          f'{sizes[2]:,} of high {measure(results)}. Each method of unlearning '
          f'is held, seed by seed, against retraining without them; '
          f'{count["held_out"]:,} {recipe["held_out"]} examples are held out.')


def _main_table(results: Mapping[str, Any]) -> str:
  first, bodies = best(results['rows']), []
  columns = [*FIGURES, *(f'{x}_accuracy' for x in _ACCURACIES)]
  for heading, rows in by_method(results['rows']):
    lines = []
    for row in rows:
      kind = ('best' if row is first else
              'aside' if row['variant'] == 'reference' else '')
      label = called(row['variant']) if heading else name(row)
      lines.append(Line((
          label + ' †' * bool(row['diverged']),
          *(shown(*interval(row[x])) for x in columns),
          duration(row['seconds']['mean'])), kind))
    bodies.append((heading, lines))
  oracle = [shown(*interval(results['oracle'][f'{x}_accuracy']))
            for x in _ACCURACIES]
  bodies[:0] = [('', [Line(('Oracle', *[''] * len(FIGURES), *oracle, duration(
      results['oracle']['seconds'])), 'aside')])]
  return report_page.table(
      'Mean ± half of the 95 % confidence interval; accuracy on the forget, '
      'retain and test sets; seconds a seed. “best” has the highest mean ToW.',
      ('', *FIGURES.values(), *map(str.capitalize, _ACCURACIES), 'Seconds'),
      bodies)


def _group_table(results: Mapping[str, Any]) -> str:
  lines = [
      Line((group, f'{about["size"]:,}', f'{about["corrupted"]:,}',
            shown(mean_score(about)), _entanglement(about['es']),
            shown(*interval(results['oracle']['groups'][group]))))
      for group, about in results['groups'].items()]
  return report_page.table(
      'The groups of the forget set. ES, the entanglement score, is the spread '
      'of a group and of the retain set over the distance of their means, in '
      'the features of the original model: high means hard to tell apart.',
      ('', 'Examples', 'Wrong labels', f'Mean {measure(results)}', 'ES',
       'Oracle’s accuracy'), [('', lines)])


def _accuracy_table(results: Mapping[str, Any]) -> str:
  groups = list(results['groups'])
  truth = [shown(*interval(results['oracle']['groups'][g])) for g in groups]
  bodies = [('', [Line(('Oracle', *truth), 'aside')])] + [
      (heading, [Line((called(row['variant']) if heading else name(row), *(
          shown(*interval(row['groups'][g]['forget_accuracy']))
          for g in groups))) for row in rows])
      for heading, rows in by_method(results['rows'])]
  return report_page.table(
      'Accuracy on each group of the forget set; what counts is to come close '
      'to the oracle’s.', ('', *map(str.capitalize, groups)), bodies)


def _entanglement(score: Mapping[str, Any]) -> str:
  return '{:,.0f} ± {:,.0f}'.format(*interval(score)).replace('nan', '–')


def _difference_table(results: Mapping[str, Any]) -> str:
  verdicts = {1: 'better', -1: 'worse', 0: 'no difference shown', None: '–'}
  methods = dict.fromkeys(gap['method'] for gap in results['differences'])
  return report_page.table(
      'RUM^F minus each of its controls, paired by seed. The verdict is on '
      'ToW; a smaller MIA gap is better.',
      ('RUM^F minus', *FIGURES.values(), 'Verdict'),
      [(called(method), [
          Line((gap['minus'],
                *(shown(*interval(gap[x]), signed=True) for x in FIGURES),
                verdicts[direction(interval(gap['tow']))]))
          for gap in results['differences'] if gap['method'] == method])
       for method in methods])
