"""Turns `results.json` into a page for a browser."""

from __future__ import annotations

from collections.abc import Mapping
import math

from rum_jax.evaluation import FIGURES, Results, Row, smallest, Summary, winner
from rum_jax.evaluation.results import ACCURACIES, COMPARED
from rum_jax.reporting import details, markup
from rum_jax.reporting._findings import comparisons, findings, headline, worded
from rum_jax.reporting.markup import Cell, Line, Number, section
from rum_jax.reporting.vocabulary import by_method, by_seed, called, counted
from rum_jax.reporting.vocabulary import duration
from rum_jax.reporting.vocabulary import figure, listed, losses, mark, MEANINGS
from rum_jax.reporting.vocabulary import name, retrainings, score_name, shown
from rum_jax.types import GROUPS

_CAUTION = ('A verdict follows from the 95 % confidence interval of a '
            'difference that is paired by seed: equal where all of it lies '
            'within ± {margin}; better or worse where it excludes 0; else one '
            'cannot tell. The intervals are not corrected for the number of '
            'comparisons. The best rows are picked on the seeds that judge '
            'them, which flatters them a little.')


def page(results: Results, pictures: Mapping[str, str]) -> str:
  """One HTML page that holds all of a run and needs no other file.

  Args:
    results: of a run; figures may be NaN.
    pictures: SVG by the name of the function of `plots` that drew it; what is
      missing is left out.
  """
  recipe = results.recipe

  def drawn(key: str, caption: str) -> str:
    return markup.figure(pictures.get(key, ''), caption)

  refined = ' by refinement' if set(results.groups) == set(GROUPS) else ''
  return markup.document(
      f'Machine unlearning{refined}: {recipe.dataset}, {recipe.network}',
      _what_was_run(results),
      _first_screen(results, drawn(
          'tow_by_method', 'ToW of every method: 1 is like retraining. Small '
          'dots are seeds (crosses: collapsed ones), large marks their mean '
          'with its 95 % confidence interval; the bands are those of doing '
          'nothing and of another oracle.')),
      *_warnings(results),
      section('Findings', markup.items(findings(results), 'columns'),
              markup.paragraph(_CAUTION.format(margin=results.margin),
                               'note')),
      section('Every method', _main_table(results), _kept_table(results), *(
          markup.paragraph(x, 'note') for x in losses(results.rows))),
      section('Cost', markup.beside(_cost_table(results), drawn(
          'cost', 'Bars: seconds of each method over those of retraining, '
          'alone. Diamonds: with compilation, tuning and the scores that the '
          'groups are chosen by, where these are recorded. The axis is '
          'logarithmic.'))),
      section('Appendix: what was forgotten', _group_table(results),
              *(markup.paragraph(x, 'note') for x in results.notes),
              markup.beside(drawn(
                  'memorization_histogram',
                  f'{score_name(results).capitalize()} of all training '
                  'examples; in colour, the groups of the forget set.'), drawn(
                  'examples', 'Examples of each group, from its first to its '
                  'last row, with the label that was trained on, what it truly '
                  'is where that label was made wrong, and the '
                  f'{score_name(results)}.')), kind='appendix'),
      section('Appendix: closeness by memorization', markup.beside(drawn(
          'tow_by_group', 'ToW with one group alone as the forget set: how '
          'close each method comes on low, medium and high memorization.'),
              _accuracy_table(results))),
      *([section('Appendix: where the groups lie', drawn(
          'embedding', 'Features of the first original model on their first '
          'two principal components; retained examples in grey.'))]
        if 'embedding' in pictures else []),
      section('Appendix: paired differences', _comparison_table(results),
              _difference_table(results)),
      section('Appendix: how it was made', *details.details(results)),
      section('What the words mean', markup.terms(MEANINGS)))


_KINDS = {'yes': 'good', 'no': 'bad', 'cannot tell': 'open'}


def _first_screen(results: Results, picture: str) -> str:
  said = headline(results)
  rows = {(row.method, row.variant): row for row in results.rows}
  shown_rows = [said.row, rows.get(('do_nothing', 'reference')),
                rows.get(('another_oracle', 'reference'))]
  numbers = [Number(shown(row.tow.mean), _interval(row.tow),
                    f'ToW of {name(row)}')
             for row in shown_rows if row is not None]
  return markup.verdict(said.question, said.answer.capitalize(),
                        _KINDS[said.answer], said.sentence, numbers,
                        said.reason, picture)


def _interval(summary: Summary) -> str:
  if not math.isfinite(summary.ci95):
    return f'{counted(summary.seeds, "seed")}: no interval'
  return (f'{shown(summary.mean - summary.ci95)} to '
          f'{shown(min(summary.mean + summary.ci95, 1.0))}')


def _warnings(results: Results) -> list[str]:
  """What has to be known before any table; nothing where all is well."""
  lost = [x for x in losses(results.rows) if x.startswith('‡')]
  if not results.warnings and not lost:
    return []
  return [section('Read this first', markup.items([*results.warnings, *lost]))]


def _what_was_run(results: Results) -> str:
  recipe, count = results.recipe, results.examples
  sizes = {group: about.size for group, about in results.groups.items()}
  wrong = len(results.corrupted)
  made = (f', {wrong:,} of which ({100 * recipe.corrupt:.3g} %) were given '
          'a wrong label' if wrong else '')
  networks = counted(len(results.seeds), 'network')
  by_group = '' if set(sizes) != set(GROUPS) else (
      ': ' + listed([f'{sizes[group]:,} of {group}' for group in GROUPS])
      + f' {score_name(results)}')
  return (f'{networks} ({recipe.network}) trained on '
          f'{counted(count.train, "example")} of '
          f'{recipe.dataset}{made}, and made to forget '
          f'{sum(sizes.values()):,} of them{by_group}. Each method of '
          'unlearning is held, seed by seed, against retraining without them; '
          f'{count.held_out:,} {recipe.held_out} examples are held out.')


def _main_table(results: Results) -> str:
  first, bodies = winner(results), []
  for heading, rows in by_method(results.rows):
    lines = []
    for row in rows:
      kind = ('best' if row is first else
              'aside' if row.variant == 'reference' else '')
      label = called(row.variant) if heading else name(row)
      lines.append(Line((
          _marked(label, mark(row, first, results.sound)),
          *(_figure(x.of(row), results, row) for x in FIGURES),
          duration(row.seconds.mean)), kind, name(row)))
    bodies.append((heading, lines))
  oracle = [_figure(x.of(results.oracle), results) for x in ACCURACIES]
  bodies[:0] = [('', [Line(('Oracle', *[''] * len(COMPARED), *oracle, duration(
      results.oracle.seconds)), 'aside')])]
  return markup.table(
      'Mean ± half of the 95 % confidence interval; accuracy on the forget, '
      'retain and test sets; seconds of one seed, without what the table of '
      'cost adds. “best ToW” has the highest mean ToW of all rows but the '
      'controls, which are matched and shuffle, and those with seeds that '
      'diverged (†) or collapsed (‡); it need not be the best in other '
      'columns.',
      ('', *(x.title for x in COMPARED),
       *(x.title.capitalize() for x in ACCURACIES), 'Seconds'),
      bodies)


def _figure(summary: Summary, results: Results, row: Row | None = None) -> Cell:
  """A figure, with the value of each seed under the pointer."""
  notes = {}
  if row is not None:
    notes = {seed: 'collapsed' for seed in row.collapsed}
    notes |= {case.seed: 'diverged' for case in row.diverged}
  return Cell(figure(summary), by_seed(summary, results.seeds, notes))


def _kept_table(results: Results) -> str:
  """Test accuracy without the classes that are forgotten whole, if any are."""
  if not results.forgotten_classes:
    return ''
  rows = [('Oracle', results.oracle), *((name(x), x) for x in results.rows)]
  return markup.table(
      'The forget set holds all examples of '
      f'{listed(results.forgotten_classes)}: test accuracy with and without '
      'them. The latter is the one to judge by.',
      ('', 'All classes', 'The other classes'),
      [('', [Line((label, figure(x.test_accuracy),
                   figure(x.kept_test_accuracy)))
             for label, x in rows if x.kept_test_accuracy])])


def _marked(label: str, sign: str) -> str:
  return label if sign in ('', '*') else f'{label} {sign}'


def _cost_table(results: Results) -> str:
  one = results.oracle.seconds
  return markup.table(
      'What a row costs: seconds of one seed; seconds of compiling, once for '
      'all seeds; beforehand, the scores that the groups are chosen by, and '
      'the search for a setting, in units of one retraining, which took '
      f'{duration(one)} s.',
      ('', 'Seconds', 'Compiling', 'Scores', 'Tuning'),
      [(heading, [Line((
          called(row.variant) if heading else name(row),
          duration(row.seconds.mean), duration(row.compile_seconds),
          retrainings(row.beforehand_seconds, one),
          retrainings(row.tuning_seconds, one)), '', name(row))
                  for row in rows if row.variant != 'reference'])
       for heading, rows in by_method(results.rows)
       if rows[0].variant != 'reference'])


def _comparison_table(results: Results) -> str:
  if not results.sound:
    return ''
  return markup.table(
      'Differences in ToW, paired by seed. The last column is the smallest '
      'difference that so many seeds show in 80 % of cases.',
      ('', 'Minus', 'Verdict', 'ToW', 'Would be shown'),
      [('', [Line((x.what, x.minus, x.verdict, Cell(
          figure(x.tow, signed=True), by_seed(x.tow, results.seeds)),
                   shown(smallest(x.tow)))) for x in comparisons(results)])],
      'words')


def _group_table(results: Results) -> str:
  lines = [
      Line((group, f'{about.size:,}', f'{about.corrupted:,}',
            shown(about.mean_score), shown(about.standard_error),
            _share(about.overlap), _entanglement(about.es),
            figure(results.oracle.groups[group])))
      for group, about in results.groups.items()]
  return markup.table(
      'The groups of the forget set. ES, the entanglement score, is the spread '
      'of a group and of the retain set over the distance of their means, in '
      'the features of the original model: high means hard to tell apart. '
      'Halves agree: the share of such a group that two halves of the '
      f'memorization models agree on.{_fit(results)}',
      ('', 'Examples', 'Wrong labels', f'Mean {score_name(results)}',
       'Standard error', 'Halves agree', 'ES',
       'Oracle’s accuracy'), [('', lines)])


def _share(share: float) -> str:
  return f'{share:.0%}' if math.isfinite(share) else '–'


def _fit(results: Results) -> str:
  fit = results.memorization_fit
  return (f' These models are right about {fit:.1%} of what they trained on.'
          if math.isfinite(fit) else '')


def _accuracy_table(results: Results) -> str:
  groups = list(results.groups)
  truth = [figure(results.oracle.groups[g]) for g in groups]
  bodies = [('', [Line(('Oracle', *truth), 'aside')])] + [
      (heading, [Line((called(row.variant) if heading else name(row), *(
          figure(row.groups[g].forget_accuracy)
          for g in groups))) for row in rows])
      for heading, rows in by_method(results.rows)]
  return markup.table(
      'Accuracy on each group of the forget set; what counts is to come close '
      'to the oracle’s.', ('', *map(str.capitalize, groups)), bodies)


def _entanglement(score: Summary) -> str:
  return f'{score.mean:,.0f} ± {score.ci95:,.0f}'.replace('nan', '–')


def _difference_table(results: Results) -> str:
  methods = dict.fromkeys(gap.method for gap in results.differences)
  return markup.table(
      'RUM^F minus each of its controls, paired by seed, with the verdict on '
      'each figure; a smaller MIA gap is better.',
      ('RUM^F minus', *(x.title for x in COMPARED)),
      [(called(method), [
          Line((gap.minus, *(
              f'{figure(x.of(gap), signed=True)}\n'
              f'{worded(gap.verdicts[x.name], x.of(gap))}' for x in COMPARED)))
          for gap in results.differences if gap.method == method])
       for method in methods])
