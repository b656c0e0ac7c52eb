"""Several methods on one request: a table, a page, and rows for a CSV file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import csv
import io
import math

import numpy as np

from rum_jax.audits import Evidence, Measures, Part
from rum_jax.evaluation import tug_of_war
from rum_jax.evaluation.statistics import Summary, summary
from rum_jax.reporting import markup
from rum_jax.reporting.markup import Line, section
from rum_jax.reporting.text import aligned
from rum_jax.reporting.vocabulary import counted, duration, figure, shown

_UNTUNED = '*'
_NONE = '–'
_NOTE = ('* The settings follow the papers and were not tuned on these data: '
         'others may do better.')
_HEAD = ('method', 'forget', 'retain', 'held-out', 'AUC', 'ToW', 'seconds',
         'answer')


def methods_text(found: Mapping[str, Evidence], tuned: Sequence[str] = ()
                 ) -> str:
  """The table of several methods for a terminal.

  Args:
    found: the evidence of each method, by its name, on the same request.
    tuned: the methods whose settings were given.
  """
  lines = _lines(found, tuned)
  notes = [_NOTE] if set(found) - set(tuned) else []
  return '\n'.join([*aligned(lines), *notes])


def methods_csv(found: Mapping[str, Evidence], tuned: Sequence[str] = ()
                ) -> str:
  """A row for each copy of each method, as CSV.

  Args:
    found: the evidence of each method, by its name.
    tuned: the methods whose settings were given.
  """
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(['method', 'seed', 'tuned', 'forget_accuracy',
                   'retain_accuracy', 'held_out_accuracy', 'auc', 'tow',
                   'seconds'])
  for name, evidence in found.items():
    part = evidence.parts[-1]
    columns = [_of(part.unlearned, x) for x in
               ('forget_accuracy', 'retain_accuracy', 'held_out_accuracy')]
    columns += [_auc(part.unlearned), _tow(part)]
    for i, seed in enumerate(sorted(evidence.request.seeds)):
      writer.writerow([name, seed, name in tuned, *(
          '' if x is None else f'{x.values[i]:.6g}' for x in columns),
          evidence.request.seconds.get('unlearning', '')])
  return text.getvalue()


def methods_page(found: Mapping[str, Evidence], tuned: Sequence[str] = ()
                 ) -> str:
  """One HTML page on several methods.

  Args:
    found: the evidence of each method, by its name, on the same request.
    tuned: the methods whose settings were given.
  """
  first = next(iter(found.values()))
  head, *rows = _lines(found, tuned)
  head = [x if x.isupper() or x == 'ToW' else x.capitalize() for x in head]
  rows = [Line(cells) for cells in rows]
  answers = [f'{name}: {x.verdict.answer}. {x.verdict.reason}'
             for name, x in found.items()]
  notes = [markup.paragraph(_NOTE, 'note')] if set(found) - set(tuned) else []
  return markup.document(
      f'{counted(len(found), "method")} on '
      f'{counted(len(first.request.rows), "row")} of {first.request.data}',
      f'The same network, the same rows and the same data. '
      f'{first.verdict.question}',
      section('The figures', markup.table(
          'Accuracies, and the AUC of an attack that knows held-out examples '
          '(0.5 where it cannot tell). ' + (
              'ToW is against the retrained networks (1 is best). '
              if 'ToW' in head else '') +
          'Means over copies with half of the 95 % confidence interval.',
          head, [('', rows)]), *notes),
      section('The answers', markup.items(answers),
              markup.paragraph(first.verdict.caveat, 'note')),
      section('What was done', markup.facts({
          'Rows': f'{len(first.request.rows):,} ({first.request.described})',
          'Network': first.request.network, 'Data': first.request.data,
          'When': first.request.date,
          'Copies': counted(len(first.request.seeds), 'seed'),
          **{name: ', '.join(
              f'{k} {v}' for k, v in x.request.setting.items()) or 'no settings'
             for name, x in found.items()},
          'Command': first.request.command})))


def _lines(found: Mapping[str, Evidence], tuned: Sequence[str]
           ) -> list[tuple[str, ...]]:
  """Head and rows of the table, without columns that hold nothing."""
  rows = [*_references(found),
          *(_cells(name, x, name in tuned) for name, x in found.items())]
  kept = [i for i in range(len(_HEAD)) if any(x[i] != _NONE for x in rows)]
  return [tuple(x[i] for i in kept) for x in (_HEAD, *rows)]


def _references(found: Mapping[str, Evidence]) -> list[tuple[str, ...]]:
  """Doing nothing, and the retrained networks."""
  part = next(iter(found.values())).parts[-1]
  lines: list[tuple[str, ...]] = [
      ('do nothing', *_figures(part.original), _shown(_tow(
          part, part.original)), _NONE, '')]
  if part.retrained is not None:
    seconds = next(iter(found.values())).request.seconds.get('retraining')
    lines.append(('retrained', *_figures(part.retrained),
                  '1' if part.retrained.held_out_accuracy else _NONE,
                  _NONE if seconds is None else duration(seconds), ''))
  return lines


def _cells(name: str, evidence: Evidence, tuned: bool) -> tuple[str, ...]:
  part = evidence.parts[-1]
  return (name + ('' if tuned else _UNTUNED), *_figures(part.unlearned),
          _shown(_tow(part)),
          duration(evidence.request.seconds.get('unlearning', float('nan'))),
          evidence.verdict.answer)


def _figures(measures: Measures) -> tuple[str, ...]:
  return tuple(_shown(x) for x in (
      *(_of(measures, name) for name in (
          'forget_accuracy', 'retain_accuracy', 'held_out_accuracy')),
      _auc(measures)))


def _of(measures: Measures, name: str) -> Summary | None:
  return getattr(measures, name)


def _auc(measures: Measures) -> Summary | None:
  return None if measures.attack is None else measures.attack.auc


def _shown(value: Summary | None) -> str:
  if value is None:
    return _NONE
  return figure(value) if math.isfinite(value.ci95) else shown(value.mean)


def _tow(part: Part, measures: Measures | None = None) -> Summary | None:
  """ToW of each copy, against the mean of the retrained networks."""
  measures = measures or part.unlearned
  if measures.held_out_accuracy is None:
    return None
  truth = part.retrained
  if truth is None or truth.held_out_accuracy is None:
    return None
  pairs = ((measures.forget_accuracy, truth.forget_accuracy),
           (measures.retain_accuracy, truth.retain_accuracy),
           (measures.held_out_accuracy, truth.held_out_accuracy))
  gaps = [np.asarray(x.values) - y.mean for x, y in pairs]
  return summary(np.asarray(tug_of_war(*gaps), float))
