"""Makes trained models forget given examples, and evaluates the result.

  python -m experiments.unlearn --method=salun --rows=forget.json
  python -m experiments.unlearn --method=my_package.my_module:my_unlearner \
      --setting=learning_rate=0.01,epochs=3

`--rows` gives the published training rows to forget: `class=3`, or a file of
numbers (JSON, CSV, NumPy, or one number in each line). By default it is the
examples whose labels were made wrong. The command writes `results.json` into
the workdir, as the main job does, and the unlearned models as an Orbax
checkpoint. Later runs with other settings or other rows use the same original
models. The results of each run are also kept as `results-<method>-….json`.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from absl import flags
import numpy as np

from rum_jax import datasets, recipes, refinement, reporting
from rum_jax.commands import app
from rum_jax.pipeline import builders, inputs, outlook, results, trained_models
from rum_jax.pipeline import unlearning

METHOD = flags.DEFINE_string(
    'method', 'salun', 'Name of an algorithm, or package.module:factory.')
SETTING = flags.DEFINE_string(
    'setting', '', 'Hyper-parameters as name=value, separated by commas; by '
    'default the tuned ones of the vanilla variant, if there are any.')
ROWS = flags.DEFINE_string(
    'rows', '', 'Rows to forget: class=NAME, or a file that lists rows of the '
    'published training part; by default those whose labels were made wrong.')


def parse_setting(recipe: recipes.Recipe, method: str, text: str
                  ) -> dict[str, Any]:
  """The hyper-parameters of `--setting`, or the tuned ones."""
  if not text:
    if ':' in method:
      return {}
    chosen = dataclasses.replace(recipe, methods=method)
    return dict(app.settings(chosen).methods[method]['vanilla'])
  pairs = [part.partition('=') for part in text.split(',')]
  try:
    return {name: json.loads(value) for name, _, value in pairs}
  except ValueError as error:
    raise ValueError(f'Expected setting={text} to read name=value,'
                     f'name=value, each value a number: {error}.') from error


def main() -> None:
  """Trains, retrains, unlearns and evaluates."""
  for name, mine in (('methods', 'method'), ('groups', 'rows')):
    if app.FLAGS[name].present:
      raise ValueError(f'Expected no {name}={app.FLAGS[name].value}: here it '
                       f'is --{mine}.')
  builders.factory(METHOD.value)
  setting = parse_setting(app.recipe(), METHOD.value, SETTING.value)
  context = recipe, data, runtime = app.start_run(
      'unlearn', f'unlearn_{METHOD.value.replace(":", "_")}_', forgets=False,
      varying=(METHOD, SETTING, ROWS), stages=lambda recipe, data: [
          outlook.originals(recipe, data), outlook.oracles(recipe, data),
          outlook.unlearned(
              recipe, data, [(METHOD.value, 'vanilla', [setting])])])
  if ROWS.value:
    rows = datasets.read_rows(ROWS.value, data.source)
    print(f'To forget: {datasets.describe_rows(rows, data.source)}')
    positions = datasets.positions(rows, data.source)
  else:
    positions = data.corrupted
    if not len(positions):
      raise ValueError(f'Expected rows to be given: with corrupt='
                       f'{recipe.corrupt:g} no label was made wrong.')
    print(f'To forget: the {len(positions)} examples whose labels were made '
          'wrong; accuracy on them counts these labels, so less of it is '
          'better.')
  groups = (np.asarray(positions, np.int32),)
  retain = refinement.stages(groups, data.num_train)[0].retain
  inputs.check_retain(
      data.num_train, recipe.batch_size, len(positions),
      f'{len(positions)} rows to forget')
  if setting and not SETTING.value:
    given = ','.join(f'{k}={v}' for k, v in setting.items())
    print(f'No --setting, so {given}: tuned for other examples to forget, in '
          f'{recipes.settings_path(recipe)}; another may do better here.')
  job = unlearning.job_of(recipe, data.num_train, runtime.model, groups,
                          METHOD.value, 'vanilla', setting)
  models = trained_models.references(*context, retain)
  done = unlearning.unlearn(*context, job, models.original)
  judged = results.judged(
      *context, {'forget': groups[0]}, retain, models, [(job, done)])
  folder = unlearning.artefact_path(
      recipe, runtime.workdir, job, models.original)
  kept = f'results-{folder.name}.json'
  for name in ('results.json', kept):
    results.write(runtime.workdir / name, judged)
  print(reporting.table(judged))
  unlearning.check_any_finite(recipe, [(job, done)])
  print(f'\nWrote {runtime.workdir}/results.json, also as {kept}; the models '
        f'are in {folder}/tree.')


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
