"""Memorization of somebody's own data, with what it needs to be read."""

from __future__ import annotations

from collections.abc import Callable
import csv
import dataclasses
import io
import pathlib
from typing import Any, NamedTuple

import numpy as np

from rum_jax import datasets, memorization, recipes, records
from rum_jax.memorization import reliability
from rum_jax.memorization.reliability import Identity, MemorizationFile
from rum_jax.pipeline import choosing, context, forget_set, own_data, results
from rum_jax.pipeline import runs, subset_models
from rum_jax.pipeline.programs import Programs
from rum_jax.storage import files

_SCORE, _RIGHT = 0.5, 0.1
SUSPECT = (f'memorization above {_SCORE}, and at most {_RIGHT:.0%} of the '
           'models that did not train on them agree with their labels')


class Memorized(NamedTuple):
  """What was found.

  Attributes:
    workdir: the folder of the run.
    source: the data.
    record: how reliable the scores are.
    score: `[N]` memorization of the training examples.
    error: `[N]` standard errors.
    suspects: positions of the examples whose labels are likely wrong, the most
      memorized first.
  """

  workdir: pathlib.Path
  source: datasets.Source
  record: MemorizationFile
  score: np.ndarray
  error: np.ndarray
  suspects: np.ndarray


def memorize(
    data: str,
    data_dir: str = 'data',
    *,
    network: str = 'cnn',
    models: int = 128,
    subset: float = 0.7,
    epochs: int | None = None,
    learning_rate: float | None = None,
    batch_size: int = 64,
    workdir: str | pathlib.Path | None = None,
    programs: Programs | None = None,
    say: Callable[[str], Any] = lambda text: None,
) -> Memorized:
  """Estimates how much each training example is memorized.

  Args:
    data: name or path of a data set.
    data_dir: where data sets lie that are given by a name.
    network: name of a network of `recipes.NETWORKS`.
    models: how many are trained.
    subset: share of the examples that each trains on.
    epochs: of each; by default by the rule of `own_data`.
    learning_rate: likewise.
    batch_size: examples in a step.
    workdir: where scores and models go.
    programs: to compile and run with.
    say: called with each line that a person should read.

  Raises:
    OSError: if a file cannot be read or written.
    ValueError: naming the value that does not fit.
  """
  if not data:
    raise ValueError('Expected data to be given, found nothing.')
  given: dict[str, Any] = {'epochs': epochs, 'learning_rate': learning_rate}
  given = {k: v for k, v in given.items() if v is not None}
  recipe = recipes.Recipe(
      dataset=data, network=network, corrupt=0.0, models=models, subset=subset,
      batch_size=batch_size, **given)
  loaded = context.load(recipe, data_dir, forgets=False)
  source = loaded.source
  suited = own_data.suited(
      recipe, given.keys(), source.dataset.image.shape[1:], source.num_train)
  recipe = suited.recipe
  if (said := str(suited)):
    say(said)
  for note in filter(None, (*source.notes, forget_set.part_copies(loaded))):
    say(note)
  say(f'{source.name}: {source.num_train:,} training examples, '
      f'{len(source.classes)} classes. {models} models for {recipe.epochs} '
      f'epochs: {models * subset:,.0f} times the work of training once.')
  root = runs.root_of(
      workdir, f'memorize_{source.name}', dataclasses.asdict(recipe))
  with runs.entered(root, 'memorize', recipe, growing=('models',)):
    runtime = context.start(recipe, loaded, root, programs)
    ensemble, _ = subset_models.ensemble(recipe, loaded, runtime)
    estimated = subset_models.estimated(ensemble, source.num_train)
    outside = memorization.out_of_sample(memorization.tally(
        ensemble.correct, ensemble.inside, source.num_train))
    choosing.write_ensemble(
        root, outside, source.row[source.train], loaded.hash)
    subset_models.write(root / 'memorization.npz', recipe, loaded, estimated)
    record = MemorizationFile(
        **vars(reliability.report(ensemble, source.num_train,
                                  max(1, recipe.forget // 3), 0.8)),
        first_model=0, models=models, identity=records.from_json(
            Identity, subset_models.ensemble_identity(recipe, loaded)),
        compared=None)
    results.write(root / 'memorization.json', record)
    score = estimated.score
    suspects = suspicious(score, outside.mean)
    files.write_text(root / 'suspects.csv', _csv(source, score, suspects))
  return Memorized(root, source, record, score,
                   estimated.correctness.standard_error, suspects)


def suspicious(score: np.ndarray, outside: np.ndarray) -> np.ndarray:
  """Positions of examples whose labels are likely wrong.

  Args:
    score: `[N]` memorization.
    outside: `[N]` accuracy of the models that did not train on an example.

  Returns:
    Positions, the highest score first.

  >>> suspicious(np.array([0.9, 0.2, 0.6]), np.array([0.0, 0.0, 0.3])).tolist()
  [0]
  """
  found = np.flatnonzero((score > _SCORE) & (outside <= _RIGHT))
  return found[np.argsort(-score[found], kind='stable')]


def _csv(source: datasets.Source, score: np.ndarray, rows: np.ndarray) -> str:
  """Row, file, label and score of examples."""
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(['row', 'file', 'label', 'memorization'])
  for i in rows.tolist():
    row = int(source.row[i])
    writer.writerow([
        row, source.files[row] if source.files else '',
        source.classes[source.dataset.label[i]], f'{score[i]:.3f}'])
  return text.getvalue()
