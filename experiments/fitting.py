"""Training in segments: progress on the terminal, and little lost to a kill.

One program runs as many epochs as it is told, so that it compiles once and
cutting a run anywhere changes no bit of it. How many epochs a segment takes is
chosen by the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools
import pathlib
import shutil
import time
from typing import Any, NamedTuple
import warnings

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from experiments.assembly import Fit
from experiments.programs import Programs
from experiments.progress import Progress
from rum_jax import checkpoints, training, trees
from rum_jax.types import (
    Array, Dataset, Key, Model, PyTree, Split, Variables)

_CALL = 5.0  # Seconds that a segment should take.
_SAVE = 20.0  # Seconds of work between two saves, and at least
_WORTH = 10  # so many times what a save takes.


class Run(NamedTuple):
  """A run between two segments: all that goes on, and `[T]` losses so far."""

  state: training.State
  loss: Array
  seen: PyTree = ()


class Observer(NamedTuple):
  """Looks at a run after each epoch and keeps what it wants to keep.

  Attributes:
    begin: maps the variables before the first epoch to what is kept then.
    observe: `(kept, state, dataset) -> kept`.
  """

  begin: Callable[[Variables], PyTree]
  observe: Callable[[PyTree, training.State, Dataset], PyTree]


BLIND = Observer(lambda variables: (), lambda kept, state, dataset: kept)


def begin(model: Model, fit: Fit, observer: Observer
          ) -> Callable[[Key], Run]:
  """`key -> run` before its first epoch."""

  def start(key: Key) -> Run:
    key_init, _ = jax.random.split(key)
    state = training.start(model.init(key_init), fit.tx)
    return Run(state, jnp.full((fit.steps,), jnp.nan),
               observer.begin(state.variables))

  return start


def advance(fit: Fit, observer: Observer) -> Callable[..., Run]:
  """`(key, run, count, dataset, split) -> run` that is `count` epochs on."""

  def some(key: Key, run: Run, count: Array, dataset: Dataset, split: Split
           ) -> Run:
    _, key_fit = jax.random.split(key)

    def epoch(_, run: Run) -> Run:
      state, info = training.run_epochs(
          key_fit, run.state, dataset, split, objective=fit.objective,
          tx=fit.tx, draw=fit.draw, epochs=1, total_steps=fit.steps)
      first = run.state.epoch * info.loss.shape[0]
      return Run(state, lax.dynamic_update_slice(run.loss, info.loss, (first,)),
                 observer.observe(run.seen, state, dataset))

    return lax.fori_loop(0, count, epoch, run)

  return some


def train(
    name: str,
    folder: pathlib.Path,
    identity: dict[str, Any],
    fit: Fit,
    model: Model,
    programs: Programs,
    key: Array,
    dataset: Dataset,
    split: Split,
    watch: Callable[[Variables], str],
    split_axis: int | None = None,
    observer: Observer = BLIND,
) -> tuple[Run, dict[str, float]]:
  """Trains a model for each key, from scratch or from what a kill left.

  Args:
    name: shown on the terminal, and of the programs.
    folder: where the finished artefact will lie; states are kept beside it.
    identity: of that artefact.
    fit: what to train.
    model: the network.
    programs: compiled so far.
    key: `[S]`.
    dataset: all examples.
    split: whose retain set is trained on.
    watch: tells from the first run's variables what to show beside its loss.
    split_axis: 0 where every run has a split of its own.
    observer: looks at each run after each epoch.

  Returns:
    `(run, notes)`: all runs stacked, and the seconds that it took.
  """
  run, _ = programs.run(
      f'{name} begin {fit.steps}', begin(model, fit, observer), (0,), key)
  run, done, notes = _resumed(folder, identity, run)
  saved, interval, count, progress = time.monotonic(), _SAVE, 1, None
  while done < fit.epochs:
    count = min(count, fit.epochs - done)
    run, taken = programs.run(
        f'{name} {fit.epochs} {fit.steps}', advance(fit, observer),
        (0, 0, None, None, split_axis), key, run, jnp.int32(count), dataset,
        split)
    done, per_epoch = done + count, taken['seconds'] / count
    notes = {k: notes.get(k, 0.0) + v for k, v in taken.items()}
    if progress is None and per_epoch * (fit.epochs - done) > _CALL:
      progress = Progress(name, fit.epochs, done - count)
    if progress:
      images = len(key) * fit.images / per_epoch
      progress.step(
          f'loss {_last_loss(run, fit, done):.3f}  '
          f'{watch(trees.take(run.state.variables, 0))}  '
          f'{images:,.0f} images/s', count)
    if done < fit.epochs and time.monotonic() - saved > interval:
      begun = time.monotonic()
      _save(folder, identity, run, done, notes)
      saved = time.monotonic()
      interval = max(_SAVE, _WORTH * (saved - begun))
    count = max(1, int(_CALL / per_epoch))
  return run, notes


def _last_loss(run: Run, fit: Fit, done: int) -> float:
  """Mean loss of the first run's last epoch."""
  length = fit.steps // fit.epochs
  return float(run.loss[0, (done - 1) * length:done * length].mean())


def _place(folder: pathlib.Path, done: int) -> pathlib.Path:
  return folder.with_name(f'.{folder.name}.epoch{done:05d}')


def _places(folder: pathlib.Path) -> Sequence[pathlib.Path]:
  """States of an unfinished run, the furthest first."""
  return sorted(folder.parent.glob(f'.{folder.name}.epoch?????'), reverse=True)


def _save(folder: pathlib.Path, identity: dict[str, Any], run: Run, done: int,
          notes: dict[str, float]) -> None:
  """Saves a run, and only then drops what was saved of it before."""
  leaves = {f'{i:05d}': np.asarray(x)
            for i, x in enumerate(jax.tree.leaves(run))}
  older = _places(folder)
  checkpoints.save(_place(folder, done), {**identity, 'epoch': done},
                   checkpoints.Artefact({}, leaves, notes))
  for place in older:
    shutil.rmtree(place)


def _resumed(folder: pathlib.Path, identity: dict[str, Any], fresh: Run
             ) -> tuple[Run, int, dict[str, float]]:
  """The furthest state that is whole, or `fresh`."""
  for place in _places(folder):
    done = int(place.name[-5:])
    try:
      found = checkpoints.load(place, {**identity, 'epoch': done})
    except checkpoints.DamagedError as error:
      warnings.warn(f'{error} Going on from an earlier state.', stacklevel=2)
      continue
    leaves = [found.tree[name] for name in sorted(found.tree)]
    run = jax.tree.unflatten(
        jax.tree.structure(fresh), map(jnp.asarray, leaves))
    return run, done, dict(found.notes)
  return fresh, 0, {}


def forget_states(folder: pathlib.Path) -> None:
  """Drops the states of a run whose artefact is on disk."""
  for place in _places(folder):
    shutil.rmtree(place)


def watcher(model: Model, dataset: Dataset, rows: np.ndarray, name: str
            ) -> Callable[[Variables], str]:
  """Shows the accuracy of one model on the first of the given rows."""
  index = jnp.asarray(rows[:1000])

  @functools.cache
  def program():
    return jax.jit(lambda v, data: (
        training.predict(model, v, data.image[index]).logits.argmax(-1)
        == data.label[index]).mean())

  return lambda variables: (
      f'{name} accuracy {float(program()(variables, dataset)):.3f}')
