"""Names and explanations of the terms of a report, and formats of figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import math

from rum_jax.evaluation import Results, Row, Summary
from rum_jax.evaluation.difficulty import FactorRow
from rum_jax.evaluation.results import AnyRow, VARIANTS

Entry = tuple[str, Row | None]
NAMES = {
    'do_nothing': 'Do nothing', 'another_oracle': 'Another oracle',
    'identity': 'do nothing', 'finetune': 'Fine-tune', 'l1_sparse': 'L1-sparse',
    'neggrad': 'NegGrad', 'neggrad_plus': 'NegGrad+', 'salun': 'SalUn',
    'random_label': 'Random label', 'scrub': 'SCRUB', 'influence': 'Influence',
    'bad_teacher': 'Bad teacher', 'cf_k': 'CF-k', 'eu_k': 'EU-k', 'ssd': 'SSD',
    'retrain': 'Retrain', 'rum_f': 'RUM^F', 'rum': 'RUM'}
MEANINGS = {
    'Oracle': 'a model retrained from scratch without the examples to forget: '
              'what unlearning should come to.',
    'Memorization': 'how much likelier an example is classified right by '
                    'models that trained on it than by models that did not.',
    'Forget, retain': 'the examples to unlearn, and all other training '
                      'examples; accuracies on them count the labels that '
                      'were trained on, also the wrong ones.',
    'ToW': 'Tug-of-War: the product of 1 − Δ of the forget, the retain and the '
           'test accuracy, Δ the distance from the oracle’s; 1 is the best.',
    'ToW by group': 'the same with the mean Δ of the low, medium and high '
                    'group, so that errors of opposite sign do not cancel.',
    'MIA': 'membership inference attack: guesses from the confidence of a '
           'model whether it trained on an example; its figure is the share of '
           'the forget set that it takes for never seen.',
    'MIA gap': 'how far that share is from the oracle’s; 0 is the best.',
    'ToW-MIA': 'ToW with the MIA gap as the Δ of the forget set.',
    'vanilla': 'one run of a method on the whole forget set.',
    'RUM^F': 'the method run three times: on low, then medium, then high '
             'memorization.',
    'matched': 'vanilla with as many steps as RUM^F has in all.',
    'shuffle': 'as RUM^F, but with three random parts of the forget set.',
    'RUM': 'Refined-Unlearning Meta-algorithm: as RUM^F, with a method of its '
           'own for each group.',
    'Another oracle': 'retrained with other random numbers: as close as '
                      'retraining comes to itself, so a ceiling.',
    '±': 'half of the 95 % confidence interval (Student’s t) of the mean over '
         'seeds.'}


def called(key: str) -> str:
  """The name of a method or a variant in reports."""
  return NAMES.get(key, key)


def score_name(results: Results) -> str:
  """The name of the score that the groups were chosen by."""
  name = results.recipe.refine_by.replace('_', ' ')
  return f'memorization by {name}'.removesuffix(' by memorization')


def name(row: Row | FactorRow) -> str:
  """The name of a row in reports: `SalUn RUM^F`, `RUM`, `Do nothing`."""
  parts = [called(row.method)]
  if row.variant not in ('reference', row.method):
    parts.append(called(row.variant))
  return ' '.join(parts)


def figure(summary: Summary, signed: bool = False) -> str:
  """A figure with its interval as text: `0.950 ± 0.024`."""
  return shown(summary.mean, summary.ci95, signed)


def shown(mean: float, ci95: float | None = None, signed: bool = False) -> str:
  """A number as text: `0.950`, or `–` if it is missing."""
  parts = ['–' if x is None or not math.isfinite(x) else f'{x:{form}}'
           for x, form in ((mean, '+.3f' if signed else '.3f'), (ci95, '.3f'))]
  # Rounding may leave a sign without a value: '-0.000'.
  text = parts[0].replace('-0.000', '0.000').replace('+0.000', '0.000')
  text = text.replace('-', '−')
  return text if parts[0] == '–' or ci95 is None else f'{text} ± {parts[1]}'


def by_seed(summary: Summary, seeds: Sequence[int],
            notes: Mapping[int, str] | None = None) -> str:
  """The value of each seed, a line each.

  Args:
    summary: the summary of a figure.
    seeds: S numbers.
    notes: seed to what is to be said of it, such as that it diverged.
  """
  notes = notes or {}
  return '\n'.join(
      f'seed {seed}: {shown(x)}' + (
          f' ({notes[seed]})' if seed in notes else '')
      for seed, x in zip(seeds, summary.values, strict=True))


def counted(number: int, thing: str) -> str:
  """`1 seed`, `2 seeds`."""
  return f'{number:,} {thing}{"" if number == 1 else "s"}'


def listed(words: Sequence[str]) -> str:
  """`a, b and c`."""
  return ' and '.join(x for x in (', '.join(words[:-1]), *words[-1:]) if x)


def by_method(rows: Iterable[AnyRow]) -> list[tuple[str, list[AnyRow]]]:
  """Rows by method; references and full RUM have no heading."""
  by_name: dict[str, list[AnyRow]] = {'': []}
  for row in rows:
    alone = row.variant == 'reference'
    by_name.setdefault('' if alone else row.method, []).append(row)
  full = by_name.pop('rum', [])
  order = {key: i for i, key in enumerate(VARIANTS)}
  groups = [
      (called(method),
       sorted(members, key=lambda row: order.get(row.variant, len(order))))
      for method, members in by_name.items() if members]
  return groups + ([('', full)] if full else [])


def entries(rows: Iterable[Row]) -> list[Entry]:
  """All rows except the references, with a heading for each method."""
  lines: list[Entry] = []
  for heading, members in by_method(rows):
    lines += [(heading, None)] if heading else []
    lines += [(called(row.variant), row) for row in members
              if row.variant != 'reference']
  return lines


def placed(lines: Iterable[Entry]) -> list[tuple[int, Row]]:
  """The rows among the lines, with their positions."""
  return [(y, row) for y, (_, row) in enumerate(lines) if row]


def duration(seconds: float) -> str:
  """Seconds with three digits."""
  if not math.isfinite(seconds):
    return '–'
  return f'{seconds:.3g}' if seconds < 1000 else f'{seconds:.0f}'


def retrainings(seconds: float, one: float) -> str:
  """A cost in units of retraining: `317 retrainings`, or `not recorded`."""
  if not (math.isfinite(seconds) and one > 0):
    return 'not recorded'
  return f'{seconds / one:.3g} retrainings'


def mark(row: Row, first: Row | None, sound: bool) -> str:
  """The mark of a row.

  It is `*` for the best row, `†` for diverged seeds, `‡` for seeds at chance,
  and `!` if the original or retrained models are not sound.
  """
  if not sound and row.variant != 'reference':
    return '!'
  return ('†' if row.diverged else '‡' if row.collapsed else
          '*' if row is first else '')


def losses(rows: Iterable[Row]) -> list[str]:
  """Sentences on the seeds that diverged, and on those at chance."""
  sentences = []
  for row in rows:
    stages = len(row.setting or ()) or 1
    cases = [f'seed {case.seed} in stage {case.stage + 1} of {stages}'
             for case in row.diverged]
    if cases and row.lost:
      sentences.append(f'† {name(row)}: all {counted(len(cases), "seed")} '
                       'diverged; there is no model.')
    elif cases:
      sentences.append(f'† {name(row)} diverged with {listed(cases)}; its '
                       'figures leave these seeds out, and it is never the '
                       'best row.')
    if row.collapsed:
      seeds = listed([f'seed {seed}' for seed in row.collapsed])
      sentences.append(
          f'‡ {name(row)}: {len(row.collapsed)} of '
          f'{counted(len(row.tow.values), "seed")} collapsed ({seeds}): the '
          'accuracy on the retain set is not above that of a guess. It is '
          'never the best row.')
  return sentences
