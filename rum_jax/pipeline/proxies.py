"""Computes proxies of memorization from S training runs.

Some proxies are recorded during training, and others are computed from the
variables of an early epoch or of the last one. The runs train on all training
examples, as the originals do, but with other random numbers. A proxy is the
mean over the runs.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import rum_jax
from rum_jax import recipes, training, trees
from rum_jax.memorization import comparison, learning_events, proxies
from rum_jax.memorization import proxy_observers, score_files
from rum_jax.memorization.comparison import ProxiesFile, Proxy
from rum_jax.pipeline import builders, context, fitting, results, segments
from rum_jax.pipeline import subset_models, trained_models
from rum_jax.pipeline.context import Data, Runtime
from rum_jax.recipes import Recipe
from rum_jax.storage import artefacts
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import Array, Images, Key, Model, Split, Variables

_WHEN = {'el2n': 'early', 'grand': 'early', 'held_out_retraining': 'final'}


class Scored(NamedTuple):
  """The scores `[S, N]` of a proxy in all runs, and the seconds of one run."""

  runs: np.ndarray
  seconds: float


def chosen_names(recipe: Recipe, names: Sequence[str]) -> Sequence[str]:
  """The proxies that a flag names; `all` means those that the data allow."""
  for name in set(names) - {'all'}:
    recipes.one_of('proxy', name, ('all', *recipes.PROXIES))
  if 'all' not in names:
    return names
  apart = recipe.validation or recipe.held_out == 'validation'
  if not apart:
    print('held_out_retraining is left out: it needs validation examples, such '
          'as those of --validation=0.1.')
  return recipes.PROXIES if apart else recipes.PROXIES[:-1]


def scored(recipe: Recipe, data: Data, runtime: Runtime, names: Sequence[str]
           ) -> dict[str, Scored]:
  """Computes proxies, or reads them from the workdir."""
  found = {}
  for name in names:
    runs = from_training(recipe, data, runtime,
                         'curvature' if name == 'curvature' else 'learning')
    seconds = runs.notes['seconds']
    if name in _WHEN:
      share = _early(recipe) / recipe.epochs if _WHEN[name] == 'early' else 1
      computed = from_variables(recipe, data, runtime, name, runs)
      runs, seconds = computed, share * seconds + computed.notes['seconds']
    found[name] = Scored(runs.arrays[name], seconds / recipe.seeds)
  return found


def _early(recipe: Recipe) -> int:
  """The number of epochs that count as early, a tenth of all epochs."""
  return max(1, recipe.epochs // 10)


def from_training(recipe: Recipe, data: Data, runtime: Runtime, probe: str
                  ) -> Artefact:
  """The scores of S runs that are observed: `learning` or `curvature`."""
  rows, n, early = data.source.train, data.num_train, _early(recipe)
  observer = (proxy_observers.curvature(runtime.model, n)
              if probe == 'curvature' else
              proxy_observers.learning(runtime.model, n, early))
  identity = {**trained_models.training_identity(recipe, data, rows),
              'probe': probe, 'early': early}
  folder = artefacts.path_of(runtime.workdir, f'proxies/{probe}', identity)

  def compute() -> Artefact:
    split = Split(jnp.zeros((0,), jnp.int32), jnp.asarray(rows))
    run, notes = trained_models.fit(
        recipe, data, runtime, f'probed {probe}', folder, identity,
        trained_models.keys(recipe, 'proxies'), split, observer=observer)
    if probe == 'curvature':
      scores, tree = {probe: run.seen / recipe.epochs}, None
    else:
      history, before = run.seen
      scores = jax.vmap(learning_events.scores)(history)
      tree = jax.tree.map(np.asarray, {
          'early': before._asdict(), 'final': run.state.variables._asdict()})
    return Artefact(jax.tree.map(np.asarray, scores), tree, notes)

  artefact = context.stage(runtime, folder, identity, compute)
  fitting.forget_states(folder)
  return artefact


@dataclasses.dataclass(frozen=True)
class FromVariables:
  """The function `(key, variables, data, apart) -> [N]`, a proxy of one run.

  Held-out retraining uses the learning rate of the recipe. The follow-up paper
  uses 0.1, which is also its learning rate of training. A network that is
  trained with a lower rate may diverge at 0.1.

  Attributes:
    name: the name of the proxy.
    recipe: gives the optimiser of held-out retraining.
    model: the network.
  """

  name: str
  recipe: Recipe
  model: Model

  def __call__(self, key: Key, variables: Variables, data: Images,
               apart: Images) -> Array:
    if self.name == 'held_out_retraining':
      tx = rum_jax.sgd(
          self.recipe.learning_rate, momentum=self.recipe.momentum,
          weight_decay=self.recipe.weight_decay)
      return proxies.held_out_retraining(
          self.model, tx, batch_size=self.recipe.batch_size)(
              key, variables, data, apart)
    if self.name == 'grand':
      return proxies.grand(self.model, variables, data)
    logits = training.predict(self.model, variables, data).prediction
    return proxies.el2n(logits, data.label)


def from_variables(recipe: Recipe, data: Data, runtime: Runtime, name: str,
                   runs: Artefact) -> Artefact:
  """The scores of S runs from their early or their final variables."""
  identity = {'runs': runs.digest, 'look': name, **recipe.part('learning_rate')}

  def compute() -> Artefact:
    train = trees.take(data.examples, slice(data.num_train))
    apart = train
    if name == 'held_out_retraining':
      apart = jax.tree.map(
          jnp.asarray, builders.load_validation(recipe, data.folder))
    variables = Variables(**jax.tree.map(jnp.asarray, runs.tree[_WHEN[name]]))
    scores, notes = runtime.programs.run(
        FromVariables(name, recipe, runtime.model), (0, 0, None, None),
        trained_models.keys(recipe, name), variables, train, apart)
    return Artefact({name: np.asarray(scores)}, notes=notes)

  return context.stage(
      runtime,
      artefacts.path_of(runtime.workdir, f'proxies/{name}', identity), identity,
      compute)


def _mean(recipe: Recipe, name: str, found: Scored) -> np.ndarray:
  return comparison.mean(
      name, found.runs, recipe.first_seed, recipe.learning_rate)


def score(recipe: Recipe, data: Data, runtime: Runtime, name: str
          ) -> np.ndarray:
  """`[N]` scores of the training examples: the mean of a proxy over runs."""
  return _mean(recipe, name, scored(recipe, data, runtime, [name])[name])


class Compared(NamedTuple):
  """Proxies, compared with memorization.

  Attributes:
    means: name of a proxy to its `[N]` scores.
    record: the agreement of each proxy with memorization, and its cost.
  """

  means: dict[str, np.ndarray]
  record: ProxiesFile


def compared(recipe: Recipe, data: Data, runtime: Runtime, names: Sequence[str]
             ) -> Compared:
  """Proxies, compared with memorization if its scores are known."""
  truth, known = None, runtime.workdir / 'memorization.npz'
  if recipe.scores:
    truth = subset_models.estimate(recipe, data, runtime).score
  elif known.exists():
    truth = score_files.load(str(known), data.num_train, data.hash).score
  found = scored(recipe, data, runtime, names)
  means = {name: _mean(recipe, name, x) for name, x in found.items()}
  whole, size = estimate_seconds(recipe, data, runtime), recipe.forget // 3
  return Compared(means, ProxiesFile(
      **vars(results.origin(recipe, data, runtime)),
      runs=recipe.seeds, models=recipe.models, estimate_seconds=whole,
      group_size=size, proxies={name: Proxy(
          **vars(comparison.compared(truth, means[name], x.runs, size)),
          seconds=x.seconds, share=x.seconds / whole)
                                for name, x in found.items()}))


def estimate_seconds(recipe: Recipe, data: Data, runtime: Runtime
                     ) -> float:
  """Seconds to train the models of the estimate; NaN if some are missing."""
  identity, seconds = subset_models.ensemble_identity(recipe, data), 0.0
  for part in segments.segments(0, recipe.models, subset_models.SEGMENT):
    place, whole = subset_models.segment_path(
        runtime.workdir, identity, *part)
    if not place.exists():
      return math.nan
    seconds += artefacts.load(place, whole).notes['seconds']
  return seconds
