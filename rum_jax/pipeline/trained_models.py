"""Trains original and retrained models, and keeps them as artefacts."""

from __future__ import annotations

import pathlib
import sys
from typing import Any, NamedTuple
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import evaluation, models, resumable, trees
from rum_jax.pipeline import context, fitting
from rum_jax.pipeline.context import Data, Runtime
from rum_jax.recipes import Recipe
from rum_jax.storage import artefacts
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import AnyArray, Array, Signals, Split, Variables

_DATA = ('dataset', 'held_out', 'validation', 'examples', 'corrupt')
TRAINING = (*_DATA, 'network', 'widths', 'precision', 'epochs', 'batch_size',
            'augment', 'learning_rate', 'milestones', 'schedule', 'momentum',
            'nesterov', 'bias_rate', 'weight_decay')


def keys(recipe: Recipe, purpose: str) -> Array:
  """`[S]` keys, one for each seed; they differ between purposes."""
  first, count = recipe.first_seed, recipe.seeds
  salt = zlib.crc32(purpose.encode())
  return jax.vmap(lambda s: jax.random.fold_in(jax.random.key(s), salt))(
      jnp.arange(first, first + count))


def training_identity(recipe: Recipe, data: Data, rows: AnyArray
                      ) -> dict[str, Any]:
  """All that determines the models of S seeds, trained on the given rows."""
  return {'holds': 'signals', 'data': data.hash,
          'held out': data.held_out_hash,
          'rows': artefacts.array_digest(rows),
          **recipe.part(*TRAINING, 'seeds', 'first_seed')}


def train(recipe: Recipe, data: Data, runtime: Runtime, name: str, key: Array,
          rows: AnyArray) -> Artefact:
  """Trains a model for each key on the given rows, such as the originals."""
  identity = training_identity(recipe, data, rows)
  folder = artefacts.path_of(runtime.workdir, name, identity)

  def compute() -> Artefact:
    split = Split(jnp.zeros((0,), jnp.int32), jnp.asarray(rows))
    run, notes = fit(
        recipe, data, runtime, name, folder, identity, key, split)
    return as_artefact(data, runtime, run.state.variables, run.loss, notes,
                       features=name == 'originals')

  artefact = context.stage(runtime, folder, identity, compute)
  fitting.forget_states(folder)
  lost = np.flatnonzero(~evaluation.finite(artefact.arrays['loss']))
  for seed in recipe.first_seed + lost % recipe.seeds:
    print(f'Warning: {name} diverged with seed={seed}; the other seeds are '
          'reported.', file=sys.stderr)
  return artefact


def fit(recipe: Recipe, data: Data, runtime: Runtime, name: str,
        folder: pathlib.Path, identity: dict[str, Any], key: Array,
        split: Split, split_axis: int | None = None,
        observer: resumable.Observer = resumable.NO_OBSERVER
        ) -> tuple[resumable.Run, dict[str, float]]:
  """Trains a model for each key on the retain set, in segments."""
  course = fitting.Course(
      recipe, runtime.model, split.retain.shape[-1], observer)
  watch = fitting.watcher(
      runtime.model, data.examples, data.source.test, recipe.held_out)
  return fitting.train(
      name, folder, identity, course, runtime.programs, key, data.examples,
      split, watch, split_axis)


def as_artefact(data: Data, runtime: Runtime, variables: Variables,
                loss: AnyArray, notes: dict[str, Any], features: bool = False
                ) -> Artefact:
  """The artefact of S models: variables, training losses, and signals."""
  found = signals(data, runtime, variables, features)._asdict()
  arrays = {'training_loss': loss, **{
      name: x for name, x in found.items() if x is not None}}
  return Artefact(jax.tree.map(np.asarray, arrays),
                  jax.tree.map(np.asarray, variables._asdict()),
                  {**notes, models.saved.NOTE: dict(runtime.description)})


def signals(data: Data, runtime: Runtime, variables: Variables,
            features: bool = False) -> Signals:
  """Signals of S models for all examples."""
  return runtime.programs.run(
      evaluation.Predict(runtime.model, features), (0, None), variables,
      data.examples)[0]


def originals(recipe: Recipe, data: Data, runtime: Runtime) -> Artefact:
  """S models trained on all training examples."""
  return train(recipe, data, runtime, 'originals', keys(recipe, 'originals'),
               data.source.train)


def embedding(recipe: Recipe, data: Data, runtime: Runtime) -> Array:
  """`[S, N, D]` features of the training examples in the originals."""
  features = originals(recipe, data, runtime).arrays['features']
  return jnp.asarray(features)[:, :data.num_train]


class Models(NamedTuple):
  """S originals, S models retrained without the forget set, and S others."""

  original: Artefact
  oracle: Artefact
  other: Artefact


def references(recipe: Recipe, data: Data, runtime: Runtime,
               retain: AnyArray) -> Models:
  """The models that unlearned ones are compared with."""
  both = jnp.concatenate(
      [keys(recipe, 'oracles'), keys(recipe, 'other oracles')])
  artefact = train(recipe, data, runtime, 'oracles', both, retain)
  count = recipe.seeds
  notes = {**artefact.notes, 'seconds': artefact.notes['seconds'] / 2}
  halves = [
      Artefact({k: x[half] for k, x in artefact.arrays.items()},
               trees.take(artefact.tree, half), notes, artefact.digest)
      for half in (slice(0, count), slice(count, None))]
  return Models(originals(recipe, data, runtime), *halves)
