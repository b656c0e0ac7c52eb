"""Turns `results.json` into a page for a browser."""

from __future__ import annotations

from collections.abc import Mapping

from rum_jax.evaluation import FIGURES, Results, Summary, winner
from rum_jax.evaluation.results import ACCURACIES, COMPARED
from rum_jax.reporting import details, markup
from rum_jax.reporting._findings import comparisons, findings, worded
from rum_jax.reporting.markup import Line, section
from rum_jax.reporting.vocabulary import by_method, called, counted, duration
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
    results: of a run with groups of low, medium and high memorization;
      figures may be NaN.
    pictures: SVG by the name of the function of `plots` that drew it; what is
      missing is left out.
  """
  recipe = results.recipe

  def drawn(key: str, caption: str) -> str:
    return markup.figure(pictures.get(key, ''), caption)

  return markup.document(
      f'Machine unlearning by refinement: {recipe.dataset}, '
      f'{recipe.network}', _what_was_run(results),
      *_warnings(results),
      section('Findings', markup.items(findings(results)),
              _comparison_table(results), markup.paragraph(
                  _CAUTION.format(margin=results.margin), 'note')),
      section('Every method', _main_table(results), _kept_table(results), *(
          markup.paragraph(x, 'note') for x in losses(results.rows))),
      section('Closeness to retraining', drawn(
          'tow_by_method', 'ToW of every method. Small dots are seeds, large '
          'marks their mean with its 95 % confidence interval; the bands are '
          'those of doing nothing and of another oracle.')),
      section('What was forgotten', _group_table(results), drawn(
          'memorization_histogram',
          f'{score_name(results).capitalize()} of all '
          'training examples; in colour, the groups of the forget set.'), drawn(
          'examples', 'Examples of each group, from its first to its last '
          'row, with the label that was trained on, what it truly is where '
          f'that label was made wrong, and the {score_name(results)}.')),
      section('Closeness by memorization', drawn(
          'tow_by_group', 'ToW with one group alone as the forget set: how '
          'close each method comes on low, medium and high memorization.'),
              _accuracy_table(results)),
      section('Where the groups lie', drawn(
          'embedding', 'Features of the first original model on their first '
          'two principal components; retained examples in grey.')),
      section('Cost', drawn(
          'cost', 'Seconds of each method over those of retraining; '
          'compilation, tuning and what is needed beforehand are left out.'),
              _cost_table(results)),
      section('Paired differences', _difference_table(results)),
      section('How it was made', *details.details(results)),
      section('What the words mean', markup.terms(MEANINGS)))


def _warnings(results: Results) -> list[str]:
  """What has to be known before any table; nothing where all is well."""
  lost = [x for x in losses(results.rows) if x.startswith('‡')]
  if not results.warnings and not lost:
    return []
  return [section('Read this first', markup.items([*results.warnings, *lost]))]


def _what_was_run(results: Results) -> str:
  recipe, count = results.recipe, results.examples
  sizes = [results.groups[group].size for group in GROUPS]
  wrong = len(results.corrupted)
  made = (f', {wrong:,} of which ({100 * recipe.corrupt:.3g} %) were given '
          'a wrong label' if wrong else '')
  networks = counted(len(results.seeds), 'network')
  return (f'{networks} ({recipe.network}) trained on '
          f'{counted(count.train, "example")} of '
          f'{recipe.dataset}{made}, and made to forget {sum(sizes):,} of '
          f'them: {sizes[0]:,} of low, {sizes[1]:,} of medium and '
          f'{sizes[2]:,} of high {score_name(results)}. Each method of '
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
          *(figure(x.of(row)) for x in FIGURES),
          duration(row.seconds.mean)), kind))
    bodies.append((heading, lines))
  oracle = [figure(x.of(results.oracle)) for x in ACCURACIES]
  bodies[:0] = [('', [Line(('Oracle', *[''] * len(COMPARED), *oracle, duration(
      results.oracle.seconds)), 'aside')])]
  return markup.table(
      'Mean ± half of the 95 % confidence interval; accuracy on the forget, '
      'retain and test sets; seconds a seed. “best” has the highest mean ToW '
      'of all rows but the controls, which are matched and shuffle.',
      ('', *(x.title for x in COMPARED),
       *(x.title.capitalize() for x in ACCURACIES), 'Seconds'),
      bodies)


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
      'What a row costs. Beforehand: the scores that the groups are chosen by, '
      'and the search for a setting; both in units of one retraining, which '
      f'took {duration(one)} s.',
      ('', 'Seconds', 'Seconds to compile', 'Scores beforehand', 'Tuning'),
      [(heading, [Line((
          called(row.variant) if heading else name(row),
          duration(row.seconds.mean), duration(row.compile_seconds),
          retrainings(row.beforehand_seconds, one),
          retrainings(row.tuning_seconds, one)))
                  for row in rows if row.variant != 'reference'])
       for heading, rows in by_method(results.rows)
       if rows[0].variant != 'reference'])


def _comparison_table(results: Results) -> str:
  if not results.sound:
    return ''
  return markup.table(
      'Differences in ToW, paired by seed.',
      ('', 'Minus', 'ToW', 'Verdict'),
      [('', [Line((x.what, x.minus, figure(x.tow, signed=True), x.verdict))
             for x in comparisons(results)])], 'words')


def _group_table(results: Results) -> str:
  lines = [
      Line((group, f'{about.size:,}', f'{about.corrupted:,}',
            shown(about.mean_score), _entanglement(about.es),
            figure(results.oracle.groups[group])))
      for group, about in results.groups.items()]
  return markup.table(
      'The groups of the forget set. ES, the entanglement score, is the spread '
      'of a group and of the retain set over the distance of their means, in '
      'the features of the original model: high means hard to tell apart.',
      ('', 'Examples', 'Wrong labels', f'Mean {score_name(results)}', 'ES',
       'Oracle’s accuracy'), [('', lines)])


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
