"""Trains in segments, so that progress is shown and little work can be lost.

The number of epochs of a segment depends on the measured time. If several
processes share a job, the first one measures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import functools
import pathlib
import shutil
import time
from typing import Any
import warnings

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import evaluation, resumable, trees
from rum_jax.pipeline import builders
from rum_jax.pipeline.programs import Programs
from rum_jax.pipeline.progress import Progress
from rum_jax.recipes import Recipe
from rum_jax.storage import artefacts, hosts
from rum_jax.types import (
    Array, Examples, Key, Model, Split, Variables)

_CALL = 5.0  # Seconds that a segment should take.
_SAVE = 20.0  # Seconds between two saves,
_WORTH = 10  # or this many times the duration of a save, if that is longer.


@dataclasses.dataclass(frozen=True)
class Course:
  """Training from scratch, as a recipe says.

  Attributes:
    recipe: gives the optimiser, the schedule and the number of epochs.
    model: the network.
    images: the number of examples in an epoch.
    observer: updates a record of each run after each epoch.
  """

  recipe: Recipe
  model: Model
  images: int
  observer: resumable.Observer = resumable.NO_OBSERVER

  @functools.cached_property
  def fit(self) -> resumable.Fit:
    return builders.fit_of(self.recipe, self.model, self.images)


@dataclasses.dataclass(frozen=True)
class InitialRun:
  """The function `(key, dataset, split) -> run` before the first epoch."""

  course: Course

  def __call__(self, key: Key, dataset: Examples, split: Split
               ) -> resumable.Run:
    course = self.course
    return resumable.initial_run(course.model, course.fit, course.observer)(
        key, dataset, split)


@dataclasses.dataclass(frozen=True)
class Advance:
  """The function `(key, run, count, dataset, split) -> run`.

  It trains for `count` more epochs.
  """

  course: Course

  def __call__(self, key: Key, run: resumable.Run, count: Array,
               dataset: Examples, split: Split) -> resumable.Run:
    return resumable.advance(self.course.fit, self.course.observer)(
        key, run, count, dataset, split)


def train(
    name: str,
    folder: pathlib.Path,
    identity: dict[str, Any],
    course: Course,
    programs: Programs,
    key: Array,
    dataset: Examples,
    split: Split,
    watch: Callable[[Variables], str],
    split_axis: int | None = None,
) -> tuple[resumable.Run, dict[str, float]]:
  """Trains a model for each key, from scratch or from a saved state.

  Args:
    name: the name of the work on the terminal.
    folder: the folder of the finished artefact; states are kept beside it.
    identity: the identity of that artefact.
    course: the training to do.
    programs: compiles and runs programs.
    key: `[S]`.
    dataset: all examples.
    split: the models are trained on its retain set.
    watch: the function from the variables of the first run to a text that is
      shown beside its loss.
    split_axis: 0 if every run has its own split; `None` if all share one.

  Returns:
    `(run, notes)`: all runs stacked, and the seconds.
  """
  initial_run, fit = InitialRun(course), course.fit
  advance = Advance(course), (0, 0, None, None, split_axis)
  programs.ahead(
      *advance, key, jax.eval_shape(
          jax.vmap(initial_run, (0, None, split_axis)), key, dataset, split),
      jnp.int32(1), dataset, split)
  run, _ = programs.run(
      initial_run, (0, None, split_axis), key, dataset, split)
  run, done, notes = _resumed(folder, identity, run)
  saved, interval, count, progress = time.monotonic(), _SAVE, 1, None
  while done < fit.epochs:
    count = min(count, fit.epochs - done)
    run, taken = programs.run(
        *advance, key, run, jnp.int32(count), dataset, split)
    done += count
    per_epoch = hosts.agree(taken['seconds'] / count)
    notes = {k: notes.get(k, 0.0) + v for k, v in taken.items()}
    if progress is None and per_epoch * (fit.epochs - done) > _CALL:
      progress = Progress(name, fit.epochs, done - count)
    if progress:
      images = len(key) * fit.images / per_epoch
      progress.step(
          f'loss {resumable.last_loss(run, fit, done):.3f}  '
          f'{watch(trees.take(run.state.variables, 0))}  '
          f'{images:,.0f} images/s', count)
    if done < fit.epochs and hosts.agree(
        time.monotonic() - saved > interval):
      begun = time.monotonic()
      _save(folder, identity, run, done, notes)
      saved = time.monotonic()
      interval = max(_SAVE, _WORTH * (saved - begun))
    count = max(1, int(_CALL / per_epoch))
  return run, notes


def _place(folder: pathlib.Path, done: int) -> pathlib.Path:
  return folder.with_name(f'.{folder.name}.epoch{done:05d}')


def _places(folder: pathlib.Path) -> Sequence[pathlib.Path]:
  """Paths of the saved states of a run, the latest first."""
  return sorted(folder.parent.glob(f'.{folder.name}.epoch?????'), reverse=True)


def _save(folder: pathlib.Path, identity: dict[str, Any], run: resumable.Run,
          done: int, notes: dict[str, float]) -> None:
  """Saves a run, and then deletes its older states."""
  leaves = {f'{i:05d}': np.asarray(x)
            for i, x in enumerate(jax.tree.leaves(run))}
  older = _places(folder)
  artefacts.save(_place(folder, done), {**identity, 'epoch': done},
                 artefacts.Artefact({}, leaves, notes))
  for place in older if hosts.first() else ():
    shutil.rmtree(place)


def _resumed(folder: pathlib.Path, identity: dict[str, Any],
             fresh: resumable.Run
             ) -> tuple[resumable.Run, int, dict[str, float]]:
  """The latest state that is not damaged, or `fresh`; its epoch; and notes."""
  found = _furthest(folder, identity) if hosts.first() else None
  done = int(hosts.agree(found[1] if found else 0))
  if not done:
    return fresh, 0, {}
  state = found[0] if found else artefacts.load(
      _place(folder, done), {**identity, 'epoch': done})
  leaves = [state.tree[name] for name in sorted(state.tree)]
  run = jax.tree.unflatten(jax.tree.structure(fresh), map(jnp.asarray, leaves))
  return run, done, dict(state.notes)


def _furthest(folder: pathlib.Path, identity: dict[str, Any]
              ) -> tuple[artefacts.Artefact, int] | None:
  for place in _places(folder):
    done = int(place.name[-5:])
    try:
      return artefacts.load(place, {**identity, 'epoch': done}), done
    except artefacts.DamagedError as error:
      warnings.warn(f'{error} Going on from an earlier state.', stacklevel=2)
  return None


def forget_states(folder: pathlib.Path) -> None:
  """Deletes the states of a run whose artefact is on disk."""
  for place in _places(folder) if hosts.first() else ():
    shutil.rmtree(place)


def watcher(model: Model, dataset: Examples, rows: np.ndarray, name: str
            ) -> Callable[[Variables], str]:
  """The function that describes the accuracy of a model on the first rows."""
  index = jnp.asarray(rows[:1000])

  @functools.cache
  def program():
    return jax.jit(lambda v, data: evaluation.signals(
        model, v, trees.take(data, index)).score.mean())

  return lambda variables: (
      f'{name} accuracy {float(program()(variables, dataset)):.3f}')
