"""Estimates the memorization of every training example.

  python -m experiments.memorize --models=2000
  python -m experiments.memorize --first_model=1024 --models=1024  # Elsewhere.
  python -m experiments.memorize --merge=DIR1,DIR2
  python -m experiments.memorize --proxy=all  # Compares them with the estimate.
  python -m experiments.memorize --dataset=cifar100 --compare=FILE  # Of others.

The command writes three files into the workdir. `memorization.npz` holds, in
the order of the training examples: scores and standard errors from correctness
and from probabilities, the numbers of models that did and did not train on each
example, its row in the published data set, and the hash of the data.
`memorization.json` says how reliable the scores are, and how many models a
reliable medium group needs. `memorization_speed.json` gives the models an hour
on each device.

If the command is stopped, the same command continues. With more `--models` in
the same `--workdir`, it trains only the additional models.

With `--proxy`, the command computes proxies from a few training runs instead.
It writes `proxies.npz`, with scores of the same examples that are high if an
example is memorized. It also writes `proxies.json`, with the cost of each
proxy. If the workdir holds an estimate, or if `--scores` names one,
`proxies.json` also says how well each proxy agrees with it.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
import pathlib

from absl import flags
import numpy as np

from rum_jax import recipes, records, reporting
from rum_jax.commands import app
from rum_jax.memorization import ensemble, influence, reliability
from rum_jax.memorization.reliability import Identity, MemorizationFile
from rum_jax.memorization.reliability import OtherScores
from rum_jax.pipeline import outlook, proxies, results, segments, subset_models
from rum_jax.pipeline.context import Data, Runtime
from rum_jax.reporting import figures, sentences
from rum_jax.storage import artefacts, files

FIRST = flags.DEFINE_integer(
    'first_model', 0, 'Number of the first model, a multiple of '
    f'{subset_models.SEGMENT}. Machines that share the work take different '
    'ranges.')
MERGE = flags.DEFINE_list(
    'merge', [], 'Workdirs of finished runs whose ranges of models follow each '
    'other. Their models are joined, and none are trained.')
INFLUENCE = flags.DEFINE_bool(
    'influence', False, 'Also write influence.npz and influence.svg: pairs of '
    'a training and a held-out example with high influence.')
PROXY = flags.DEFINE_list(
    'proxy', [], 'Proxies of memorization to compute instead of an estimate: '
    f'all, or some of {", ".join(recipes.PROXIES)}.')
COMPARE = flags.DEFINE_string(
    'compare', '', 'Published score file to compare the estimate with.')
TARGET = flags.DEFINE_float(
    'target', 0.8, 'Share of their medium groups that two runs should have in '
    'common; the recommended number of models follows from it.',
    lower_bound=0.01, upper_bound=0.99)


def merged(recipe: recipes.Recipe, data: Data, workdir: pathlib.Path,
           folders: list[str]) -> tuple[int, int]:
  """Copies the models of other runs; returns the first number and the count."""
  wanted = subset_models.ensemble_identity(recipe, data)
  runs: dict[str, tuple[int, int]] = {}
  if len(set(folders)) < len(folders):
    raise ValueError(f'Expected merge={",".join(folders)} to name each once.')
  for folder in folders:
    path = pathlib.Path(folder, 'memorization.json')
    if not path.exists():
      raise FileNotFoundError(f'No finished run in merge={folder}: {path} is '
                              'missing.')
    other = records.read(MemorizationFile, path)
    runs[folder] = other.first_model, other.models
    segments.check_same(wanted, str(workdir),
                        records.as_json(other.identity), folder)
  whole = segments.union(runs)
  for folder, span in runs.items():
    for part in segments.segments(*span, subset_models.SEGMENT):
      theirs, mine = (
          subset_models.segment_path(pathlib.Path(x), wanted, *part)
          for x in (folder, workdir))
      artefacts.stage(*mine, functools.partial(artefacts.load, *theirs))
  return whole


def write_influence(workdir: pathlib.Path, data: Data,
                    models: ensemble.Ensemble, score: np.ndarray) -> None:
  """Writes the pairs of high influence, with their published rows."""
  row, n = data.source.row, data.num_train
  test = len(data.source.test)
  pairs, chance = (
      influence.pairs(models.held_out, inside, score, test)
      for inside in (models.inside, influence.mismatched(models.inside)))
  files.write_arrays(workdir / 'influence.npz', {
      'train_row': row[pairs.train], 'test_row': row[n + pairs.test],
      'train_position': pairs.train, 'test_position': pairs.test,
      'influence': pairs.influence, 'standard_error': pairs.standard_error,
      'memorization': score[pairs.train], 'total': pairs.total,
      'total_by_chance': chance.total})
  if len(pairs.train):
    pair = np.stack([pairs.train, n + pairs.test], axis=1)[:12]
    shown = data.source.dataset
    files.write_text(workdir / 'influence.svg', figures.influence(
        shown.image[pair], shown.label[pair], data.source.classes,
        pairs.influence[:12], pairs.standard_error[:12]))
  print(f'{pairs.total} pairs of high influence, {chance.total} among models '
        'that are mismatched.')


def write_proxies(recipe: recipes.Recipe, data: Data, runtime: Runtime,
                  names: Sequence[str]) -> None:
  """Writes `proxies.npz` and `proxies.json`, and prints the table."""
  means, record = proxies.compared(recipe, data, runtime, names)
  files.write_arrays(runtime.workdir / 'proxies.npz', {
      **means, 'row': data.source.row[:data.num_train],
      'data_hash': data.hash})
  results.write(runtime.workdir / 'proxies.json', record)
  print(*reporting.proxy_table(record), sep='\n')


def main() -> None:
  first = FIRST.value
  wanted = proxies.chosen_names(app.recipe(), PROXY.value)
  recipe, data, runtime = app.start_run(
      f'memorize --first_model={first}' if first else 'memorize',
      f'memorize_from{first}_' if first else None, growing=('models',),
      varying=(MERGE, INFLUENCE, PROXY, COMPARE, TARGET), stages=lambda r, d: (
          outlook.proxies(r, d, wanted) if wanted else
          outlook.memorization(r, d, first)))
  workdir = runtime.workdir
  if wanted:
    write_proxies(recipe, data, runtime, wanted)
    return
  if recipe.scores:
    read = subset_models.estimate(recipe, data, runtime)
    subset_models.write(workdir / 'memorization.npz', recipe, data, read)
    summary = reliability.summary(read.correctness)
    print(sentences.sentence('memorization', summary))
    return
  if MERGE.value:
    first, count = merged(recipe, data, workdir, MERGE.value)
    recipe = dataclasses.replace(recipe, models=count)
  models, notes = subset_models.ensemble(recipe, data, runtime, first)
  estimated = subset_models.estimated(models, data.num_train)
  subset_models.write(workdir / 'memorization.npz', recipe, data, estimated)
  report = reliability.report(
      models, data.num_train, recipe.forget // 3, TARGET.value)
  compared = None
  if COMPARE.value:
    other = subset_models.published(data, COMPARE.value)
    agrees = reliability.agreement(
        estimated.score, other.score, recipe.forget // 3)
    name = pathlib.Path(COMPARE.value).name
    compared = OtherScores(**vars(agrees), name=name, order=other.order)
    print(sentences.agreement_line(name, agrees))
  results.write(workdir / 'memorization.json', MemorizationFile(
      **vars(report), first_model=first, models=recipe.models,
      identity=records.from_json(
          Identity, subset_models.ensemble_identity(recipe, data)),
      compared=compared))
  speed = ensemble.speed(notes)
  files.write_json(workdir / 'memorization_speed.json', speed)
  print(*sentences.lines(report), *(
      f'{x["models_an_hour"]:,.0f} models an hour on {device}'
      for device, x in speed.items()), sep='\n')
  if INFLUENCE.value:
    write_influence(workdir, data, models, estimated.score)


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
