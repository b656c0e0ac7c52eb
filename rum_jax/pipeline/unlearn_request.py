"""Carries out a request: from given weights to new weights and evidence."""

from __future__ import annotations

from collections.abc import Callable
import pathlib
from typing import Any

import numpy as np

from rum_jax import datasets
from rum_jax.pipeline import forgetting, requests, runs
from rum_jax.pipeline.forgetting import Before, Done, Plan
from rum_jax.pipeline.programs import Programs
from rum_jax.pipeline.requests import Prepared, Request
from rum_jax.pipeline.waiting import minutes
from rum_jax.recipes import paper_settings
from rum_jax.storage import artefacts
from rum_jax.types import Signals

TRAIN_EPOCHS = 30  # Epochs of one training in the paper, the unit of costs.


def carry_out(
    request: Request,
    *,
    out: pathlib.Path | None,
    overwrite: bool = False,
    workdir: str | pathlib.Path | None = None,
    force: bool = False,
    dry_run: bool = False,
    programs: Programs | None = None,
    command: str = '',
    say: Callable[[str], Any] = lambda text: None,
) -> Done | None:
  """Unlearns copies of given weights, and writes one of them.

  Args:
    request: the request.
    out: the path of a `.safetensors` file for the new weights.
    overwrite: whether an old file is replaced.
    workdir: the folder of the copies and the evidence; by default a folder in
      `runs` that is named after the weights.
    force: whether a network that is no better than chance is used.
    dry_run: whether to stop after the plan.
    programs: compiles and runs programs.
    command: the command, for the card.
    say: is called with each line for the user.

  Returns:
    The result; `None` after a dry run.

  Raises:
    OSError: if a file cannot be read or written.
    ValueError: that names the value that does not fit.
  """
  if out is not None and not dry_run:
    requests.check_place(out, overwrite)
  prepared = requests.prepare(request)
  programs = programs or Programs()
  for line in _described(prepared):
    say(line)
  before = forgetting.look(prepared, programs)
  say(_accuracy(before))
  if not force:
    forgetting.check_trained(prepared, before, programs)
  plan = forgetting.plan(prepared, before, programs, TRAIN_EPOCHS, dry_run)
  for line in _planned(prepared, plan):
    say(line)
  if dry_run or out is None:
    say('Nothing was started: this was a dry run.')
    return None
  size = sum(x.nbytes for x in prepared.weights.state.values())
  requests.check_place(out, overwrite, size)
  root = pathlib.Path(workdir or artefacts.path_of(
      pathlib.Path('runs'), f'unlearn_{prepared.weights.path.stem}',
      forgetting.identity_of(prepared)))
  lock = runs.claim(root)
  try:
    runs.enter(root, 'unlearn', request)
    artefact = forgetting.unlearned(prepared, root, programs, plan.seconds)
    measured = _measured(prepared, before, artefact)
    for line in _told(measured):
      say(line)
    done = forgetting.hand_back(
        prepared, artefact, before, out, command, measured)
  finally:
    lock.release()
  say(f'Wrote {out} (the copy with seed {done.card.requests[-1].seeds[0]}) and '
      f'its card beside it; the evidence is in {root}.')
  return done


def _described(prepared: Prepared) -> list[str]:
  """Lines about the weights, the data and the rows."""
  network, source = prepared.network, prepared.source
  lines = [*prepared.notes]
  lines.append(
      f'{prepared.weights.path}: {network.name}, {network.size:,} parameters, '
      f'{network.classes} classes; images {_joined(network.image_shape, "×")}.')
  held_out = (f'{len(source.test):,} held-out examples' if len(source.test) else
              'no held-out examples')
  lines.append(f'{source.name}: {source.num_train:,} training and {held_out}, '
               f'{len(source.classes)} classes.')
  described = datasets.describe_rows(prepared.rows, source)
  lines.append(f'To forget: {described}')
  if prepared.card is not None:
    lines.append(
        f'{len(prepared.card.requests)} earlier '
        f'request{"s" * (len(prepared.card.requests) > 1)} of these weights: '
        f'{len(prepared.earlier):,} examples that are neither forgotten again '
        'nor trained on'
        + (f'; {prepared.missing:,} are no longer in the data.'
           if prepared.missing else '.'))
  return lines


def _accuracy(before: Before) -> str:
  test = ('there are no held-out examples' if np.isnan(before.test) else
          f'{before.test:.1%} on the held-out ones')
  return (f'Accuracy of the given weights: {before.train:.1%} on the training '
          f'examples, {test}.')


def _planned(prepared: Prepared, plan: Plan) -> list[str]:
  request = prepared.request
  values = paper_settings.spelled_out(request.method, prepared.setting)
  text = ', '.join(f'{k}={v}' for k, v in values.items()) or 'no settings'
  source = ('as given' if request.setting else
            'as the papers have it, tuned for nothing')
  lines = [f'Method {request.method}: {text}; {source}.']
  price = (f'{request.seeds} cop{"ies" if request.seeds > 1 else "y"} of '
           f'{plan.steps:,} steps: about {minutes(plan.seconds)} and '
           f'{plan.units:.2g} of the work of training once for {TRAIN_EPOCHS} '
           'epochs')
  if plan.memory:
    price += f'; {plan.memory / 2**30:.2g} GiB of memory'
  return [*lines, f'{price}, and the time to compile.']


def _measured(prepared: Prepared, before: Before, artefact: Any
              ) -> dict[str, Any]:
  after = Signals(artefact.arrays['loss'], artefact.arrays['score'])
  return {'accuracy before': forgetting.accuracies(prepared, before.signals),
          'accuracy after': forgetting.accuracies(prepared, after)}


def _told(measured: dict[str, Any]) -> list[str]:
  before, after = measured['accuracy before'], measured['accuracy after']
  return [f'Accuracy on {name}: {np.mean(before[name]):.1%} before, '
          f'{np.mean(values):.1%} after.' for name, values in after.items()]


def _joined(values: Any, sign: str) -> str:
  return sign.join(map(str, values))


