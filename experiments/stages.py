"""The stages of the work: each reads artefacts and writes one."""

from __future__ import annotations

from collections.abc import Callable
import functools
import pathlib
from typing import Any, NamedTuple
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from experiments import assembly, fitting, recipes
from experiments.programs import Programs
from experiments.progress import Progress
from rum_jax import checkpoints, datasets, ensembles, memorization
from rum_jax import published_scores, refinement, scores, segments
from rum_jax import training, trees
from rum_jax.checkpoints import Artefact
from rum_jax.types import (
    Array, Dataset, Model, Outputs, Split, Variables)

_DATA = ('dataset', 'held_out', 'validation', 'examples', 'corrupt')
_TRAINING = (*_DATA, 'network', 'epochs', 'batch_size', 'augment',
             'learning_rate', 'milestones', 'momentum', 'weight_decay')
SEGMENT = 64  # Models between two saves: seconds on a CPU with small networks.


class Setup(NamedTuple):
  """What every stage needs."""

  recipe: recipes.Recipe
  root: pathlib.Path
  source: datasets.Source
  corrupted: np.ndarray
  true_label: np.ndarray
  dataset: Dataset
  model: Model
  data_hash: str
  programs: Programs
  validation: Callable[[], Dataset]


def prepare(recipe: recipes.Recipe, root: pathlib.Path, data_dir: str,
            chunk: int | None) -> Setup:
  """Loads the data and makes the network."""
  clean = assembly.load_source(recipe, data_dir)
  source, rows = datasets.corrupted(clean, recipe.corrupt, seed=2)
  if recipe.groups:
    refinement.stages(refinement.load_groups(recipe.groups), source.num_train)
  elif recipe.forget + recipe.batch_size > source.num_train:
    raise ValueError(
        f'Expected forget={recipe.forget} to leave a retain set of at least '
        f'one batch, batch_size={recipe.batch_size}, of the '
        f'{source.num_train} training examples.')
  train = slice(0, source.num_train)
  return Setup(
      recipe, root, source, rows, clean.dataset.label,
      jax.tree.map(jnp.asarray, source.dataset),
      assembly.build_model(recipe, source),
      checkpoints.array_digest(*(x[train] for x in source.dataset)),
      Programs(chunk),
      functools.partial(assembly.load_validation, recipe, data_dir))


def keys(setup: Setup, purpose: str) -> Array:
  """`[S]` keys, one a seed, different for each purpose."""
  first, count = setup.recipe.first_seed, setup.recipe.seeds
  salt = zlib.crc32(purpose.encode())
  return jax.vmap(lambda s: jax.random.fold_in(jax.random.key(s), salt))(
      jnp.arange(first, first + count))


def training_identity(setup: Setup, rows: np.ndarray) -> dict[str, Any]:
  """What decides the models that S seeds train on the given rows."""
  return {'data': setup.data_hash, 'rows': checkpoints.array_digest(rows),
          **setup.recipe.part(*_TRAINING, 'seeds', 'first_seed')}


def train(setup: Setup, name: str, key: Array, rows: np.ndarray) -> Artefact:
  """Trains a model for each key on the given rows: originals, or oracles."""
  identity = training_identity(setup, rows)
  folder = checkpoints.place(setup.root, name, identity)

  def compute() -> Artefact:
    split = Split(jnp.zeros((0,), jnp.int32), jnp.asarray(rows))
    run, notes = fitted(setup, name, folder, identity, key, split)
    return described(setup, run.state.variables, run.loss, notes,
                     features=name == 'originals')

  artefact = checkpoints.stage(folder, identity, compute)
  fitting.forget_states(folder)
  return artefact


def fitted(setup: Setup, name: str, folder: pathlib.Path,
           identity: dict[str, Any], key: Array, split: Split,
           split_axis: int | None = None,
           observer: fitting.Observer = fitting.BLIND
           ) -> tuple[fitting.Run, dict[str, float]]:
  """Trains a model for each key on the retain set, in segments."""
  fit = assembly.fit_of(setup.recipe, setup.model, split.retain.shape[-1])
  watch = fitting.watcher(setup.model, setup.dataset, setup.source.test,
                          setup.recipe.held_out)
  return fitting.train(
      name, folder, identity, fit, setup.model, setup.programs, key,
      setup.dataset, split, watch, split_axis, observer)


def described(setup: Setup, variables: Variables, loss: Array,
              notes: dict[str, Any], features: bool = False) -> Artefact:
  """The artefact of S models: variables, losses, and what they predict."""
  outputs = predicted(setup, variables)
  arrays = {'loss': loss, 'logits': outputs.logits}
  if features:
    arrays['features'] = outputs.features
  return Artefact(jax.tree.map(np.asarray, arrays),
                  jax.tree.map(np.asarray, variables._asdict()), notes)


def predicted(setup: Setup, variables: Variables) -> Outputs:
  """Logits and features of all examples under S models."""
  return setup.programs.run(
      'predict', lambda v, image: training.predict(setup.model, v, image),
      (0, None), variables, setup.dataset.image)[0]


def originals(setup: Setup) -> Artefact:
  """S models trained on all training examples."""
  return train(setup, 'originals', keys(setup, 'originals'), setup.source.train)


class Models(NamedTuple):
  """S originals, S models retrained without the forget set, and S others."""

  original: Artefact
  oracle: Artefact
  other: Artefact


def references(setup: Setup, retain: np.ndarray) -> Models:
  """The models that unlearned ones are compared with."""
  both = jnp.concatenate(
      [keys(setup, 'oracles'), keys(setup, 'other oracles')])
  artefact = train(setup, 'oracles', both, retain)
  count = setup.recipe.seeds
  notes = {**artefact.notes, 'seconds': artefact.notes['seconds'] / 2}
  halves = [
      Artefact({k: x[half] for k, x in artefact.arrays.items()},
               trees.take(artefact.tree, half), notes, artefact.digest)
      for half in (slice(0, count), slice(count, None))]
  return Models(originals(setup), *halves)


def ensemble_identity(setup: Setup) -> dict[str, Any]:
  """What decides what a memorization model of a given number says."""
  test = setup.source.test
  return {
      'data': setup.data_hash, 'holds': 'correctness and probability',
      'held out': checkpoints.array_digest(*(x[test] for x in
                                             setup.source.dataset)),
      **setup.recipe.part(*_TRAINING, 'subset', 'first_seed')}


def segment_place(root: pathlib.Path, identity: dict[str, Any], first: int,
                  count: int) -> tuple[pathlib.Path, dict[str, Any]]:
  """Where a segment of models lies, and its identity."""
  whole = {**identity, 'first': first, 'count': count}
  return checkpoints.place(root, f'models/{first:05d}', whole), whole


def ensemble(setup: Setup, first_model: int = 0) -> ensembles.Ensemble:
  """Trains `recipe.models` models, the first being number `first_model`."""
  identity, gathering = ensemble_identity(setup), ensembles.Gathering()
  todo = segments.segments(first_model, setup.recipe.models, SEGMENT)
  progress = Progress('memorization', len(todo))
  for first, count in todo:
    place, whole = segment_place(setup.root, identity, first, count)
    gathering.add(checkpoints.stage(place, whole, functools.partial(
        subset_models, setup, place, whole, first, count)).arrays)
    fitting.forget_states(place)
    progress.step(f'{first + count - first_model} models')
  return gathering.ensemble()


def subset_models(setup: Setup, place: pathlib.Path, identity: dict[str, Any],
                  first: int, count: int) -> Artefact:
  """What `count` models say, each trained on a random subset of its own."""
  recipe, n = setup.recipe, setup.source.num_train

  @jax.vmap
  def numbered(number: Array) -> tuple[Array, Array]:
    key = jax.random.fold_in(jax.random.key(recipe.first_seed), number)
    key_subset, key_fit = jax.random.split(key)
    return key_fit, memorization.random_subset(key_subset, n, recipe.subset)

  key, subset = numbered(first + jnp.arange(count))
  nobody = jnp.zeros((count, 0), jnp.int32)
  run, notes = fitted(setup, 'subset models', place, identity, key,
                      Split(nobody, subset), split_axis=0)
  seen, _ = setup.programs.run(
      'seen', functools.partial(memorization.seen, setup.model, n),
      (0, 0, None), run.state.variables, subset, setup.dataset)
  return Artefact(ensembles.condensed(seen), notes=notes)


def estimate(setup: Setup, models: ensembles.Ensemble | None = None
             ) -> scores.Memorization:
  """Memorization of the training examples, from models or from a file."""
  n, path, probability = setup.source.num_train, setup.recipe.scores, None
  if path and published_scores.recognises(path):
    row = setup.source.row[:n]
    found = published_scores.read(path, setup.true_label[:n], row=row)
    print(f'{path}: {found.kind}; order {found.order}.')
    estimated = scores.Memorization(found.score, *np.full((3, n), np.nan))
  elif path:
    estimated = scores.load(path, n, setup.data_hash)
  else:
    estimated, probability = ensembles.estimates(
        models or ensemble(setup), n).values()
  scores.save(setup.root / 'memorization.npz', estimated, setup.source.row[:n],
              setup.data_hash, probability)
  return estimated


def choose(setup: Setup, score: np.ndarray
           ) -> tuple[refinement.Groups, np.ndarray]:
  """Low, medium and high memorization, and all that is retained.

  Medium is near 0.5 of memorization itself, and near the median of a proxy.
  """
  recipe, n = setup.recipe, setup.source.num_train
  if recipe.groups:
    groups = refinement.load_groups(recipe.groups)
  else:
    middle = 0.5 if recipe.refine_by == recipes.MEMORIZATION else None
    groups = refinement.by_score(score, recipe.forget // 3, middle=middle,
                                 seed=ensembles.TIES)
  return groups, refinement.retain_untouched(groups, n)[0]
