"""Proxies of memorization: what a probe sees of S runs, and a closer look.

The runs train on everything, as the originals do, with random numbers of their
own; a proxy is the mean over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import rum_jax
from rum_jax import recipes, training
from rum_jax.memorization import comparison, learning_events, observers, proxies
from rum_jax.memorization import score_files
from rum_jax.pipeline import fitting, results, segments, stages, subset_models
from rum_jax.pipeline.stages import Setup
from rum_jax.storage import artefacts, files
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import Dataset, Split, Variables

_WHEN = {'el2n': 'early', 'grand': 'early', 'held_out_retraining': 'final'}


class Scored(NamedTuple):
  """One proxy: scores `[S, N]` of all runs, and the seconds of one run."""

  runs: np.ndarray
  seconds: float


def names_of(recipe: recipes.Recipe, names: Sequence[str]) -> Sequence[str]:
  """The proxies of a flag; all are those that the recipe has the data for."""
  for name in set(names) - {'all'}:
    recipes.one_of('proxy', name, ('all', *recipes.PROXIES))
  if 'all' not in names:
    return names
  apart = recipe.validation or recipe.held_out == 'validation'
  if not apart:
    print('Without held_out_retraining, which takes examples set apart, such '
          'as --validation=0.1.')
  return recipes.PROXIES if apart else recipes.PROXIES[:-1]


def scored(setup: Setup, names: Sequence[str]) -> dict[str, Scored]:
  """Computes proxies, or finds them in the workdir."""
  found, epochs = {}, setup.recipe.epochs
  for name in names:
    runs = watched(setup, 'curvature' if name == 'curvature' else 'learning')
    seconds = runs.notes['seconds']
    if name in _WHEN:
      share = _early(setup) / epochs if _WHEN[name] == 'early' else 1
      look = looked(setup, name, runs)
      runs, seconds = look, share * seconds + look.notes['seconds']
    found[name] = Scored(runs.arrays[name], seconds / setup.recipe.seeds)
  return found


def _early(setup: Setup) -> int:
  """The epoch after which training is early: a tenth of it."""
  return max(1, setup.recipe.epochs // 10)


def watched(setup: Setup, probe: str) -> Artefact:
  """Scores of S runs under a probe: `learning` or `curvature`."""
  rows, n, early = setup.source.train, setup.source.num_train, _early(setup)
  observer = (observers.curvature(setup.model, n) if probe == 'curvature' else
              observers.learning(setup.model, n, early))
  identity = {**stages.training_identity(setup, rows), 'probe': probe,
              'early': early}
  folder = artefacts.place(setup.root, f'proxies/{probe}', identity)

  def compute() -> Artefact:
    split = Split(jnp.zeros((0,), jnp.int32), jnp.asarray(rows))
    run, notes = stages.fitted(
        setup, f'probed {probe}', folder, identity,
        stages.keys(setup, 'proxies'), split, observer=observer)
    if probe == 'curvature':
      found, tree = {probe: run.seen / setup.recipe.epochs}, None
    else:
      history, before = run.seen
      found = jax.vmap(learning_events.scores)(history)
      tree = jax.tree.map(np.asarray, {
          'early': before._asdict(), 'final': run.state.variables._asdict()})
    return Artefact(jax.tree.map(np.asarray, found), tree, notes)

  artefact = artefacts.stage(folder, identity, compute)
  fitting.forget_states(folder)
  return artefact


def looked(setup: Setup, name: str, runs: Artefact) -> Artefact:
  """Scores of S runs from their early or their final variables.

  Held-out retraining goes on at the rate of the recipe. The follow-up has 0.1,
  which is also its rate of training; a network that is trained at less may not
  survive it.
  """
  model, recipe = setup.model, setup.recipe
  held_out = name == 'held_out_retraining'
  identity = {'runs': runs.digest, 'look': name,
              **recipe.part('learning_rate')}

  def look(key, variables, data, apart):
    if held_out:
      tx = rum_jax.sgd(recipe.learning_rate, momentum=recipe.momentum,
                       weight_decay=recipe.weight_decay)
      return proxies.held_out_retraining(
          model, tx, batch_size=recipe.batch_size)(key, variables, data, apart)
    if name == 'grand':
      return proxies.grand(model, variables, data)
    logits = training.predict(model, variables, data.image).logits
    return proxies.el2n(logits, data.label)

  def compute() -> Artefact:
    data = Dataset(*(x[:setup.source.num_train] for x in setup.dataset))
    apart = jax.tree.map(jnp.asarray, setup.validation()) if held_out else data
    variables = Variables(**jax.tree.map(jnp.asarray, runs.tree[_WHEN[name]]))
    found, notes = setup.programs.run(
        name, look, (0, 0, None, None), stages.keys(setup, name), variables,
        data, apart)
    return Artefact({name: np.asarray(found)}, notes=notes)

  return artefacts.stage(
      artefacts.place(setup.root, f'proxies/{name}', identity), identity,
      compute)


def _mean(setup: Setup, name: str, found: Scored) -> np.ndarray:
  recipe = setup.recipe
  return comparison.mean(
      name, found.runs, recipe.first_seed, recipe.learning_rate)


def difficulty(setup: Setup) -> np.ndarray:
  """`[N]`, what the recipe refines by: memorization or a proxy of it."""
  name = setup.recipe.refine_by
  if name == recipes.MEMORIZATION:
    return subset_models.estimate(setup).score
  return _mean(setup, name, scored(setup, [name])[name])


def report(setup: Setup, names: Sequence[str]) -> dict[str, Any]:
  """Writes `proxies.npz` and `proxies.json`; returns the latter."""
  n, truth = setup.source.num_train, None
  known = setup.root / 'memorization.npz'
  if setup.recipe.scores:
    truth = subset_models.estimate(setup).score
  elif known.exists():
    truth = score_files.load(str(known), n, setup.data_hash).score
  found = scored(setup, names)
  means = {name: _mean(setup, name, x) for name, x in found.items()}
  files.write_arrays(setup.root / 'proxies.npz', {
      **means, 'row': setup.source.row[:n], 'data_hash': setup.data_hash})
  whole = estimate_seconds(setup)
  about = {
      **results.origin(setup),
      'runs': setup.recipe.seeds, 'models': setup.recipe.models,
      'estimate_seconds': whole, 'group_size': setup.recipe.forget // 3,
      'proxies': {name: {
          **comparison.compared(truth, means[name], x.runs,
                                setup.recipe.forget // 3),
          'seconds': x.seconds, 'share': whole and x.seconds / whole}
                  for name, x in found.items()}}
  files.write_json(setup.root / 'proxies.json', about)
  return about


def estimate_seconds(setup: Setup) -> float | None:
  """What the models of the estimate took, where all are in the workdir."""
  identity, seconds = subset_models.ensemble_identity(setup), 0.0
  for part in segments.segments(0, setup.recipe.models, subset_models.SEGMENT):
    place, whole = subset_models.segment_place(setup.root, identity, *part)
    if not place.exists():
      return None
    seconds += artefacts.load(place, whole).notes['seconds']
  return seconds
