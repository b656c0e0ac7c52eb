"""Writes the tables of the README and other pages from measured results.

  python -m experiments.readme

The blocks of the pages in `PAGES` are filled from `results/`. A block
`<!-- results:NAME -->` comes from `NAME.json`, the `results.json` of a run. A
block `<!-- difficulty:NAME -->` comes from `difficulty_NAME.json`, and likewise
for other kinds. `<!-- speed -->` comes from the files that
`experiments.bench.benchmark --json=results/speed_….json` wrote. The blocks
`<!-- summary -->`, `<!-- factors -->` and `<!-- ratios -->` summarise these.
`<!-- auto -->` comes from `auto.json`.
`<!-- claims -->` says whether the paper's findings hold. `<!-- commands -->`
holds the examples of `rum-jax`. `<!-- methods -->`
comes from the docstrings of the algorithms, `<!-- variants -->` and
`<!-- glossary -->` from the glossary of the report. A test checks that all
blocks are up to date.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator
import functools
import pathlib
import re
import sys
from typing import Any

from experiments.bench import automatic
from rum_jax import algorithms, recipes, records
from rum_jax.commands import _main, app
from rum_jax.entanglement.measures import EntanglementFile
from rum_jax.evaluation import Results
from rum_jax.evaluation.difficulty import Difficulty, Sensitivity, WHOLE
from rum_jax.evaluation.results import TOW
from rum_jax.evaluation.statistics import BETTER, UNKNOWN, WORSE
from rum_jax.memorization.comparison import ProxiesFile
from rum_jax.memorization.reliability import MemorizationFile, ScoresCard
from rum_jax.reporting import _findings, cost, markdown, speed, vocabulary

ROOT = pathlib.Path(__file__).parents[1]
PAGES = ('README.md', *sorted(
    str(path.relative_to(ROOT)) for path in (
        *(ROOT / 'docs').glob('*.md'), *(ROOT / 'docs').glob('*/*.md'))),
         'results/README.md', 'rum_jax/memorization/measured/README.md')
_RUM, _FLAGS = 'python -m experiments.rum', '--flagfile=rum_jax/recipes'
COMMANDS = {
    'digits_mlp': 'make rum',
    'digits_cnn': f'{_RUM} {_FLAGS}/digits_cnn.flags',
    'digits_mlp_all': f'{_RUM} --methods=all',
    'cifar10_small': f'{_RUM} {_FLAGS}/cifar10_small.flags'}
OTHERS: dict[str, tuple[type[Any], Callable[[Any, str], str], str]] = {
    'difficulty': (Difficulty, markdown.difficulty_answers,
                   'python -m experiments.difficulty'),
    'sensitivity': (Sensitivity, markdown.sensitivity_answers,
                    'python -m experiments.sensitivity'),
    'entanglement': (EntanglementFile, markdown.entanglement,
                     'python -m experiments.entangle'),
    'proxies': (ProxiesFile, markdown.proxies,
                'python -m experiments.memorize --validation=0.1 --proxy=all '
                'after the same without --proxy'),
    'memorization': (MemorizationFile, markdown.memorization,
                     'python -m experiments.memorize '
                     '--flagfile=rum_jax/recipes/{name}.flags'),
    'scores': (ScoresCard, markdown.scores,
               'python -m experiments.scores --name={name}'),
    'cost': (cost.Cost, cost.tables, 'python -m experiments.bench.partial')}


def filled(text: str) -> str:
  """A page with its blocks made anew."""
  made = blocks()
  return re.sub(
      r'<!-- ([\w:]+) -->\n.*?<!-- /\1 -->', lambda m: m[0] if
      m[1] not in made else f'<!-- {m[1]} -->\n{made[m[1]]}\n<!-- /{m[1]} -->',
      text, flags=re.S)


@functools.cache
def blocks() -> dict[str, str]:
  """Name to text of all blocks."""
  runs = {name: records.read(Results, ROOT / 'results' / f'{name}.json')
          for name in COMMANDS}
  difficulty = records.read(
      Difficulty, ROOT / 'results' / 'difficulty_digits_mlp.json')
  measured = [records.read(speed.Speed, path) for path in sorted(
      (ROOT / 'results').glob('speed_*.json'))]
  made = {f'results:{name}': markdown.section(run, COMMANDS[name])
          for name, run in runs.items()}
  for kind, (record, written, command) in OTHERS.items():
    for path in (ROOT / 'results').glob(f'{kind}_*.json'):
      name = path.stem.partition('_')[2]
      made[f'{kind}:{name}'] = written(
          records.read(record, path), command.format(name=name))
  return made | {
      'auto': automatic.page(records.read(
          automatic.Report, ROOT / 'results' / 'auto.json')),
      'summary': markdown.summary(runs), 'claims': claims(runs, difficulty),
      'factors': markdown.factor_answers(difficulty),
      'speed': speed.tables(measured), 'ratios': speed.ratios(measured),
      'variants': variants(), 'glossary': glossary(), 'methods': methods(),
      'methods:short': short_methods(), 'commands': commands()}


def claims(runs: dict[str, Results], difficulty: Difficulty) -> str:
  """Whether findings of the paper hold in each run, as a table."""
  shown = {name: run for name, run in runs.items() if name != 'digits_mlp_all'}
  head = ('the paper', *(
      f'{run.recipe.dataset}, {run.recipe.network}' for run in shown.values()))
  rows = [['the more memorized, the worse is doing nothing'],
          ['RUM^F is better than vanilla'], ['RUM^F is better than shuffle'],
          ['full RUM is better than the best vanilla']]
  for run in shown.values():
    pairs = _findings.comparisons(run)
    worse = _verdicts(x for x in pairs if x.what.startswith('Do nothing,'))
    rows[0].append('holds' if worse == {WORSE: 2} else
                   'the contrary' if BETTER in worse else UNKNOWN)
    for row, control in zip(rows[1:3], ('vanilla', 'shuffle')):
      found = _verdicts(x for x in pairs if x.minus == control)
      row.append(f'{found[BETTER]} of {sum(found.values())}; '
                 f'{found[WORSE]} worse')
    best, = _verdicts(x for x in pairs
                      if x.what == 'RUM' and x.minus.endswith('vanilla'))
    rows[3].append({BETTER: 'holds', WORSE: 'the contrary'}.get(best, best))
  falls = collections.Counter(
      TOW.verdict(row.falls.tow[WHOLE])
      for row in difficulty.factors['entanglement'].rows
      if row.variant != 'reference')
  rows.insert(1, ['the more entangled, the harder', (
      f'{falls[WORSE]} of {sum(falls.values())}; {falls[BETTER]} easier'
  ), *[''] * (len(shown) - 1)])
  return '\n'.join(markdown.table(head, rows))


def _verdicts(pairs: Iterable[_findings.Comparison]
              ) -> collections.Counter[str]:
  return collections.Counter(TOW.verdict(x.tow) for x in pairs)


def commands() -> str:
  """What each command of `rum-jax` does, with its examples."""
  parts = []
  for name in _main.COMMANDS:
    command = _main.command_of(name)
    parts += [f'## {name}', '', f'It {command.summary}.', '']
    for comment, line in command.examples:
      parts += [f'{comment}', '', f'    rum-jax {line}', '']
  return '\n'.join(parts).strip()


def glossary() -> str:
  """What the report says of the names in it."""
  return '\n\n'.join(f'**{name}**: {meaning}'
                     for name, meaning in vocabulary.MEANINGS.items())


def variants() -> str:
  """A line for each variant, as the report explains it."""
  return '\n'.join(markdown.table(('variant', 'what it is'), (
      (name, vocabulary.MEANINGS[name].rstrip('.'))
      for name in ('vanilla', 'matched', 'shuffle', 'RUM^F', 'RUM'))))


def methods() -> str:
  """A line for each algorithm: what its file says first, and its papers."""
  return '\n'.join(markdown.table(('unlearner', 'what it does', 'from'), (
      (f'`{name}`', first, ' '.join(papers)) for name, first, papers in
      _algorithms())))


def short_methods() -> str:
  """The same in short: up to the first colon, and authors with a year."""
  rows = []
  for name, first, papers in _algorithms():
    cited = ''.join(re.sub(r'^(.*?)(?:,| and | et al).*?(\d{4})\.$',
                           r'\1 et al. \2', x) for x in papers[:1])
    rows.append((f'`{name}`', re.split('[:;.]', first)[0], cited))
  return '\n'.join(markdown.table(('unlearner', 'what it does', 'from'), rows))


def _algorithms() -> Iterator[tuple[str, str, list[str]]]:
  """Name, first sentence, and papers of each algorithm."""
  for name in ('identity', 'retrain', *recipes.FACTORIES):
    text = sys.modules[getattr(algorithms, name).__module__].__doc__ or ''
    first = ' '.join(text.split('\n\n')[0].split())
    papers = re.search(r'References:\n\s+(.*)', text, re.S)
    joined = ' '.join(papers[1].split()) if papers else ''
    yield name, first, re.findall(r'\S.*?\d{4}\.', joined)


def main() -> None:
  """Fills all pages."""
  app.refuse_dry_run()
  for name in PAGES:
    path = ROOT / name
    path.write_text(filled(path.read_text()))
    print(f'Wrote {path}.')


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
