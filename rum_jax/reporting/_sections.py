"""Sections of a page on what commands measure beside the main job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from typing import Any

from rum_jax import reporting
from rum_jax.entanglement.measures import EntanglementFile, SetFigures
from rum_jax.evaluation.difficulty import Difficulty, FactorRow, Sensitivity
from rum_jax.evaluation.results import Origin
from rum_jax.memorization.comparison import ProxiesFile
from rum_jax.memorization.reliability import MemorizationFile
from rum_jax.recipes.settings import Search, TunedSettings
from rum_jax.reporting import difficulty_findings, markup, sentences
from rum_jax.reporting.markup import Line, section
from rum_jax.reporting.vocabulary import called, counted, duration, figure
from rum_jax.reporting.vocabulary import listed, name, shown
from rum_jax.types import GROUPS


def difficulty(record: Difficulty) -> list[str]:
  """Whether memorization and entanglement make a forget set hard."""
  sections = [_made(record)]
  for factor, part in record.factors.items():
    *others, whole = difficulty_findings.answer(part.rows, factor)
    sections.append(section(
        f'Is a forget set harder with more {factor}?',
        markup.items([whole, *others]), markup.beside(
            _levels(part.rows), markup.figure(
                reporting.figures.tow_by_group(part.rows, factor),
                f'ToW on the forget set of each level of {factor}.'))))
  return sections


def sensitivity(record: Sensitivity) -> list[str]:
  """How far the answer on entanglement depends on choices."""
  rows = [Line((difficulty_findings.label(x), *(
      figure(x.es[level]) for level in GROUPS))) for x in record.variations]
  return [_made(record), section(
      'Does the choice of a level depend on how it is made?',
      markup.items(difficulty_findings.paragraph(record.variations)),
      markup.beside(markup.table(
          'ES of each level, by the features of the reference.',
          ('', *map(str.capitalize, GROUPS)), [('', rows)]), markup.figure(
              reporting.figures.sensitivity_of_entanglement(record.variations),
              'Left: how much of the sets of the reference a choice keeps. '
              'Right: the change of ToW from low to high.')))]


def entanglement(record: EntanglementFile) -> list[str]:
  """The sets of low, medium and high entanglement."""
  kinds: list[tuple[str, Mapping[str, SetFigures]]] = [
      ('by entanglement', record.by_entanglement),
      ('released', record.released or {}),
      ('by memorization', record.by_memorization)]
  bodies = [(kind, [Line((
      level, figure(x.es), figure(x.memorization), figure(x.mmd_median)),
      '', f'{kind}, {level}') for level, x in sets.items()])
            for kind, sets in kinds if sets]
  return [_made(record), section(
      'Entanglement of forget sets', markup.paragraph(
          'Rank correlation with memorization: of the distance of an example '
          f'to the mean {figure(record.rank_correlation_of_examples)}, of the '
          f'ES of a group {figure(record.rank_correlation_of_groups)}.'),
      markup.table(
          'Means over seeds with half of the 95 % confidence interval. MMD² '
          'has the median distance as the width of its kernel.',
          ('', 'ES', 'Memorization', 'MMD²'), bodies))]


def memorization(record: MemorizationFile) -> list[str]:
  """How reliable estimated scores of memorization are."""
  made = record.identity
  said = [x.strip() for x in sentences.lines(record)]
  if record.compared:
    said.append(sentences.agreement_line(record.compared.name, record.compared))
  rows = [Line((str(x.models), shown(x.spearman), shown(x.corrected),
                *map(shown, (x.low, x.medium, x.high))))
          for x in record.convergence]
  return [section(
      f'Memorization in {made.dataset} by {made.network}',
      markup.paragraph(
          f'{counted(record.models, "model")} of '
          f'{counted(made.epochs, "epoch")}, each trained on '
          f'{made.subset:.0%} of the examples.'), markup.items(said),
      markup.table(
          'How far the two halves of so many models agree: rank correlation of '
          'the halves, of all models, and the share of each group that both '
          'halves choose.',
          ('Models', 'Halves', 'All', *map(str.capitalize, GROUPS)),
          [('', rows)]))]


def proxies(record: ProxiesFile) -> list[str]:
  """How far proxies agree with memorization."""
  ordered = sorted(record.proxies.items(), key=lambda item: (
      math.isnan(item[1].spearman), -item[1].spearman))
  rows = [Line((proxy.replace('_', ' '), shown(x.spearman), duration(x.seconds),
                shown(x.one_run), *map(shown, (x.low, x.medium, x.high))))
          for proxy, x in ordered]
  whole = (f'{record.models} models of memorization took '
           f'{duration(record.estimate_seconds)} s.'
           if math.isfinite(record.estimate_seconds) else '')
  return [_made(record), section(
      'Proxies of memorization', markup.table(
          'Rank correlation with memorization of the mean of '
          f'{counted(record.runs, "run")} and of one run; seconds of one run, '
          'training included; share of each group of '
          f'{counted(record.group_size, "example")} that memorization chooses, '
          f'too. {whole}',
          ('', 'Correlation', 'Seconds', 'One run',
           *map(str.capitalize, GROUPS)), [('', rows)]))]


def tuned(file: str, record: TunedSettings) -> list[str]:
  """Tuned settings of each method."""
  bodies = [(called(method), [
      Line((called(variant), _setting(setting)), '',
           f'{called(method)} {called(variant)}')
      for variant, setting in variants.items()])
            for method, variants in record.methods.items()]
  if record.rum:
    bodies.append(('RUM', [
        Line((f'{i + 1}: {called(method)}', _setting(setting)), '',
              f'RUM stage {i + 1}: {called(method)}')
        for i, (method, setting) in enumerate(record.rum)]))
  searched: list[tuple[str, Search]] = [
      (called(method), x) for method, x in record.searched.rest.items()]
  if record.searched.rum:
    searched.append(('RUM', record.searched.rum))
  said: dict[str, list[str]] = {}
  for method, x in searched:
    if how := x.criterion or x.source or x.command:
      said.setdefault(how, []).append(method)
  return [section(
      f'Tuned settings in {file}', markup.items(
          f'{listed(methods)}: {how}.' for how, methods in said.items())
      if said else '',
      markup.table('A setting holds for the data, network and forget set that '
                   'it was searched on.', ('', 'Setting'), bodies, 'words'))]


def _setting(setting: Mapping[str, Any]) -> str:
  return ', '.join(f'{key} {value}' for key, value in setting.items()) or '–'


def _levels(rows: Sequence[FactorRow]) -> str:
  return markup.table(
      'ToW on the forget set of each level.',
      ('', *map(str.capitalize, GROUPS)),
      [('', [Line((name(row), *(
          figure(row.groups[level].tow) for level in GROUPS)))
             for row in rows])])


def _made(record: Origin) -> str:
  """Where figures come from, in a sentence."""
  recipe, made = record.recipe, record.environment
  return markup.paragraph(
      f'{recipe.dataset}, {recipe.network}, {counted(recipe.seeds, "seed")}; '
      f'data {record.data_hash[:12]}; on {made.device}, jax '
      f'{made.versions.jax}.', 'note')
