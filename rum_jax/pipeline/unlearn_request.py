"""The whole way of a request: from given weights to new ones and evidence.

From Python it is

    from rum_jax.pipeline import requests, unlearn_request
    request = requests.Request(
        weights='model.safetensors', mean=(0.5,), std=(0.3,), data='mine.npz',
        rows='rows.txt', method='finetune', batch_size=16, checks=False)
    done = unlearn_request.carry_out(request, out='forgotten.safetensors')
    print(done.evidence.verdict.answer, done.evidence.verdict.reason)

which writes the new weights, a card beside them, and the evidence.
"""

from __future__ import annotations

import pathlib
import time
from typing import Any, NamedTuple

from rum_jax import audits, datasets
from rum_jax.pipeline import choosing, findings, forgetting, requests, results
from rum_jax.pipeline import retraining
from rum_jax.pipeline.cards import Card
from rum_jax.pipeline.forgetting import Before, Plan
from rum_jax.pipeline.programs import Programs
from rum_jax.pipeline.request_runs import RequestRun, Say
from rum_jax.pipeline.requests import Prepared, Request
from rum_jax.pipeline.waiting import duration, share_of_training
from rum_jax.types import Variables


class Done(NamedTuple):
  """What came out.

  Attributes:
    weights: path of the new weights.
    workdir: the folder of the run, with `evidence.json`.
    card: what lies beside the weights.
    evidence: what the copies still show of the rows.
    variables: of the copy that was written.
    prepared: the request, as it was read.
  """

  weights: pathlib.Path
  workdir: pathlib.Path
  card: Card
  evidence: audits.Evidence
  variables: Variables
  prepared: Prepared


def carry_out(
    request: Request,
    *,
    out: str | pathlib.Path | None,
    overwrite: bool = False,
    workdir: str | pathlib.Path | None = None,
    force: bool = False,
    dry_run: bool = False,
    programs: Programs | None = None,
    command: str = '',
    say: Say = lambda text: None,
) -> Done | None:
  """Makes copies of given weights forget, judges them, and writes one.

  Args:
    request: what is asked for.
    out: a `.safetensors` file for the new weights.
    overwrite: whether an old file there is replaced.
    workdir: where the copies and the evidence go; by default a folder in `runs`
      named after the weights.
    force: whether a network that is no better than chance is used.
    dry_run: whether to stop when the plan has been told.
    programs: to compile and run with.
    command: that asked, for the card.
    say: called with each line that a person should read.

  Returns:
    What came out; `None` after a dry run.

  Raises:
    OSError: if a file cannot be read or written.
    ValueError: naming the value that does not fit.
  """
  place = None if out is None else pathlib.Path(out)
  if place is not None and not dry_run:
    requests.check_place(place, overwrite)
  prepared = choosing.able(requests.prepare(request))
  retraining.start_of(prepared)  # Refuses what does not fit, before the work.
  programs = programs or Programs()
  run = RequestRun('unlearn', workdir, force, programs, command, say)
  for line in _read(prepared):
    say(line)
  before = run.look(prepared)
  training = retraining.recipe_of(prepared)
  epochs, plan = training.recipe.epochs, None
  search = choosing.search_of(prepared, before, epochs)
  if search is None:
    plan = forgetting.plan(prepared, before, programs, epochs, dry_run)
    for line in _planned(prepared, plan, epochs):
      say(line)
  else:
    say(str(search))
  if request.oracles:
    say(_retraining(prepared, before, str(training), epochs))
  if dry_run or place is None:
    say('Nothing was started: this was a dry run.')
    return None
  size = sum(x.nbytes for x in prepared.weights.state.values())
  requests.check_place(place, overwrite, size)
  with run.entered(prepared, request) as root:
    tuning = None
    if search is not None:
      begun = time.perf_counter()
      prepared, choice = choosing.chosen(prepared, search, root, programs)
      tuning = time.perf_counter() - begun
      for line in choosing.said(choice):
        say(line)
    if plan is None:
      plan = forgetting.plan(prepared, before, programs, epochs)
      for line in _planned(prepared, plan, epochs):
        say(line)
    return _carried_out(run, prepared, before, plan, place, root, tuning)


def _carried_out(run: RequestRun, prepared: Prepared, before: Before,
                 plan: Plan, out: pathlib.Path, root: pathlib.Path,
                 tuning: float | None) -> Done:
  """The work itself, after all has been read and claimed."""
  request, programs = prepared.request, run.programs
  copies = forgetting.unlearned(prepared, root, programs, plan.seconds)
  oracles = retraining.retrained(prepared, root, programs)
  copy = forgetting.made(prepared, copies)
  record = findings.request_of(
      prepared, copies, oracles, seeds=copy.seeds, command=run.command,
      out=audits.File(name=str(out), sha256=copy.digest), tuning=tuning)
  evidence = findings.evidence(
      prepared, root, programs, before, copies, oracles, record)
  results.write(root / 'evidence.json', evidence)
  card = forgetting.hand_back(prepared, copy, out, record, measured(evidence))
  for line in findings.figure_sentences(evidence):
    run.say(line)
  which = (f'the first of {request.seeds} copies, seed {copy.seeds[0]}'
           if request.seeds > 1 else f'seed {copy.seeds[0]}')
  run.say(f'Wrote {out} ({which}) and its card {out.name}.card.json.')
  return Done(out, root, card, evidence, copy.variables, prepared)


def measured(evidence: audits.Evidence) -> dict[str, Any]:
  """The main figures of an evidence, for a card."""
  found: dict[str, Any] = {}
  if evidence.judged is not None:
    found['judged'] = str(evidence.judged)
  for part in evidence.parts:
    kinds = {'before': part.original, 'after': part.unlearned,
             'retrained': part.retrained}
    found[part.name] = {
        'answer': part.verdict.answer, 'question': part.verdict.question,
        **{kind: _figures(x) for kind, x in kinds.items() if x is not None}}
    if evidence.written is not None:
      found[part.name]['copies'] = part.unlearned.models
      found[part.name]['the written copy'] = _figures(
          part.unlearned, evidence.written)
  return found


def _figures(measures: audits.Measures, model: int | None = None
             ) -> dict[str, float | None]:
  """Means over models, or the figures of one of them."""
  attack = measures.attack
  figures = {'forget accuracy': measures.forget_accuracy,
             'retain accuracy': measures.retain_accuracy,
             'held-out accuracy': measures.held_out_accuracy,
             'AUC': None if attack is None else attack.auc}
  return {name: None if x is None else
          x.mean if model is None else x.values[model]
          for name, x in figures.items()}


def _read(prepared: Prepared) -> list[str]:
  """What was read."""
  network, source = prepared.network, prepared.source
  feeding = '; '.join(
      f'{name} {",".join(f"{x:g}" for x in values)}'
      for name, values in network.feeding.items())
  held_out = (f'{len(source.test):,} held-out examples' if len(source.test) else
              'no held-out examples')
  lines = [
      *prepared.notes,
      f'{prepared.weights.path}: {network.name}, {network.size:,} parameters, '
      f'{network.classes} classes; images '
      f'{"×".join(map(str, network.image_shape))}, {feeding}.',
      f'{source.name}: {source.num_train:,} training and {held_out}, '
      f'{len(source.classes)} classes.',
      f'To forget: {datasets.describe_rows(prepared.rows, source)}']
  if prepared.card is not None:
    count = len(prepared.card.requests)
    lines.append(
        f'{count} earlier request{"s" * (count > 1)} made these weights forget '
        f'{len(prepared.earlier):,} examples of these data: they stay '
        'forgotten, and nothing is trained on them.'
        + (f' {prepared.missing:,} more '
           f'{"is" if prepared.missing == 1 else "are"} no longer in the data.'
           if prepared.missing else ''))
  return lines


def _planned(prepared: Prepared, plan: Plan, epochs: int) -> list[str]:
  request = prepared.request
  text = requests.setting_text(prepared)
  copies = 'copy' if request.seeds == 1 else 'copies'
  price = (f'{request.seeds} {copies} of {plan.steps:,} steps: about '
           f'{duration(plan.seconds)}, {share_of_training(plan.units)} for '
           f'{epochs} epochs')
  if plan.memory:
    price += f'; {plan.memory / 2**30:.2g} GiB of memory'
  compiling = (
      f'Compiling took {duration(plan.compile_seconds)} on this machine.'
      if plan.compiled else f'Compiling comes first, about '
      f'{duration(plan.compile_seconds)} as estimated from that of a forward '
      'pass.')
  parts = 'unlearning and compiling'
  if plan.check_seconds:
    compiling += (f' The checks take about {duration(plan.check_seconds)} '
                  'more, with their compilation.')
    parts = 'unlearning, compiling and the checks'
  origin = requests.setting_origin(prepared)
  return [f'Method {request.method}: {text}. {origin}'.rstrip(), f'{price}.',
          f'{compiling} In all about {duration(plan.total)} for {parts}.']


def _retraining(prepared: Prepared, before: Before, rule: str, epochs: int
                ) -> str:
  request, shown = prepared.request, len(prepared.split.retain) * epochs
  seconds = (forgetting.FORWARD * shown * before.seconds
             / len(prepared.source.dataset.label) * request.oracles)
  start = retraining.start_of(prepared)
  text = (f'{request.oracles} networks are retrained for {epochs} epochs, '
          f'about {duration(seconds)} on one device.')
  if start is not None:
    text += (f' They start from {request.start}'
             + (f'; drawn anew: {", ".join(start.fresh)}.' if start.fresh
                else '.'))
  return f'{text} {rule}'.strip()
