"""Turns `evidence.json` into a page for a browser and a printer.

The first two printed pages are for a person who has to decide, and who is no
engineer: the answer, what was done, the figures, and what limits them. The rest
is an appendix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import math

from rum_jax import records
from rum_jax.audits import Evidence, Measured, Measures, Part, verdicts
from rum_jax.audits.evidence import Judged
from rum_jax.audits.measures import After, Comparison
from rum_jax.audits.verdicts import Check
from rum_jax.reporting import markup
from rum_jax.reporting.markup import Cell, Line, Number, section
from rum_jax.reporting.vocabulary import called, counted, duration, listed
from rum_jax.reporting.vocabulary import MEANINGS, shown

# No trace found is no yes, so it has no colour.
_KINDS = {verdicts.YES: 'good', verdicts.NO_TRACE: 'plain', verdicts.NO: 'bad',
          verdicts.TRACES: 'bad', verdicts.UNKNOWN: 'open'}
_ROWS_SHOWN = 60
_GLOSSARY = {
    'Forgotten rows': 'the examples that the model was asked to forget.',
    'Retained rows': 'all other examples that it was trained on.',
    'Held-out examples': 'examples that no model here was trained on. A model '
                         'that knows nothing of the forgotten rows treats them '
                         'like held-out examples of the same classes.',
    'Original, unlearned': 'the model before, and after it was made to forget.',
    'Retrained': 'trained again from the start without the forgotten rows: '
                 'what unlearning should come to.',
    'Confidence': 'the probability that a model gives to the true label.',
    'AUC of the attack': 'how often a model is more confident in a forgotten '
                         'row than in a held-out example of the same class. '
                         '0.5 is a coin toss: the two cannot be told apart. 1 '
                         'gives all forgotten rows away, and so does 0.',
    'TPR at 1 % FPR': 'the share of forgotten rows that an attacker finds who '
                      'accuses 1 % of innocent examples by mistake. Where '
                      'there are too few held-out examples for that, the '
                      'share that he really accuses is given.',
    'Fine-tuning on the retained rows alone':
        'a few steps of ordinary training without the forgotten rows. Where '
        'that brings them back, they had only been hidden.',
    'Batch-norm check': 'one pass of retained rows through the network that '
                        'changes no weight, only the averages that batch-norm '
                        'keeps. Where that brings forgotten rows back, they '
                        'had only been hidden.',
    '95 % interval': 'where the figure would lie in 95 of 100 repetitions with '
                     'other examples and other models. With one model it '
                     'counts examples alone.',
    'Would be shown': 'the smallest difference that so many models and '
                      'examples would show in 80 % of cases.'}


def evidence_page(evidence: Evidence, pictures: Mapping[str, str]) -> str:
  """One HTML page that holds all evidence and needs no other file.

  Args:
    evidence: what `evidence.json` holds.
    pictures: SVG by the name of the function of `figures.evidence` that drew
      it, for the part with the worst verdict; with a part's name and a dot
      before it for other parts. What is missing is left out. `forgotten`
      shows the forgotten rows themselves: give it only where a person asked for
      it.
  """
  first, *others = evidence.worst_first

  def drawn(key: str, caption: str) -> str:
    return markup.figure(pictures.get(key, ''), caption)

  return markup.document(
      f'What the model still shows of {_forgotten(evidence, first)}',
      _lead(evidence),
      _first_screen(first, evidence.written,
                    drawn('confidences', _caption(first))),
      *([markup.paragraph(str(evidence.judged))] if evidence.judged else []),
      *(markup.paragraph(
          f'{_which(evidence, part)}: {part.verdict.answer}; see the appendix.')
        for part in others),
      markup.paragraph(first.verdict.caveat, 'note'),
      _cautions(evidence),
      section('What was done', _facts(evidence)),
      section('The figures',
              _table(first, evidence.written, evidence.judged), drawn(
                  'checks', 'What was judged. A line is an interval, a grey '
                  'band is where it should lie as a whole; what lies outside '
                  'is orange.')),
      section('Appendix: every check', _checks_table(first), _rule(first),
              kind='appendix'),
      *(_other(evidence, part, drawn(
          f'{part.name}.confidences', _caption(part))) for part in others),
      section('Appendix: the attack at low false positive rates',
              _rates_table(first)),
      section('Appendix: rows and files', _rows(evidence), drawn(
          'forgotten', 'Forgotten rows, shown because it was asked for.')),
      section('Appendix: settings and versions', _versions(evidence)),
      section('What the words mean', markup.terms({
          **_GLOSSARY, '±': MEANINGS['±']})))


def _lead(evidence: Evidence) -> str:
  request = evidence.request
  made = called(request.method)
  new = _all_rows(evidence, evidence.parts[0])
  earlier = sum(len(x.rows) for x in request.earlier)
  again = (f', besides {counted(earlier, "row")} of '
           f'{counted(len(request.earlier), "earlier request")}'
           if request.earlier else '')
  count = (evidence.judged.all_held_out if evidence.judged else
           evidence.held_out)
  held_out = (counted(count, 'held-out example') if count else
              'no held-out examples')
  return (f'{request.network} on {request.data}: {counted(new, "row")} '
          f'forgotten by {made}{again}; {evidence.retain:,} retained; '
          f'{held_out}.')


def _all_rows(evidence: Evidence, part: Part) -> int:
  """The number of rows that a part stands for, judged or not."""
  judged = evidence.judged
  return part.size + (judged.all_rows - judged.rows if judged else 0)


def _forgotten(evidence: Evidence, part: Part) -> str:
  return counted(_all_rows(evidence, part), 'forgotten row')


def _which(evidence: Evidence, part: Part) -> str:
  """The rows of a part, where there are several parts."""
  rows = _forgotten(evidence, part)
  if part.name == 'all':
    return f'All {rows}, those of earlier requests included'
  return f'The {rows} of this request alone'


def _first_screen(part: Part, written: int | None, picture: str) -> str:
  verdict = part.verdict
  return markup.verdict(
      verdict.question, verdict.answer.capitalize(), _KINDS[verdict.answer],
      _sentence(part), _numbers(part, written), verdict.reason, picture)


def _sentence(part: Part) -> str:
  """The answer as one sentence that stands alone."""
  rows, answer = counted(part.size, 'row'), part.verdict.answer
  if part.name == 'all':
    rows = f'all {rows} of this request and earlier ones'
  looked = counted(len(part.verdict.checks), 'check')
  found = [x for x in part.verdict.checks if x.outcome == 'found']
  if answer == verdicts.TRACES and all(x.value < x.expected[0] for x in found):
    return (f'The unlearned model treats {rows} unlike new examples: it is '
            'less confident in them. It forgot too much, or these rows are '
            'harder; retrained models would tell which.')
  return {
      verdicts.YES: f'On {rows}, the unlearned model behaves as if it had been '
                    'retrained without them, within the stated margins.',
      verdicts.NO: f'On {rows}, the unlearned model does not behave as if it '
                   'had been retrained without them.',
      verdicts.UNKNOWN: f'What was measured on {rows} does not decide.',
      verdicts.TRACES: f'The unlearned model still shows traces of {rows}.',
      verdicts.NO_TRACE: f'{looked.capitalize()} found no trace of {rows} in '
                         'the unlearned model.'}[answer]


def _numbers(part: Part, written: int | None) -> list[Number]:
  rest = ('held_out_accuracy' if part.unlearned.held_out_accuracy else
          'retain_accuracy')
  where = ('held-out examples' if rest == 'held_out_accuracy' else
           'the retained rows')
  numbers = [_number(part, written, lambda x: x.forget_accuracy,
                     'accuracy on the forgotten rows', percent=True),
             _number(part, written, lambda x: getattr(x, rest),
                     f'accuracy on {where}', percent=True)]
  if part.unlearned.attack is not None:
    numbers.append(_number(
        part, written, lambda x: x.attack and x.attack.auc,
        'AUC of the attack (0.5: not told apart)'))
  return numbers


def _number(part: Part, written: int | None, of, meaning: str,
            percent: bool = False) -> Number:
  form = _percent if percent else shown
  low, high = (0.0, 1.0)
  value: Measured = of(part.unlearned)
  ends = [form(min(max(x, low), high)) for x in (value.low, value.high)]
  others = [f'before {form(of(part.original).mean)}']
  if part.unlearned.models > 1:
    others.insert(0, f'mean of {part.unlearned.models} copies')
  if written is not None:
    others.insert(1, f'the written copy {form(value.values[written])}')
  if part.retrained is not None and of(part.retrained) is not None:
    others.append(f'retrained {form(of(part.retrained).mean)}')
  return Number(form(value.mean), f'{ends[0]} to {ends[1]}', meaning,
                tuple(others))


def _percent(share: float) -> str:
  return (f'{100 * share:.1f}\N{NO-BREAK SPACE}%' if math.isfinite(share) else
          '–')


def _caption(part: Part) -> str:
  held_out = ('beside held-out examples of the same classes'
              if part.histogram.held_out else '')
  models = counted(part.unlearned.models, 'unlearned model')
  return (f'How confident the models are in the forgotten rows {held_out}: '
          'where the two lie on each other, nobody can tell them apart. '
          + ('Means over ' if part.unlearned.models > 1 else 'It is ')
          + f'{models}.').replace('  ', ' ').replace(' :', ':')


def _cautions(evidence: Evidence) -> str:
  """What limits the answer."""
  said = [*evidence.worst_first[0].verdict.cautions, *evidence.request.notes]
  part = evidence.worst_first[0]
  if part.without_held_out:
    said.append(f'No held-out example is of {listed(part.without_held_out)}: '
                'the attack leaves the rows of these classes out.')
  if part.unlearned.models == 1:
    said.append('There is one unlearned model, so the intervals count '
                'examples alone.')
  if evidence.batch_norm is False:
    said.append('The network has no batch-norm: that check is not '
                'applicable.')
  elif part.unlearned.recalibrated is None:
    said.append('The batch-norm check was not run.')
  if part.unlearned.relearned is None:
    said.append('The check by fine-tuning on the retained rows was not run.')
  if evidence.held_out and part.retrained is None:
    said.append('Nothing was retrained, so one cannot say what a model without '
                'these rows would show.')
  return section('What limits this answer', markup.items(said)) if said else ''


def _facts(evidence: Evidence) -> str:
  request = evidence.request
  files = {}
  for name, file in (('Weights in', request.weights_in),
                     ('Weights out', request.weights_out)):
    if file is not None:
      files[name] = f'{file.name} (SHA-256 {file.sha256[:16]}…)'
  seconds = {f'Time: {name}': f'{duration(x)} s'
             for name, x in request.seconds.items()}
  return markup.facts({
      'Rows': f'{len(request.rows):,} ({request.described})',
      'Data': request.data, **files, 'When': request.date,
      'Method': called(request.method) + _settings(request.setting),
      'Copies': f'{counted(len(request.seeds), "seed")}'
                + (', the first of which was written'
                   if request.weights_out and len(request.seeds) > 1 else ''),
      **seconds, 'Command': request.command})


def _settings(setting: Mapping[str, object]) -> str:
  return (f' ({", ".join(f"{k} {v}" for k, v in setting.items())})'
          if setting else '')


def _columns(part: Part) -> list[tuple[str, Measures]]:
  columns = [('Unlearned', part.unlearned), ('Original', part.original)]
  if part.retrained is not None:
    columns.insert(1, ('Retrained', part.retrained))
  return columns


def _table(part: Part, written: int | None, judged: Judged | None = None
           ) -> str:
  """Every figure: unlearned, retrained, original."""
  columns, models = _columns(part), part.unlearned.models
  rows = [('Accuracy: forgotten rows', lambda x: x.forget_accuracy),
          ('Accuracy: retained rows', lambda x: x.retain_accuracy),
          ('Accuracy: held-out', lambda x: x.held_out_accuracy),
          ('AUC of the attack', lambda x: x.attack and x.attack.auc)]
  for kind, title in (('relearned', 'after fine-tuning'),
                      ('recalibrated', 'after batch-norm check')):
    rows += [
        (f'Accuracy: forgotten rows {title}', lambda x, k=kind: _after(
            x, k, lambda after: after.forget_accuracy)),
        (f'AUC {title}', lambda x, k=kind: _after(
            x, k, lambda after: after.attack and after.attack.auc))]
  lines = []
  figures = [(title, [of(measures) for _, measures in columns])
             for title, of in rows]
  if judged is not None:
    figures.insert(1, (
        'Accuracy: all rows of this request, with the half of the search',
        [judged.forget_accuracy[name.lower()] for name, _ in columns]))
  for title, values in figures:
    if any(values):
      first = values[0]
      one = () if written is None else (
          '–' if first is None else shown(first.values[written]),)
      lines.append(Line((title, _cell(first), *one, *map(_cell, values[1:]))))
  if part.same_prediction is not None:
    lines.append(Line(('Forgotten rows predicted as before',
                       _cell(part.same_prediction),
                       *([] if written is None else [
                           shown(part.same_prediction.values[written])]),
                       *[''] * (len(columns) - 1))))
  first, *others = (name for name, _ in columns)
  if models > 1:
    first += f', mean of {models} copies'
  return markup.table(
      'Means with 95 % intervals over examples and models.',
      ('', first, *([] if written is None else ['The written copy']), *others),
      [('', lines)])


def _after(measures: Measures, kind: str, of) -> Measured | None:
  after: After | None = getattr(measures, kind)
  return None if after is None else of(after)


def _cell(value: Measured | None) -> str | Cell:
  if value is None:
    return '–'
  low, high = (min(max(x, 0.0), 1.0) for x in (value.low, value.high))
  text = f'{shown(value.mean)}\n{shown(low)} to {shown(high)}'
  return Cell(text, seeds_of(value.values))


def seeds_of(values: Iterable[float]) -> str:
  """What a figure is made of, a line for each model."""
  return '\n'.join(f'model {i + 1}: {shown(x)}'
                   for i, x in enumerate(values))


def _other(evidence: Evidence, part: Part, picture: str) -> str:
  verdict, which = part.verdict, _which(evidence, part)
  return section(
      f'Appendix: {which[0].lower()}{which[1:]}', markup.paragraph(
          f'{verdict.question} {verdict.answer.capitalize()}. '
          f'{verdict.reason}'),
      markup.items(verdict.cautions) if verdict.cautions else '',
      markup.beside(_table(part, evidence.written), picture))


def _checks_table(part: Part) -> str:
  found = part.verdict.checks
  if not found:
    return markup.paragraph('No check could be made.')
  meant = {'inside': 'within', 'outside': 'outside',
           'overlaps': 'cannot tell', 'found': 'trace', 'none': 'no trace'}
  return markup.table(
      'Every check. The interval is judged against what is expected; “would be '
      'shown” is the smallest difference that so many models and examples '
      'show in 80 % of cases.',
      ('', 'Value', 'Outcome', 'Interval', 'Expected', 'Would be shown'),
      [('', [Line((x.name, shown(x.value), meant[x.outcome],
                   f'{shown(x.low)} to {shown(x.high)}', _expected(x),
                   shown(x.smallest) + (
                       f' ({x.sigma:.2f} σ)' if math.isfinite(x.sigma) else
                       ''))) for x in found])])


def _expected(check: Check) -> str:
  low, high = check.expected
  return shown(low) if low == high else f'{shown(low)} to {shown(high)}'


def _rule(part: Part) -> str:
  """The rule of the answer, in words."""
  margins = part.verdict.margins
  if margins is not None:
    rule = (
        'The rule: yes, if the whole 95 % intervals of the differences from '
        'retrained models lie within the margins '
        f'(± {margins.forget_accuracy:g} for the accuracy on the forgotten '
        f'rows, ± {margins.retain_accuracy:g} for that on the retained rows, '
        f'± {margins.held_out_accuracy:g} for that on held-out examples, '
        f'± {margins.auc:g} for the AUC). No, if one of these intervals lies '
        'wholly outside its margin. Otherwise one cannot tell.')
  else:
    rule = (
        'The rule: without retrained models the answer is never yes. A trace '
        'is an AUC whose interval excludes 0.5 on either side, or knowledge '
        'that a check brings back. The intervals are widened for the number '
        'of checks, so that a model without traces is called clean in 95 % of '
        'cases. Where no trace is found, but only a shift of the AUC by more '
        f'than {verdicts.BLIND:g} would have been, one cannot tell; without '
        'held-out examples, the same holds for the rise of accuracy that a '
        'check brings.')
  gaps = [('Unlearned minus original', part.change),
          ('Unlearned minus retrained', part.gap),
          ('Original minus retrained', part.original_gap)]
  return markup.paragraph(rule) + markup.table(
      'Differences with 95 % intervals, on the same examples.',
      ('', 'Forgotten rows', 'AUC', 'Retained rows', 'Held-out'),
      [('', [Line((title, *map(_gap, (
          gap.forget_accuracy, gap.auc, gap.retain_accuracy,
          gap.held_out_accuracy)))) for title, gap in gaps
             if isinstance(gap, Comparison)])])


def _gap(value: Measured | None) -> str | Cell:
  if value is None:
    return '–'
  return Cell(f'{shown(value.mean, signed=True)}\n'
              f'{shown(value.low, signed=True)} to '
              f'{shown(value.high, signed=True)}', seeds_of(value.values))


def _rates_table(part: Part) -> str:
  if part.unlearned.attack is None:
    return markup.paragraph('The attack was not run: there are no held-out '
                            'examples of the same classes.')
  lines = []
  for name, measures in _columns(part):
    if measures.attack is not None:
      for rate in measures.attack.rates:
        lines.append(Line((
            f'{name}, wanted {100 * rate.wanted:g} %', _cell(rate.tpr),
            f'{100 * rate.fpr:.3g} %' if rate.resolved else
            '0 % (too few held-out examples for more)')))
  return markup.table(
      'The share of forgotten rows that an attacker finds (TPR) who accuses '
      'few innocent examples (FPR). '
      f'{counted(part.unlearned.attack.held_out, "held-out example")} of the '
      'same classes.', ('', 'TPR', 'FPR realised'), [('', lines)])


def _rows(evidence: Evidence) -> str:
  request, part = evidence.request, evidence.parts[0]
  some = ', '.join(map(str, request.rows[:_ROWS_SHOWN]))
  more = len(request.rows) - _ROWS_SHOWN
  things = {
      'Rows': some + (f' and {more:,} more' if more > 0 else ''),
      'Hash of the rows': request.rows_hash,
      'Hash of the data': request.data_hash}
  if part.classes:
    things['Classes of the judged rows' if evidence.judged else 'Classes'] = (
        ', '.join(
            f'{name} {count:,}' for name, count in part.classes.items()))
  for name, file in (('in', request.weights_in), ('out', request.weights_out)):
    if file is not None:
      things[f'Weights {name}, SHA-256'] = file.sha256
  for i, x in enumerate(request.earlier):
    things[f'Earlier request {i + 1}'] = (
        f'{x.date}: {counted(len(x.rows), "row")} by {called(x.method)}')
  return markup.terms(things)


def _versions(evidence: Evidence) -> str:
  made = evidence.request.environment
  versions = records.as_json(made.versions)
  return markup.facts({
      'Device': f'{made.device} ({counted(made.devices, "device")})',
      **{name: str(x) for name, x in versions.items()},
      **{f'Setting: {k}': str(v)
         for k, v in evidence.request.setting.items()}})
