"""The stages of the work: each reads artefacts and writes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools
import pathlib
import sys
from typing import Any, NamedTuple
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import datasets, evaluation, recipes, refinement, resumable
from rum_jax import training, trees
from rum_jax.pipeline import assembly, fitting, inputs
from rum_jax.pipeline.programs import Programs
from rum_jax.storage import artefacts
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import (
    Array, Dataset, Model, Split, Variables)

_DATA = ('dataset', 'held_out', 'validation', 'examples', 'corrupt')
TRAINING = (*_DATA, 'network', 'widths', 'precision', 'epochs', 'batch_size',
            'augment', 'learning_rate', 'milestones', 'schedule', 'momentum',
            'nesterov', 'bias_rate', 'weight_decay')


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
  held_out_hash: str
  programs: Programs
  validation: Callable[[], Dataset]


def prepare(recipe: recipes.Recipe, root: pathlib.Path, data_dir: str,
            programs: Programs | None, forgets: bool = True) -> Setup:
  """Loads the data and makes the network.

  Args:
    recipe: of all of it.
    root: the workdir.
    data_dir: where data sets lie.
    programs: to compile and run with; `None` for those of one device a run.
    forgets: whether the recipe's forget set is used, and must fit the data.
  """
  clean = assembly.load_source(recipe, data_dir)
  source, rows = datasets.corrupted(clean, recipe.corrupt, seed=2)
  check_retain = functools.partial(
      inputs.check_retain, source.num_train, recipe.batch_size)
  if forgets and recipe.groups:
    groups = inputs.load_groups(recipe.groups)
    try:
      refinement.stages(groups, source.num_train)
    except ValueError as error:
      raise ValueError(f'groups={recipe.groups}: {error}') from error
    count = sum(map(len, groups))
    check_retain(count, f'{count} rows in groups')
  elif forgets:
    check_retain(recipe.forget, f'forget={recipe.forget}')
  train = slice(0, source.num_train)
  return Setup(
      recipe, root, source, rows, clean.dataset.label,
      jax.tree.map(jnp.asarray, source.dataset),
      assembly.build_model(recipe, source),
      artefacts.array_digest(*(x[train] for x in source.dataset)),
      artefacts.array_digest(*(x[source.test] for x in source.dataset)),
      programs or Programs(),
      functools.partial(assembly.load_validation, recipe, data_dir))


def keys(setup: Setup, purpose: str) -> Array:
  """`[S]` keys, one a seed, different for each purpose."""
  first, count = setup.recipe.first_seed, setup.recipe.seeds
  salt = zlib.crc32(purpose.encode())
  return jax.vmap(lambda s: jax.random.fold_in(jax.random.key(s), salt))(
      jnp.arange(first, first + count))


def training_identity(setup: Setup, rows: np.ndarray) -> dict[str, Any]:
  """What decides the models that S seeds train on the given rows."""
  return {'data': setup.data_hash, 'held out': setup.held_out_hash,
          'rows': artefacts.array_digest(rows),
          **setup.recipe.part(*TRAINING, 'seeds', 'first_seed')}


def train(setup: Setup, name: str, key: Array, rows: np.ndarray) -> Artefact:
  """Trains a model for each key on the given rows: originals, or oracles."""
  identity = training_identity(setup, rows)
  folder = artefacts.place(setup.root, name, identity)

  def compute() -> Artefact:
    split = Split(jnp.zeros((0,), jnp.int32), jnp.asarray(rows))
    run, notes = fitted(setup, name, folder, identity, key, split)
    return described(setup, run.state.variables, run.loss, notes,
                     features=name == 'originals')

  artefact = artefacts.stage(folder, identity, compute)
  fitting.forget_states(folder)
  lost = np.flatnonzero(~evaluation.finite(artefact.arrays['logits']))
  for seed in setup.recipe.first_seed + lost % setup.recipe.seeds:
    print(f'Warning: {name} diverged with seed={seed}; the other seeds are '
          'reported.', file=sys.stderr)
  return artefact


def fitted(setup: Setup, name: str, folder: pathlib.Path,
           identity: dict[str, Any], key: Array, split: Split,
           split_axis: int | None = None,
           observer: resumable.Observer = resumable.BLIND
           ) -> tuple[resumable.Run, dict[str, float]]:
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
  wanted = ('logits', 'features') if features else ('logits',)
  arrays = {'loss': loss, **predicted(setup, variables, wanted)}
  return Artefact(jax.tree.map(np.asarray, arrays),
                  jax.tree.map(np.asarray, variables._asdict()), notes)


def predicted(setup: Setup, variables: Variables,
              wanted: Sequence[str] = ('logits',)) -> dict[str, Array]:
  """What S models say of all examples; what is not wanted costs nothing."""

  def say(variables: Variables, image: Array) -> dict[str, Array]:
    outputs = training.predict(setup.model, variables, image)
    return {name: getattr(outputs, name) for name in wanted}

  return setup.programs.run(f'predict {wanted}', say, (0, None), variables,
                            setup.dataset.image)[0]


def originals(setup: Setup) -> Artefact:
  """S models trained on all training examples."""
  return train(setup, 'originals', keys(setup, 'originals'), setup.source.train)


def embedding(setup: Setup) -> Array:
  """`[S, N, D]` of the training examples under the originals."""
  features = originals(setup).arrays['features']
  return jnp.asarray(features)[:, :setup.source.num_train]


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


def choose(setup: Setup, score: np.ndarray
           ) -> tuple[refinement.Groups, np.ndarray]:
  """Low, medium and high memorization, and all that is retained.

  Medium is near 0.5 of memorization itself, and near the median of a proxy.
  """
  recipe, n = setup.recipe, setup.source.num_train
  if recipe.groups:
    groups = inputs.load_groups(recipe.groups)
  else:
    middle = 0.5 if recipe.refine_by == recipes.MEMORIZATION else None
    groups = refinement.by_score(score, recipe.forget // 3, middle=middle,
                                 seed=refinement.TIES)
  return groups, refinement.retain_untouched(groups, n)[0]
