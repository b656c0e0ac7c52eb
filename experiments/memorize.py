"""Estimates the memorization of every training example.

  python -m experiments.memorize --models=2000
  python -m experiments.memorize --first_model=1024 --models=1024  # Elsewhere.
  python -m experiments.memorize --merge=DIR1,DIR2
  python -m experiments.memorize --proxy=all  # Compares them with the estimate.
  python -m experiments.memorize --dataset=cifar100 --compare=FILE  # Of others.

Writes into the workdir: `memorization.npz`, in the order of the training
examples (scores and standard errors from correctness and from probabilities,
models in and out, row in the published data set, hash of the data), and
`memorization.json`: how reliable the scores are, and how many models the medium
group would take; `memorization_speed.json`: models an hour on each device.
Stopped, it goes on where it was; with more `--models` it adds to those that are
there, in the same `--workdir`.

With `--proxy` it trains a few runs with a probe instead of the many models, and
writes `proxies.npz` (scores of the same examples, high where they are
memorized) and `proxies.json`: what each costs and, where the workdir holds an
estimate or `--scores` names one, how well each agrees with it.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib

from absl import flags
import numpy as np

from rum_jax import recipes, reporting
from rum_jax.commands import app
from rum_jax.memorization import ensemble, influence, reliability
from rum_jax.pipeline import proxies, segments, stages, subset_models
from rum_jax.reporting import figures, sentences
from rum_jax.storage import artefacts, files

FIRST = flags.DEFINE_integer(
    'first_model', 0, 'The first model, a multiple of '
    f'{subset_models.SEGMENT}: machines that share the work take ranges.')
MERGE = flags.DEFINE_list(
    'merge', [], 'Workdirs of finished runs whose ranges of models follow each '
    'other: joins them instead of training.')
INFLUENCE = flags.DEFINE_bool(
    'influence', False, 'Write influence.npz and influence.svg, too: pairs of '
    'training and held-out examples of high influence.')
PROXY = flags.DEFINE_list(
    'proxy', [], 'Proxies of memorization to compute in place of an estimate: '
    f'all, or some of {", ".join(recipes.PROXIES)}.')
COMPARE = flags.DEFINE_string(
    'compare', '', 'A score file of others to compare the estimate with.')
TARGET = flags.DEFINE_float(
    'target', 0.8, 'Share of the medium group that two runs should share, for '
    'the recommended number of models.', lower_bound=0.01, upper_bound=0.99)


def merged(setup: stages.Setup, folders: list[str]) -> tuple[int, int]:
  """Copies the models of other runs; returns the first one and how many."""
  wanted, runs = subset_models.ensemble_identity(setup), {}
  if len(set(folders)) < len(folders):
    raise ValueError(f'Expected merge={",".join(folders)} to name each once.')
  for folder in folders:
    path = pathlib.Path(folder, 'memorization.json')
    if not path.exists():
      raise FileNotFoundError(f'No finished run in merge={folder}: {path} is '
                              'missing.')
    try:
      found = json.loads(path.read_text())
      runs[folder] = int(found['first_model']), int(found['models'])
      theirs = dict(found['identity'])
    except (ValueError, KeyError, TypeError) as error:
      raise ValueError(f'Expected {path} to be what experiments.memorize '
                       f'writes: {error!r}.') from error
    segments.check_same(wanted, str(setup.root), theirs, folder)
  whole = segments.union(runs)
  for folder, span in runs.items():
    for part in segments.segments(*span, subset_models.SEGMENT):
      theirs, mine = (
          subset_models.segment_place(pathlib.Path(x), wanted, *part)
          for x in (folder, setup.root))
      artefacts.stage(*mine, functools.partial(artefacts.load, *theirs))
  return whole


def write_influence(setup: stages.Setup, models: ensemble.Ensemble,
                    score: np.ndarray) -> None:
  """Writes the pairs: rows in the run and in the published data set."""
  row, n = setup.source.row, setup.source.num_train
  test = len(setup.source.test)
  found, chance = (
      influence.pairs(models.held_out, inside, score, test)
      for inside in (models.inside, influence.mismatched(models.inside)))
  files.write_arrays(setup.root / 'influence.npz', {
      **found._asdict(), 'found_by_chance': chance.found,
      'memorization': score[found.train], 'train_row': row[found.train],
      'test_row': row[n + found.test]})
  if len(found.train):
    pair = np.stack([found.train, n + found.test], axis=1)[:12]
    data = setup.source.dataset
    files.write_text(setup.root / 'influence.svg', figures.influence(
        data.image[pair], data.label[pair], setup.source.classes,
        found.influence[:12], found.standard_error[:12]))
  print(f'{found.found} pairs of high influence, {chance.found} among models '
        'that are mismatched.')


def main() -> None:
  first = FIRST.value
  wanted = proxies.names_of(app.recipe(), PROXY.value)
  setup = app.begin(f'from{first}_' if first else '')
  if wanted:
    print(*reporting.proxy_table(proxies.report(setup, wanted)), sep='\n')
    return
  if setup.recipe.scores:
    found = reliability.summary(subset_models.estimate(setup))
    print(sentences.sentence('memorization', found))
    return
  if MERGE.value:
    first, count = merged(setup, MERGE.value)
    setup = setup._replace(
        recipe=dataclasses.replace(setup.recipe, models=count))
  models, notes = subset_models.ensemble(setup, first)
  estimated = subset_models.estimate(setup, models)
  found = reliability.report(models, setup.source.num_train,
                             setup.recipe.forget // 3, TARGET.value)
  if COMPARE.value:
    other = subset_models.published(setup, COMPARE.value)
    agrees = reliability.agreement(
        estimated.score, other.score, setup.recipe.forget // 3)
    name = pathlib.Path(COMPARE.value).name
    found['compared'] = {'with': name, 'order': other.order, **agrees}
    print(sentences.agreement_line(name, agrees))
  files.write_json(setup.root / 'memorization.json', {
      'first_model': first, 'models': setup.recipe.models,
      'identity': subset_models.ensemble_identity(setup), **found})
  speed = ensemble.speed(notes)
  files.write_json(setup.root / 'memorization_speed.json', speed)
  print(*sentences.lines(found), *(
      f'{x["models_an_hour"]:,.0f} models an hour on {device}'
      for device, x in speed.items()), sep='\n')
  if INFLUENCE.value:
    write_influence(setup, models, estimated.score)


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
