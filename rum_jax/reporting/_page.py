"""Turns `results.json` into a page for a browser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rum_jax.evaluation import best
from rum_jax.evaluation.statistics import direction, interval
from rum_jax.reporting import details, markup, vocabulary
from rum_jax.reporting._findings import findings
from rum_jax.reporting.markup import Line, section
from rum_jax.reporting.vocabulary import by_method, called, counted, duration
from rum_jax.reporting.vocabulary import FIGURES, losses, mean_score, MEANINGS
from rum_jax.reporting.vocabulary import measure, name, shown
from rum_jax.types import GROUPS

_CAUTION = ('A difference counts where its 95 % confidence interval excludes '
            '0; the intervals are not corrected for the number of '
            'comparisons. The best rows are picked on the seeds that judge '
            'them, which flatters them a little.')


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
    return markup.figure(pictures.get(key, ''), caption)

  return markup.document(
      f'Machine unlearning by refinement: {recipe["dataset"]}, '
      f'{recipe["network"]}', _what_was_run(results),
      section('How to read it', markup.terms(MEANINGS)),
      section('Findings', markup.items(findings(results)),
              markup.paragraph(_CAUTION, 'note')),
      section('Every method', _main_table(results), *(
          markup.paragraph(f'† {x}', 'note')
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
      section('How it was made', *details.details(results)))


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
  columns = [*FIGURES, *(f'{x}_accuracy' for x in vocabulary.ACCURACIES)]
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
            for x in vocabulary.ACCURACIES]
  bodies[:0] = [('', [Line(('Oracle', *[''] * len(FIGURES), *oracle, duration(
      results['oracle']['seconds'])), 'aside')])]
  return markup.table(
      'Mean ± half of the 95 % confidence interval; accuracy on the forget, '
      'retain and test sets; seconds a seed. “best” has the highest mean ToW.',
      ('', *FIGURES.values(),
       *map(str.capitalize, vocabulary.ACCURACIES), 'Seconds'),
      bodies)


def _group_table(results: Mapping[str, Any]) -> str:
  lines = [
      Line((group, f'{about["size"]:,}', f'{about["corrupted"]:,}',
            shown(mean_score(about)), _entanglement(about['es']),
            shown(*interval(results['oracle']['groups'][group]))))
      for group, about in results['groups'].items()]
  return markup.table(
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
  return markup.table(
      'Accuracy on each group of the forget set; what counts is to come close '
      'to the oracle’s.', ('', *map(str.capitalize, groups)), bodies)


def _entanglement(score: Mapping[str, Any]) -> str:
  return '{:,.0f} ± {:,.0f}'.format(*interval(score)).replace('nan', '–')


def _difference_table(results: Mapping[str, Any]) -> str:
  verdicts = {1: 'better', -1: 'worse', 0: 'no difference shown', None: '–'}
  methods = dict.fromkeys(gap['method'] for gap in results['differences'])
  return markup.table(
      'RUM^F minus each of its controls, paired by seed. The verdict is on '
      'ToW; a smaller MIA gap is better.',
      ('RUM^F minus', *FIGURES.values(), 'Verdict'),
      [(called(method), [
          Line((gap['minus'],
                *(shown(*interval(gap[x]), signed=True) for x in FIGURES),
                verdicts[direction(interval(gap['tow']))]))
          for gap in results['differences'] if gap['method'] == method])
       for method in methods])
