"""Results as Markdown, for the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rum_jax.entanglement.measures import EntanglementFile
from rum_jax.evaluation import Results, winner
from rum_jax.evaluation.difficulty import Difficulty, Sensitivity
from rum_jax.evaluation.results import COMPARED, FIGURES, Origin
from rum_jax.memorization.comparison import ProxiesFile
from rum_jax.memorization.reliability import MemorizationFile, Report
from rum_jax.memorization.reliability import ScoresCard
from rum_jax.reporting import difficulty_findings, sentences, text
from rum_jax.reporting._findings import comparisons, findings, overview
from rum_jax.reporting.vocabulary import by_method, called, counted, duration
from rum_jax.reporting.vocabulary import figure, losses, mark, name, shown
from rum_jax.types import GROUPS

_COLUMNS = (*COMPARED, FIGURES[-1])


def section(results: Results, command: str) -> str:
  """The table of a run, its findings, and the command that made it.

  Args:
    results: the results of the run.
    command: the command that made them.

  Returns:
    Markdown; the name and the ToW of the best row are bold.
  """
  made, recipe = results.environment, results.recipe
  lines = [
      f'`{command}`: {recipe.dataset}, {recipe.network}, '
      f'{counted(len(results.seeds), "seed")}, '
      f'{counted(len(results.corrupted), "wrong label")}; on {made.device} '
      f'({counted(made.devices, "device")}), jax {made.versions.jax}.', '',
      *(f'**{x}**\n' for x in results.warnings), *_table(results), '',
      *(f'{x}\n' for x in text.cost_notes(results)),
      *(f'{x}\n' for x in losses(results.rows)), *_differences(results), '',
      *(f'* {sentence}' for sentence in findings(results))]
  return '\n'.join(lines)


def _table(results: Results) -> list[str]:
  groups = [group for group in GROUPS if group in results.groups]
  head = ['method', *(x.title for x in _COLUMNS),
          *(f'accuracy, {g}' for g in groups), 'seconds']
  oracle = results.oracle
  rows: list[Sequence[str]] = [(
      'Oracle', *[''] * len(COMPARED), figure(oracle.test_accuracy),
      *(shown(oracle.groups[g].mean) for g in groups),
      duration(oracle.seconds))]
  first = winner(results)
  for heading, members in by_method(results.rows):
    for row in members:
      label = f'{heading} {called(row.variant)}' if heading else name(row)
      cells = [label, *(figure(x.of(row)) for x in _COLUMNS), *(
          shown(row.groups[g].forget_accuracy.mean) for g in groups),
               duration(row.seconds.mean)]
      sign = mark(row, first, results.sound)
      if sign == '*':
        cells[:2] = [f'**{cell}**' for cell in cells[:2]]
      elif sign:
        cells[0] += f' {sign}'
      rows.append(cells)
  return table(head, rows)


def _differences(results: Results) -> list[str]:
  """All differences in ToW with their verdicts, in a folded section."""
  pairs = comparisons(results) if results.sound else []
  return [
      '<details><summary>Differences in ToW, paired by seed</summary>', '',
      *table(('', 'minus', 'ToW', 'verdict'), (
          (x.what, x.minus, figure(x.tow, signed=True), x.verdict)
          for x in pairs)), '', '</details>'] if pairs else []


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
  """Lines of a table."""
  return [_cells(head), _cells(['---'] * len(head)), *map(_cells, rows)]


def _cells(values: Sequence[str]) -> str:
  return f'| {" | ".join(values)} |'


def summary(runs: Mapping[str, Results]) -> str:
  """The overview of each run, as a list.

  Args:
    runs: name to the results.
  """
  return '\n'.join(f'* `{name}`: {" ".join(overview(run))}'
                   for name, run in runs.items())


def factor_answers(record: Difficulty) -> str:
  """The verdicts on the paper's statements on both factors, as a list."""
  return '\n'.join(
      f'* {difficulty_findings.answer(part.rows, factor)[-1]}'
      for factor, part in record.factors.items())


def difficulty_answers(record: Difficulty, command: str) -> str:
  """The findings on each factor, as lists.

  Args:
    record: the content of `difficulty.json`.
    command: the command that made it.
  """
  lines = [_made(record, command)]
  for factor, part in record.factors.items():
    answers = difficulty_findings.answer(part.rows, factor)
    lines += ['', f'By {factor}:', '', *(f'* {x}' for x in answers)]
  return '\n'.join(lines)


def sensitivity_answers(record: Sensitivity, command: str) -> str:
  """The findings in `sensitivity.json`, as a list."""
  answers = difficulty_findings.paragraph(record.variations)
  return '\n'.join([_made(record, command), '', *(f'* {x}' for x in answers)])


def _made(origin: Origin, command: str) -> str:
  return (f'`{command}`: {counted(origin.recipe.seeds, "seed")}, jax '
          f'{origin.environment.versions.jax}.')


def entanglement(record: EntanglementFile, command: str) -> str:
  """The figures of the sets of each kind, as a table.

  Args:
    record: the content of `entanglement.json`.
    command: the command that made it.
  """
  rows = []
  for kind, sets in (('by entanglement', record.by_entanglement),
                     ('released', record.released or {}),
                     ('by memorization', record.by_memorization)):
    for level, figures in sets.items():
      es, mmd = figures.es, figures.mmd_median
      rows.append((
          kind, level, f'{es.mean:.1f} ± {es.ci95:.1f}',
          figure(figures.memorization), f'{mmd.mean:.4f} ± {mmd.ci95:.4f}'))
  head = ('sets', 'level', 'ES', 'memorization', 'MMD²')
  return '\n'.join([_made(record, command), '', *table(head, rows), '', (
      'Spearman correlation with memorization: of the distance of an example '
      f'to the mean {figure(record.rank_correlation_of_examples)}, of the ES '
      f'of a group {figure(record.rank_correlation_of_groups)}.')])


def proxies(record: ProxiesFile, command: str) -> str:
  """The agreement of proxies with memorization, as a table.

  Args:
    record: the content of `proxies.json`.
    command: the command that made it.
  """
  *lines, caption = text.proxy_table(record)
  return '\n'.join([
      _made(record, command), '', '```', *lines, '```', '', caption])


def memorization(record: MemorizationFile, command: str) -> str:
  """The reliability of estimated scores.

  Args:
    record: the content of `memorization.json`.
    command: the command that made it.
  """
  made, other = record.identity, record.compared
  lines = [f'`{command}`: {made.dataset}, {made.network}, {record.models} '
           f'models of {made.epochs} epochs on {made.subset:.0%} of the '
           'examples.', '',
           *(f'* {x.strip()}' for x in sentences.lines(record))]
  if other:
    lines.append(f'* {sentences.agreement_line(other.name, other)}; order '
                 f'{other.order}')
  return '\n'.join([*lines, '', *_curve(record)])


def scores(record: ScoresCard, command: str) -> str:
  """The card of a score file that comes with the package.

  Args:
    record: the card that `experiments.scores` wrote.
    command: the command that made it.
  """
  return '\n'.join([
      f'`{command}`:', '',
      *(f'* {x.strip()}' for x in sentences.scores_lines(record)), '',
      *_curve(record)])


def _curve(record: Report) -> list[str]:
  """The agreement of the halves for each number of models, as a table."""
  return table(('models', 'Spearman of halves', 'of all models',
                *(f'share of {x}' for x in GROUPS)), (
                    (str(x.models), *map(shown, (
                        x.spearman, x.corrected, x.low, x.medium, x.high)))
                    for x in record.convergence))
