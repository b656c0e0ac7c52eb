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
import shlex
from typing import Any

from absl import flags
import numpy as np

from rum_jax import recipes, reporting
from rum_jax.commands import app
from rum_jax.pipeline import builders, forget_set, outlook, results
from rum_jax.pipeline import trained_models, unlearning
from rum_jax.pipeline.context import Data
from rum_jax.pipeline.progress import Progress
from rum_jax.recipes.settings import parse_setting
from rum_jax.storage import artefacts

METHOD = flags.DEFINE_string(
    'method', 'salun', 'Name of an algorithm, or package.module:factory.')
SETTING = flags.DEFINE_string(
    'setting', '', 'Hyper-parameters as name=value, separated by commas; by '
    'default the tuned ones of the vanilla variant, if there are any.')
ROWS = flags.DEFINE_string(
    'rows', '', 'Rows to forget: class=NAME, or a file that lists rows of the '
    'published training part; by default those whose labels were made wrong.')


def setting_of(recipe: recipes.Recipe, method: str, text: str
               ) -> dict[str, Any]:
  """The hyper-parameters of `--setting`, or the tuned ones."""
  if not text:
    found = tuned(recipe, method)
    return dict(found.methods[method]['vanilla']) if found else {}
  return parse_setting(text)


def tuned(recipe: recipes.Recipe, method: str) -> recipes.TunedSettings | None:
  """Tuned settings, or `None` for a method of somebody's own."""
  if ':' in method:
    return None
  rows = f' --rows={shlex.quote(ROWS.value)}' if ROWS.value else ''
  return app.settings(
      dataclasses.replace(recipe, methods=method), ('vanilla',), rows)


def say_setting(recipe: recipes.Recipe, settings: recipes.TunedSettings,
                setting: dict[str, Any], rows: np.ndarray) -> None:
  """Says which setting is used, and whether it was tuned for these rows."""
  search = settings.searched.rest.get(METHOD.value)
  given = ','.join(f'{k}={v}' for k, v in setting.items())
  path = recipes.settings_path(recipe)
  if search and search.forget_rows == artefacts.array_digest(np.sort(rows)):
    print(f'No --setting, so {given}: tuned for these rows, in {path}.')
  else:
    print(f'No --setting, so {given}: tuned for other examples to forget, in '
          f'{path}; another may do better here.')


def stages(recipe: recipes.Recipe, data: Data) -> list[outlook.Stage]:
  """What there is to do."""
  setting = setting_of(recipe, METHOD.value, SETTING.value)
  return [outlook.originals(recipe, data), outlook.oracles(recipe, data),
          outlook.unlearned(
              recipe, data, [(METHOD.value, 'vanilla', [setting])])]


def main() -> None:
  """Trains, retrains, unlearns and evaluates."""
  for name, mine in (('methods', 'method'), ('groups', 'rows')):
    if app.FLAGS[name].present:
      raise ValueError(f'Expected no {name}={app.FLAGS[name].value}: here it '
                       f'is --{mine}.')
  builders.factory(METHOD.value)
  forget_set.check_file(ROWS.value)
  context = recipe, data, runtime = app.start_run(
      'unlearn', f'unlearn_{METHOD.value.replace(":", "_")}_', forgets=False,
      rows=ROWS.value, varying=(METHOD, SETTING, ROWS),
      check=lambda x: setting_of(x, METHOD.value, SETTING.value),
      stages=stages)
  setting = setting_of(recipe, METHOD.value, SETTING.value)
  if ROWS.value:
    groups, retain = forget_set.named(recipe, data, ROWS.value)
  else:
    if not len(data.corrupted):
      raise ValueError(f'Expected rows to be given: with corrupt='
                       f'{recipe.corrupt:g} no label was made wrong.')
    print(f'To forget: the {len(data.corrupted)} examples whose labels were '
          'made wrong. The accuracy on them is measured with these labels, so '
          'a lower one is better.')
    groups, retain = forget_set.alone(recipe, data, data.corrupted)
  copies = forget_set.copies(recipe, data, groups)
  settings = None if SETTING.value else tuned(recipe, METHOD.value)
  job = unlearning.job_of(recipe, data.num_train, runtime.model, groups,
                          METHOD.value, 'vanilla', setting)
  if settings:
    say_setting(recipe, settings, setting, data.source.row[groups[0]])
    job = job._replace(tuning_seconds=settings.seconds(METHOD.value, 'vanilla'))
  models = trained_models.references(*context, retain)
  unlearning.compile_ahead(*context, [job], models.original)
  progress = Progress('unlearning', 1)
  done = unlearning.unlearn(*context, job, models.original)
  progress.step(f'{job.method} {job.variant}')
  judged = results.judged(
      *context, {'forget': groups[0]}, retain, models, [(job, done)],
      warnings=copies.warnings, notes=copies.notes)
  folder = unlearning.artefact_path(
      recipe, runtime.workdir, job, models.original)
  kept = f'results-{folder.name}.json'
  for name in ('results.json', kept):
    results.write(runtime.workdir / name, judged)
  print(reporting.table(judged))
  unlearning.check_any_finite(recipe, [(job, done)])
  print(f"\nrum_jax.models.load_saved('{folder}', seed=0) loads the first of "
        f'{recipe.seeds} models, with their network.')
  print(f'Wrote {runtime.workdir}/results.json, also as {kept}; the models '
        f'are in {folder}/tree.')


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
