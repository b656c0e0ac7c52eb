"""The last part of the report page: settings, recipe and environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rum_jax import records
from rum_jax.evaluation import Results, Row
from rum_jax.reporting import markup
from rum_jax.reporting.markup import Line
from rum_jax.reporting.vocabulary import called, duration, listed, name


def details(results: Results) -> Iterable[str]:
  """Folded sections: settings, probes of methods, recipe, environment."""
  made = vars(results.environment)
  versions = records.as_json(results.environment.versions)
  kept = {'data hash': results.data_hash,
          'seeds': listed([str(x) for x in results.seeds]),
          **{k: v for k, v in made.items() if k != 'versions'}, **versions}
  lines = [Line((name(row), _setting(row.setting),
                 ' + '.join(map(str, row.steps)),
                 duration(row.compile_seconds)))
           for row in results.rows if row.setting]
  yield markup.folded('Hyper-parameters of each row', markup.table(
      'One line a stage, or one for all where they are the same.',
      ('', 'Setting', 'Steps', 'Seconds to compile'), [('', lines)], 'words'))
  reported = [Line((name(row), text)) for row in results.rows
              if (text := _reported(row))]
  if reported:
    yield markup.folded(
        'What the methods report of themselves', markup.table(
            'Means over seeds, for each stage: the share of the weights of a '
            'layer that SalUn may move, that SSD dampens or that L1-sparse '
            'leaves near 0; how much of its system influence did not solve.',
            ('', 'Reported'), [('', reported)], 'words'))
  yield markup.folded(
      'Recipe', markup.terms(_plain(records.as_json(results.recipe))))
  yield markup.folded('Environment', markup.terms(_plain(kept)))


def _setting(stages: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
  lines = [f'{called(method)}: ' * (method != 'identity') + (', '.join(
      f'{key} {value}' for key, value in values.items()) or 'do nothing')
           for method, values in stages]
  return '\n'.join(lines if len(set(lines)) > 1 else lines[:1])


def _plain(things: Mapping[str, Any]) -> dict[str, str]:
  return {key.replace('_', ' '): '–' if value in (None, '') else str(value)
          for key, value in things.items()}


def _reported(row: Row) -> str:
  """A line for each stage: names and means of the probes of a method."""
  stages = [', '.join(f'{key} {value:.3g}' for key, value in probes.items())
            for probes in row.probes]
  return '\n'.join(filter(None, stages))
