"""Turns `results.json` into Markdown, for a README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rum_jax.evaluation import best
from rum_jax.evaluation.statistics import interval
from rum_jax.reporting import findings_on_factors, sentences, text
from rum_jax.reporting._findings import findings
from rum_jax.reporting.vocabulary import by_method, called, counted, duration
from rum_jax.reporting.vocabulary import FIGURES, name, shown
from rum_jax.types import GROUPS

_FIGURES = {**FIGURES, 'test_accuracy': 'test'}


def section(results: Mapping[str, Any], command: str) -> str:
  """The table of a run, what it shows, and where it comes from.

  Args:
    results: what `results.json` holds.
    command: that made them.

  Returns:
    Markdown; the best row is bold.
  """
  made = results['environment']
  lines = [
      f'`{command}`: {results["recipe"]["dataset"]}, '
      f'{results["recipe"]["network"]}, '
      f'{counted(len(results["seeds"]), "seed")}, '
      f'{counted(len(results["corrupted"]), "wrong label")}; on '
      f'{made["device"]} ({counted(made["devices"], "device")}), jax '
      f'{made["versions"]["jax"]}.', '',
      *_table(results), '',
      *(f'* {sentence}' for sentence in findings(results))]
  return '\n'.join(lines)


def _table(results: Mapping[str, Any]) -> list[str]:
  groups = [group for group in GROUPS if group in results['groups']]
  head = ['method', *_FIGURES.values(), *(f'accuracy, {g}' for g in groups),
          'seconds']
  rows = [_cells(('Oracle', *[''] * (len(_FIGURES) - 1),
                  shown(*interval(results['oracle']['test_accuracy'])), *(
                      shown(results['oracle']['groups'][g]['mean'])
                      for g in groups),
                  duration(results['oracle']['seconds'])))]
  first = best(results['rows'])
  for heading, members in by_method(results['rows']):
    for row in members:
      label = f'{heading} {called(row["variant"])}' if heading else name(row)
      cells = [label, *(shown(*interval(row[x])) for x in _FIGURES), *(
          shown(row['groups'][g]['forget_accuracy']['mean']) for g in groups),
               duration(row['seconds']['mean'])]
      if row is first:
        cells = [f'**{cell}**' for cell in cells]
      rows.append(_cells(cells))
  return [_cells(head), _cells(['---'] * len(head)), *rows]


def _cells(values: Sequence[str]) -> str:
  return f'| {" | ".join(values)} |'


def speed(figures: Sequence[Mapping[str, Any]]) -> str:
  """Tables of what benchmarks measured, for each device and precision.

  Args:
    figures: rows with `device` and `precision`: of training steps, which have
      `what`; of single layers, which have `layer`; of algorithms, which have
      `of_its_passes`; and of factors, which have `plain_seconds`; others are
      left out.

  Returns:
    Markdown: steps and layers against PyTorch, algorithms against their passes,
    factors against NumPy.
  """
  devices: dict[Any, list[Mapping[str, Any]]] = {}
  for row in figures:
    devices.setdefault((row['device'], row['precision']), []).append(row)
  parts = []
  for (device, precision), rows in devices.items():
    tables = [table([row for row in rows if kind in row]) for kind, table in (
        ('what', _steps), ('layer', _layers), ('of_its_passes', _works),
        ('plain_seconds', _factors)) if any(kind in row for row in rows)]
    if tables:
      parts += [f'On {device}, {precision}:', *map('\n'.join, tables)]
  return '\n\n'.join(parts)


def _steps(rows: Sequence[Mapping[str, Any]]) -> list[str]:
  return [
      '| network | images | batch | what | µs a model-step | PyTorch | '
      'times as fast | MiB | PyTorch |', '| --- ' * 9 + '|',
      *('| {network} | {image}×{image} | {batch} | {what} | '
        '{microseconds:,.0f} | {torch_microseconds:,.0f} | '
        '{times_as_fast:.2f}'.format(**row) + _spread(row) + ' |' + ''.join(
            f' {row[x]:.0f} |' if x in row else '  |'
            for x in ('mebibytes', 'torch_mebibytes')) for row in rows)]


def _layers(rows: Sequence[Mapping[str, Any]]) -> list[str]:
  return [
      '| layer, one core | images | µs | PyTorch | times as fast | '
      'as XLA’s own in a loop | outside |', '| --- ' * 7 + '|',
      *('| {layer} | {pixels}×{pixels} | {microseconds:,.0f} | '
        '{torch_microseconds:,.0f} | {times_as_fast:.2f}'.format(**row)
        + _spread(row) + ' | {loop:.1f} | {once:.1f} |'.format(**row)
        for row in rows)]


def _spread(row: Mapping[str, Any]) -> str:
  """The range of what was measured more than once."""
  low, high = row['from_to']
  return f' ({low:.2f}–{high:.2f})' if low < high else ''


def _works(rows: Sequence[Mapping[str, Any]]) -> list[str]:
  works = {(row['method'], row['network']): row for row in rows}
  networks = list(dict.fromkeys(network for _, network in works))
  return [
      '| method | ' + ' | '.join(f'{n}: epochs | of its passes'
                                 for n in networks) + ' |',
      '| --- ' * (1 + 2 * len(networks)) + '|',
      *(f'| `{method}` | ' + ' | '.join(
          _work(works.get((method, n))) for n in networks) + ' |'
        for method in dict.fromkeys(m for m, _ in works))]


def _work(row: Mapping[str, Any] | None) -> str:
  return f'{row["epochs"]:.1f} | {row["of_its_passes"]:.2f}' if row else ' | '


def _factors(rows: Sequence[Mapping[str, Any]]) -> list[str]:
  return ['| factor, one core | seconds | NumPy | times as fast |',
          '| --- ' * 4 + '|',
          *('| {factor} | {seconds:.2f} | {plain_seconds:.2f} | '
            '{times_as_fast:.1f} |'.format(**row) for row in rows)]


def difficulty_answers(found: Mapping[str, Any], command: str) -> str:
  """What `difficulty.json` says of each factor, as lists.

  Args:
    found: what it holds.
    command: that made it.
  """
  lines = [_made(found, command)]
  for factor, x in found['factors'].items():
    said = findings_on_factors.answer(x['rows'], factor)
    lines += ['', f'By {factor}:', '', *(f'* {sentence}' for sentence in said)]
  return '\n'.join(lines)


def sensitivity_answers(found: Mapping[str, Any], command: str) -> str:
  """What `sensitivity.json` says, as a list; arguments as above."""
  said = findings_on_factors.paragraph(found['variations'])
  return '\n'.join([_made(found, command), '', *(f'* {x}' for x in said)])


def _made(found: Mapping[str, Any], command: str) -> str:
  return (f'`{command}`: {counted(found["recipe"]["seeds"], "seed")}, jax '
          f'{found["environment"]["versions"]["jax"]}.')


def entanglement(found: Mapping[str, Any], command: str) -> str:
  """The sets that were measured, of each kind, as a table.

  Args:
    found: what `entanglement.json` holds.
    command: that made it.
  """
  lines = [_made(found, command), '',
           _cells(('sets', 'level', 'ES', 'memorization', 'MMD²')),
           _cells(['---'] * 5)]
  for kind in ('by_entanglement', 'released', 'by_memorization'):
    for level, figures in found.get(kind, {}).items():
      es, memorized, mmd = (
          interval(figures[x]) for x in ('es', 'memorization', 'mmd_median'))
      lines.append(_cells((
          kind.replace('_', ' '), level, f'{es.mean:.1f} ± {es.ci95:.1f}',
          shown(*memorized), f'{mmd.mean:.4f} ± {mmd.ci95:.4f}')))
  of_examples, of_groups = (shown(*interval(found[
      f'rank_correlation_of_{x}'])) for x in ('examples', 'groups'))
  return '\n'.join([*lines, '', (
      'Spearman correlation with memorization: of the distance of an example '
      f'to the mean {of_examples}, of the ES of a group {of_groups}.')])


def proxies(found: Mapping[str, Any], command: str) -> str:
  """How well proxies of memorization agree with it, as a table.

  Args:
    found: what `proxies.json` holds.
    command: that made it.
  """
  *table, caption = text.proxy_table(found)
  return '\n'.join([
      _made(found, command), '', '```', *table, '```', '', caption])


def memorization(found: Mapping[str, Any], command: str) -> str:
  """How far estimated scores can be relied on: what to put on a model card.

  Args:
    found: what `memorization.json` holds.
    command: that made it.
  """
  recipe = found['identity']
  lines = [f'`{command}`: {recipe["dataset"]}, {recipe["network"]}, '
           f'{found["models"]} models of {recipe["epochs"]} epochs on '
           f'{recipe["subset"]:.0%} of the examples.', '',
           *(f'* {x.strip()}' for x in sentences.lines(found)), '',
           _cells(('models', 'Spearman of halves', 'of all models',
                   *(f'share of {x}' for x in GROUPS))),
           _cells(['---'] * 6)]
  if 'compared' in found:
    other = found['compared']
    lines.insert(-3, f'* {sentences.agreement_line(other["with"], other)}; '
                 f'order {other["order"]}')
  return '\n'.join(lines + [
      _cells((str(x['models']), *(shown(x[k]) for k in (
          'spearman', 'corrected', *GROUPS)))) for x in found['convergence']])
