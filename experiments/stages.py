"""The stages of the work: each reads artefacts and writes one."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from experiments import assembly, fitting, recipes
from experiments.programs import Programs
from experiments.progress import Progress
from rum_jax import checkpoints, datasets, memorization, refinement
from rum_jax import training, trees
from rum_jax.checkpoints import Artefact
from rum_jax.types import (
    Array, Dataset, Model, Outputs, Split, Variables)

_DATA = ('dataset', 'held_out', 'validation', 'examples', 'corrupt')
_TRAINING = (*_DATA, 'network', 'epochs', 'batch_size', 'augment',
             'learning_rate', 'milestones', 'momentum', 'weight_decay')
_SEGMENT = 64  # Models between two saves: seconds on a CPU with small networks.


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
      Programs(chunk))


def keys(setup: Setup, purpose: str) -> Array:
  """`[S]` keys, one a seed, different for each purpose."""
  first, count = setup.recipe.first_seed, setup.recipe.seeds
  salt = zlib.crc32(purpose.encode())
  return jax.vmap(lambda s: jax.random.fold_in(jax.random.key(s), salt))(
      jnp.arange(first, first + count))


def train(setup: Setup, name: str, key: Array, rows: np.ndarray) -> Artefact:
  """Trains a model for each key on the given rows: originals, or oracles."""
  recipe = setup.recipe
  identity = {'data': setup.data_hash, 'rows': checkpoints.array_digest(rows),
              **recipe.part(*_TRAINING, 'seeds', 'first_seed')}
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
           split_axis: int | None = None
           ) -> tuple[fitting.Run, dict[str, float]]:
  """Trains a model for each key on the retain set, in segments."""
  fit = assembly.fit_of(setup.recipe, setup.model, split.retain.shape[-1])
  watch = fitting.watcher(setup.model, setup.dataset, setup.source.test,
                          setup.recipe.held_out)
  return fitting.train(
      name, folder, identity, fit, setup.model, setup.programs, key,
      setup.dataset, split, watch, split_axis)


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


def correctness(setup: Setup) -> tuple[np.ndarray, np.ndarray]:
  """Packed bits `[M, ceil(N/8)]`: who is right about whom, who saw whom."""
  recipe, n = setup.recipe, setup.source.num_train
  size = round(recipe.subset * n)
  fit = recipes.trainer(recipe, setup.model, size)

  def one(number: Array, data: Dataset) -> tuple[Array, Array]:
    key = jax.random.fold_in(jax.random.key(recipe.first_seed), number)
    key_subset, key_fit = jax.random.split(key)
    subset = memorization.random_subset(key_subset, n, recipe.subset)
    split = Split(jnp.zeros((0,), jnp.int32), subset)
    variables, _ = fit(key_fit, None, data, split)
    logits = training.predict(setup.model, variables, data.image[:n]).logits
    right = logits.argmax(-1) == data.label[:n]
    return right, memorization.membership(subset, n)

  starts = range(0, recipe.models, _SEGMENT)
  progress = Progress('memorization', len(starts))
  parts = []
  for first in starts:

    def compute(first: int = first) -> Artefact:
      bits, _ = run(setup, 'memorization', one, (0, None),
                    first + jnp.arange(_SEGMENT), setup.dataset)
      right, member = (memorization.pack(x) for x in bits)
      return Artefact({'correct': right, 'inside': member})

    identity = {
        'data': setup.data_hash, 'first': first, 'count': _SEGMENT,
        **recipe.part(*_TRAINING, 'subset', 'first_seed')}
    parts.append(checkpoints.stage(
        checkpoints.place(setup.root, f'models/{first:05d}', identity),
        identity, compute).arrays)
    progress.step(f'{min(first + _SEGMENT, recipe.models)} models')
  both = trees.concatenate(parts)
  return both['correct'][:recipe.models], both['inside'][:recipe.models]


def estimate(setup: Setup) -> memorization.Memorization:
  """Memorization of the training examples, from models or from a file."""
  n = setup.source.num_train
  if setup.recipe.scores:
    scores = memorization.load(setup.recipe.scores, n, setup.data_hash)
  else:
    scores = memorization.estimate(*correctness(setup), n)
  memorization.save(setup.root / 'memorization.npz', scores,
                    setup.source.row[:n], setup.data_hash)
  return scores


def choose(setup: Setup, scores: np.ndarray
           ) -> tuple[refinement.Groups, np.ndarray]:
  """Low, medium and high memorization, and all that is retained."""
  recipe, n = setup.recipe, setup.source.num_train
  if recipe.groups:
    groups = refinement.load_groups(recipe.groups)
  else:
    groups = refinement.by_score(scores, recipe.forget // 3, seed=3)
  return groups, refinement.retain_untouched(groups, n)[0]
