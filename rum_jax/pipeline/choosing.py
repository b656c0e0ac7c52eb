"""Chooses the method of a request by a search that needs no retraining."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import rum_jax
from rum_jax import memorization, records, trees
from rum_jax.memorization import shards
from rum_jax.pipeline import builders, findings, forgetting, requests
from rum_jax.pipeline.forgetting import Before
from rum_jax.pipeline.programs import Programs
from rum_jax.pipeline.requests import Prepared
from rum_jax.pipeline.waiting import duration, share_of_training, waiting
from rum_jax.search import automatic
from rum_jax.storage import artefacts, files
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import Images

TRAININGS = 3  # The work of a search by default, in trainings of the network.
ENSEMBLE = 'out_of_sample.npz'  # What `rum-jax memorize` leaves for this.


class Search(NamedTuple):
  """A search that is about to be made.

  Attributes:
    budget: its work, in epochs.
    seconds: the approximate time on one device.
    units: its work in units of one training of the network.
    expected: `[F]` accuracy of an ensemble on the rows to forget; `None` where
      there is no ensemble.
  """

  budget: float
  seconds: float
  units: float
  expected: np.ndarray | None

  def __str__(self) -> str:
    size = automatic.size_of(self.budget)
    methods = [x for x, method in automatic.METHODS.items() if method.space]
    judged = ('the accuracy of the ensemble' if self.expected is not None else
              'confidences beside those of held-out examples')
    return (f'Method auto: {size.settings} settings of {", ".join(methods)}, '
            f'then settings near the best one, and plans of groups, of '
            f'{size.length} epochs each, are judged by accuracy and '
            f'{judged}. The search takes up to {self.budget:g} epochs: about '
            f'{duration(self.seconds)}, {share_of_training(self.units)}. '
            'Compiling, unlearning and the checks come on top.')


def search_of(prepared: Prepared, before: Before, epochs: int
              ) -> Search | None:
  """The search of a request; `None` if its method is not `auto`.

  Args:
    prepared: the request.
    before: gives the time of a forward pass.
    epochs: those of one training of the network.

  Raises:
    OSError: if the ensemble cannot be read.
    ValueError: if the budget is too small, or the ensemble is of other data.
  """
  request = prepared.request
  if request.method != requests.AUTO:
    return None
  budget = TRAININGS * epochs if request.budget is None else request.budget
  automatic.size_of(budget)  # Refuses a budget that is too small.
  shown = budget * len(prepared.split.retain)
  count = len(prepared.source.dataset.label)
  return Search(
      budget, forgetting.FORWARD * shown * before.seconds / count,
      shown / (epochs * prepared.source.num_train), expected_of(prepared))


def able(prepared: Prepared) -> Prepared:
  """The request, with the default method where a search cannot judge.

  A note says so.
  """
  if prepared.request.method != requests.AUTO:
    return prepared
  short = {'rows to forget': len(prepared.split.forget),
           'held-out examples': len(prepared.test)}
  lacking = [f'{count} {name}' for name, count in short.items()
             if count < automatic.LEAST]
  if not lacking:
    return prepared
  request = dataclasses.replace(
      prepared.request, method=requests.METHOD, ensemble='')
  found = requests.with_method(prepared, request)
  return found._replace(
      request=dataclasses.replace(found.request, ensemble=''),
      notes=(*found.notes, (
          f'A search of methods needs at least {automatic.LEAST} rows to '
          f'forget and as many held-out examples, and there are '
          f'{" and ".join(lacking)}. So the method is {requests.METHOD}.')))


def chosen(prepared: Prepared, search: Search, workdir: pathlib.Path,
           programs: Programs) -> tuple[Prepared, automatic.Choice]:
  """The request with the method that a search chose.

  Args:
    prepared: the request.
    search: of `search_of`.
    workdir: the folder in which the choice is kept.
    programs: runs the programs.

  Returns:
    The request, and the choice.

  Raises:
    ValueError: if all candidates ruin the network.
  """
  request = prepared.request
  identity = {**forgetting.identity_of(prepared), 'holds': 'notes of halves',
              'budget': search.budget,
              'expected': None if search.expected is None else
              artefacts.array_digest(search.expected)}

  def compute() -> Artefact:
    with waiting('choosing', search.seconds):
      found = records.as_json(_choice(prepared, search, programs))
    return Artefact({}, notes={'choice': json.loads(files.to_json(found))})

  kept = artefacts.stage(
      artefacts.path_of(workdir, 'choice', identity), identity, compute)
  choice = records.from_json(automatic.Choice, kept.notes['choice'])
  stages = choice.stages
  if len(stages) == 1:
    method, setting = stages[0].method, dict(stages[0].setting)
  else:
    method, setting = builders.PLAN, {'stages': tuple(
        (x.method, tuple(sorted(x.setting.items()))) for x in stages)}
  found = prepared._replace(
      request=dataclasses.replace(
          request, method=method, setting=setting, ensemble=''),
      setting=setting, choice=choice, notes=(
          *prepared.notes, *said(choice), *(
              (f'The ensemble in {request.ensemble} stood in for retraining.',)
              if request.ensemble else ())))
  return found, choice


def said(choice: automatic.Choice) -> list[str]:
  """Sentences on a choice, for the user and the record."""
  found = choice.reported
  return [
      choice.reason,
      'On the other half of the rows to forget and of the held-out examples '
      f'its AUC was {found.auc:.2f}, and {found.relearned_auc:.2f} after '
      f'fine-tuning, where the given weights had {choice.before.auc:.2f}.']


def _choice(prepared: Prepared, search: Search, programs: Programs
            ) -> automatic.Choice:
  request, model = prepared.request, prepared.network.model
  relearn = automatic.relearning(
      model, rum_jax.sgd(findings.RELEARNING_RATE, momentum=request.momentum,
                         weight_decay=request.weight_decay),
      len(prepared.split.retain), request.batch_size)
  key = jax.random.fold_in(jax.random.key(request.first_seed), 0xA070)
  return automatic.choose(
      key, jax.tree.map(jnp.asarray, prepared.network.variables),
      prepared.examples, prepared.split, prepared.test, model=model,
      build=builders.Build(builders.loop_of(request), model), relearn=relearn,
      budget=search.budget, label=prepared.source.dataset.label,
      expected=search.expected, seed=request.first_seed, run=programs.run)


def expected_of(prepared: Prepared) -> np.ndarray | None:
  """`[F]` accuracy of models that did not train on a row; `None` without them.

  The folder is one of `rum-jax memorize`, or one of shards of the same data.

  Raises:
    OSError: if the folder cannot be read.
    ValueError: if it holds no ensemble, one of other data, or one in which all
      models trained on one of the rows.
  """
  folder = prepared.request.ensemble
  if not folder:
    return None
  root = pathlib.Path(folder)
  if (root / ENSEMBLE).exists():
    with np.load(root / ENSEMBLE, allow_pickle=False) as arrays:
      same = str(arrays['data_hash']) == prepared.data_hash
      accuracy, row = arrays['accuracy'], arrays['row']
  else:
    shard = shards.merged(sorted(root.glob('*.npz')))
    count = shard.level.shape[1]
    accuracy = memorization.out_of_sample(memorization.tally(
        shard.correct, shard.inside, count)).mean
    train = Images(*trees.take(
        prepared.source.dataset, prepared.source.train))
    same = shard.identity['data']['train'] == shards.published_hash(train)
    row = np.arange(count)
  if not same:
    raise ValueError(f'Expected ensemble={folder} to be of '
                     f'{prepared.source.name}, found models of other data.')
  found = np.full(1 + max(int(row.max()), int(prepared.rows.max())), np.nan)
  found[row] = accuracy
  found = found[prepared.source.row[prepared.split.forget]]
  if np.isnan(found).any():
    place = prepared.source.row[
        prepared.split.forget[np.flatnonzero(np.isnan(found))[0]]]
    raise ValueError(f'Expected a model in ensemble={folder} that did not '
                     f'train on row {place}, found none.')
  return found


def write_ensemble(folder: pathlib.Path, found: memorization.OutOfSample,
                   row: np.ndarray, data_hash: str) -> None:
  """Writes what `expected_of` reads.

  Args:
    folder: an existing folder.
    found: what models that did not train on an example make of it, `[N]`.
    row: `[N]` published rows.
    data_hash: the hash of these examples.

  Raises:
    OSError: if it cannot be written.
  """
  files.write_arrays(folder / ENSEMBLE, {
      'accuracy': found.mean, 'standard_error': found.standard_error,
      'models': found.models, 'row': row, 'data_hash': np.str_(data_hash)})
