"""The stages of the work: each reads artefacts and writes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools
import pathlib
import time
from typing import Any, NamedTuple
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from experiments import recipes
from experiments.progress import Progress
from rum_jax import checkpoints, datasets, ensembles, memorization
from rum_jax import published_scores, refinement, scores, seeds, segments
from rum_jax import training, trees
from rum_jax.checkpoints import Artefact
from rum_jax.types import Array, Dataset, Model, PyTree, Split, Variables

_DATA = ('dataset', 'held_out', 'corrupt')
_TRAINING = (*_DATA, 'network', 'epochs', 'batch_size', 'learning_rate',
             'momentum', 'weight_decay')
SEGMENT = 64  # Models between two saves: seconds on a CPU with small networks.


class Setup(NamedTuple):
  """What every stage needs."""

  recipe: recipes.Recipe
  root: pathlib.Path
  chunk: int | None
  source: datasets.Source
  corrupted: np.ndarray
  true_label: np.ndarray
  dataset: Dataset
  model: Model
  data_hash: str
  programs: dict[Any, Callable[..., PyTree]]


def prepare(recipe: recipes.Recipe, root: pathlib.Path, data_dir: str,
            chunk: int | None) -> Setup:
  """Loads the data and makes the network."""
  clean = recipes.load_source(recipe, data_dir)
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
      recipe, root, chunk, source, rows, clean.dataset.label,
      jax.tree.map(jnp.asarray, source.dataset),
      recipes.build_model(recipe, source),
      checkpoints.array_digest(*(x[train] for x in source.dataset)), {})


def keys(setup: Setup, purpose: str) -> Array:
  """`[S]` keys, one a seed, different for each purpose."""
  first, count = setup.recipe.first_seed, setup.recipe.seeds
  salt = zlib.crc32(purpose.encode())
  return jax.vmap(lambda s: jax.random.fold_in(jax.random.key(s), salt))(
      jnp.arange(first, first + count))


def run(setup: Setup, name: Any, fn: Callable[..., PyTree],
        in_axes: Sequence[int | None], *args: PyTree
        ) -> tuple[PyTree, dict[str, float]]:
  """Maps `fn` over runs; programs of the same name and shapes compile once.

  Returns:
    The results, and the seconds of compilation and of work.
  """
  begin = time.perf_counter()
  shapes = tuple((x.shape, str(x.dtype)) for x in jax.tree.leaves(args))
  if (name, shapes) not in setup.programs:
    mapped = seeds.over_seeds(fn, chunk=setup.chunk, in_axes=in_axes)
    setup.programs[name, shapes] = mapped.lower(*args).compile()
  program, ready = setup.programs[name, shapes], time.perf_counter()
  result = jax.block_until_ready(program(*args))
  return result, {'compile_seconds': ready - begin,
                  'seconds': time.perf_counter() - ready}


def train(setup: Setup, name: str, key: Array, rows: np.ndarray) -> Artefact:
  """Trains a model for each key on the given rows: originals, or oracles."""
  recipe = setup.recipe

  def compute() -> Artefact:
    fit = recipes.trainer(recipe, setup.model, len(rows))
    split = Split(jnp.zeros((0,), jnp.int32), jnp.asarray(rows))
    (variables, info), notes = run(
        setup, 'train', lambda key, data, part: fit(key, None, data, part),
        (0, None, None), key, setup.dataset, split)
    return described(setup, variables, info.loss, notes)

  identity = {'data': setup.data_hash, 'rows': checkpoints.array_digest(rows),
              **recipe.part(*_TRAINING, 'seeds', 'first_seed')}
  return checkpoints.stage(
      checkpoints.place(setup.root, name, identity), identity, compute)


def described(setup: Setup, variables: Variables, loss: Array,
              notes: dict[str, Any]) -> Artefact:
  """The artefact of S models: variables, losses, and what they predict."""
  outputs, _ = run(
      setup, 'predict',
      lambda v, image: training.predict(setup.model, v, image), (0, None),
      variables, setup.dataset.image)
  arrays = {'loss': loss, 'logits': outputs.logits,
            'features': outputs.features}
  return Artefact(jax.tree.map(np.asarray, arrays),
                  jax.tree.map(np.asarray, variables._asdict()), notes)


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
  recipe, n = setup.recipe, setup.source.num_train
  fit = recipes.trainer(recipe, setup.model, round(recipe.subset * n))
  one = memorization.subset_model(fit, setup.model, n, recipe.subset)

  def numbered(number: Array, data: Dataset) -> memorization.Seen:
    key = jax.random.fold_in(jax.random.key(recipe.first_seed), number)
    return one(key, data)

  def compute(first: int, count: int) -> Artefact:
    seen, notes = run(setup, 'memorization', numbered, (0, None),
                      first + jnp.arange(count), setup.dataset)
    return Artefact(ensembles.condensed(seen), notes=notes)

  identity, gathering = ensemble_identity(setup), ensembles.Gathering()
  todo = segments.segments(first_model, recipe.models, SEGMENT)
  progress = Progress('memorization', len(todo))
  for first, count in todo:
    place, whole = segment_place(setup.root, identity, first, count)
    gathering.add(checkpoints.stage(
        place, whole, functools.partial(compute, first, count)).arrays)
    progress.step(f'{first + count - first_model} models')
  return gathering.ensemble()


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
  """Low, medium and high memorization, and all that is retained."""
  recipe, n = setup.recipe, setup.source.num_train
  if recipe.groups:
    groups = refinement.load_groups(recipe.groups)
  else:
    groups = refinement.by_score(score, recipe.forget // 3, seed=ensembles.TIES)
  return groups, refinement.retain_untouched(groups, n)[0]
