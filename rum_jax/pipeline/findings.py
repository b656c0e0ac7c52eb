"""The evidence of a request: what its copies still show of the rows."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import datetime
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import rum_jax
from rum_jax import audits, evaluation, trees
from rum_jax.audits import Known, Observed
from rum_jax.pipeline import builders, forgetting, requests, results
from rum_jax.pipeline.forgetting import Before
from rum_jax.pipeline.programs import Programs
from rum_jax.pipeline.requests import Prepared
from rum_jax.pipeline.waiting import waiting
from rum_jax.recipes import paper_settings
from rum_jax.storage import artefacts
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import (
    Examples, Info, Key, Model, Signals, Split, Variables)

RELEARNING_RATE = 0.01  # Of fine-tuning, in its paper.
_PARTS, _KINDS = Known._fields, Observed._fields


@dataclasses.dataclass(frozen=True)
class Relearn:
  """Fine-tuning on the retain set; two equal ones share a program.

  Attributes:
    model: the network.
    momentum: of the optimiser.
    weight_decay: of the optimiser.
    steps: the length of the run.
    batch_size: examples in a step.
  """

  model: Model
  momentum: float
  weight_decay: float
  steps: int
  batch_size: int

  def __call__(self, key: Key, variables: Variables, examples: Examples,
               split: Split) -> tuple[Variables, Info]:
    tx = rum_jax.sgd(RELEARNING_RATE, momentum=self.momentum,
                     weight_decay=self.weight_decay)
    return audits.relearning(
        self.model, tx, steps=self.steps, batch_size=self.batch_size)(
            key, variables, examples, split)


def evidence(
    prepared: Prepared,
    workdir: pathlib.Path,
    programs: Programs,
    before: Before,
    copies: Artefact,
    oracles: Artefact | None,
    request: audits.Request,
) -> audits.Evidence:
  """What original, unlearned and retrained networks show of the rows.

  Args:
    prepared: the request.
    workdir: where what was observed is kept.
    programs: runs the checks.
    before: what the given weights do.
    copies: of `forgetting.unlearned`.
    oracles: of `retraining.retrained`.
    request: for the record.
  """
  rows = np.concatenate([prepared.split.forget, prepared.earlier])
  split = Split(rows.astype(np.int32), prepared.split.retain)
  held_out = prepared.test if len(prepared.test) else None
  label, classes = prepared.source.dataset.label, prepared.source.classes
  unlearned = observed(
      prepared, workdir, programs, split, 'copies', copies,
      forgetting.check_seconds(
          prepared, before, programs, prepared.request.seeds,
          copies.notes.get('compile_seconds')))
  retrained = None if oracles is None else observed(
      prepared, workdir, programs, split, 'oracles', oracles,
      forgetting.check_seconds(  # The programs are compiled already.
          prepared, before, programs, prepared.request.oracles, 0.0))
  new = None if not len(prepared.earlier) else np.arange(
      len(prepared.split.forget))
  return audits.assemble(
      request, audits.Observed(audits.known(before.signals, split, held_out)),
      unlearned, retrained,
      forget_label=label[rows],
      held_out_label=None if held_out is None else label[held_out],
      classes=classes, new=new,
      same_prediction=(
          copies.arrays['predicted'] == before.predicted)[:, rows],
      batch_norm=_batch_norm(prepared, unlearned),
      unseen=_unseen(prepared, rows),
      chance=evaluation.reference_checks.chance_of(
          np.asarray(label)[prepared.source.train], len(classes)))


def _unseen(prepared: Prepared, rows: np.ndarray
            ) -> tuple[np.ndarray, np.ndarray] | None:
  """Positions in `rows`, and of held-out examples, that no search chose by."""
  choice = prepared.choice
  if choice is None:
    return None
  known = np.setdiff1d(prepared.split.forget, choice.unseen)
  return (np.flatnonzero(~np.isin(rows, known)),
          np.flatnonzero(np.isin(prepared.test, choice.unseen_held_out)))


def _batch_norm(prepared: Prepared, found: Observed) -> bool | None:
  """Whether there is batch-norm; `None` where that was not looked at."""
  if prepared.request.checks:
    return found.recalibrated is not None
  return None if prepared.network.variables.stats else False


def observed(prepared: Prepared, workdir: pathlib.Path, programs: Programs,
             split: Split, kind: str, models: Artefact,
             expected: float | None = None) -> Observed:
  """What models say of all parts of the examples, before and after the checks.

  Args:
    prepared: the request.
    workdir: where it is kept.
    programs: runs the checks, by one program for all models of the network.
    split: rows to forget, and those to retain.
    kind: name of the models.
    models: whose `tree` holds variables `[S, ...]`.
    expected: the expected time in seconds.
  """
  request, model = prepared.request, prepared.network.model
  steps = forgetting.relearning_steps(prepared)
  whole = forgetting.identity_of(prepared)
  identity = {
      **{name: whole[name] for name in (
          'rum_jax', 'network', 'data', 'held out')},
      'models': models.digest, 'source': prepared.network.source,
      'split': artefacts.array_digest(*split), 'steps': steps,
      'checks': request.checks, **builders.loop_of(request)._asdict()}

  def compute() -> Artefact:
    variables = Variables(models.tree['params'], models.tree.get('stats', {}))
    variables = jax.tree.map(jnp.asarray, variables)
    keys = jax.vmap(jax.random.key)(
        jnp.arange(trees.length(variables.params)))
    relearn = Relearn(model, request.momentum, request.weight_decay, steps,
                      request.batch_size)
    with waiting('checking', expected):
      found = audits.observe(
          model, keys, variables, prepared.examples, split, prepared.test,
          relearn=relearn if request.checks else None,
          recalibrate=request.checks, batch_size=request.batch_size,
          run=programs.run_alike, signals=lambda models: forgetting.seen(
              model, programs, models, prepared.examples)[0].signals)
    return Artefact(_flat(found))

  arrays = artefacts.stage(
      artefacts.path_of(workdir, f'observed/{kind}', identity), identity,
      compute).arrays
  return _unflat(arrays)


def _flat(found: Observed) -> dict[str, np.ndarray]:
  return {f'{kind}.{part}.{name}': np.asarray(x)
          for kind, known in found._asdict().items() if known is not None
          for part, signals in known._asdict().items() if signals is not None
          for name, x in signals._asdict().items() if x is not None}


def _unflat(arrays: Mapping[str, np.ndarray]) -> Observed:

  def signals(prefix: str) -> Signals | None:
    if f'{prefix}.loss' not in arrays:
      return None
    return Signals(arrays[f'{prefix}.loss'], arrays[f'{prefix}.score'])

  def known(kind: str) -> Any:
    found: list[Any] = [signals(f'{kind}.{part}') for part in _PARTS]
    return None if found[0] is None else Known(*found)

  return Observed(*map(known, _KINDS))


def request_of(
    prepared: Prepared,
    copies: Artefact,
    oracles: Artefact | None,
    *,
    seeds: tuple[int, ...],
    command: str,
    out: audits.File | None,
    tuning: float | None = None,
) -> audits.Request:
  """What the record says of the request; its date is now.

  Args:
    prepared: the request.
    copies: of `forgetting.unlearned`, or without seconds in its notes.
    oracles: of `retraining.retrained`.
    seeds: the numbers of the keys of all copies.
    command: the command line; empty from Python.
    out: the weights that are written, or that are judged.
    tuning: the seconds of a search; `None` where there was none.
  """
  request, card = prepared.request, prepared.card
  seconds = {'tuning': tuning, 'unlearning': copies.notes.get('seconds'),
             'compilation': copies.notes.get('compile_seconds')}
  if oracles is not None:
    seconds['retraining'] = oracles.notes['seconds']
  source = prepared.source
  setting = {**paper_settings.spelled_out(request.method, prepared.setting),
             **builders.loop_of(request)._asdict()}
  notes = list(prepared.notes)
  if prepared.choice is None:
    notes.append(f'Settings of {request.method}: '
                 f'{requests.setting_text(prepared)}. '
                 f'{requests.setting_origin(prepared)}'.rstrip())
  if prepared.missing:
    one = prepared.missing == 1
    notes.append(f'{prepared.missing:,} row{"" if one else "s"} of earlier '
                 f'requests {"is" if one else "are"} no longer in the data, so '
                 f'nothing is shown of {"it" if one else "them"}.')
  return audits.Request(
      rows=tuple(prepared.rows.tolist()), described=request.rows,
      rows_hash=artefacts.array_digest(prepared.rows), data=source.name,
      data_hash=prepared.data_hash, network=prepared.network.name,
      method=request.method, setting=setting, seeds=seeds, command=command,
      date=datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
      seconds={k: float(v) for k, v in seconds.items() if v is not None},
      environment=results.environment(),
      weights_in=audits.File(name=str(prepared.weights.path),
                             sha256=prepared.weights.digest),
      weights_out=out,
      earlier=tuple(audits.Earlier(date=x.date, rows=x.rows, method=x.method)
                    for x in (card.requests if card else ())),
      notes=tuple(notes))


def figure_sentences(evidence: audits.Evidence) -> list[str]:
  """The main figures and the answer, for people."""
  lines, written = [], evidence.written
  if evidence.judged is not None:
    lines.append(str(evidence.judged))
  for part in evidence.parts:
    own, models = [], part.unlearned.models
    rows = {'forget': 'these rows', 'new': 'the rows of this request',
            'all': 'the rows of all requests'}[part.name]
    for where, name in (('the rows to forget', 'forget_accuracy'),
                        ('what is retained', 'retain_accuracy'),
                        ('held-out examples', 'held_out_accuracy')):
      found = getattr(part.unlearned, name)
      if found is not None:
        other = part.retrained and getattr(part.retrained, name)
        lines.append(
            f'Accuracy on {where}: '
            f'{getattr(part.original, name).mean:.1%} before, '
            f'{found.mean:.1%} after'
            + (f' (mean of {models} copies)' if models > 1 else '')
            + (f', {other.mean:.1%} retrained.' if other else '.'))
        if written is not None:
          own.append(f'{found.values[written]:.1%} on {where}')
    if own:
      lines.append(f'The copy that is written, seed {evidence.request.seeds[0]}'
                   f', has {", ".join(own)}.')
    verdict = part.verdict
    lines.append(f'Of {rows}: {verdict.question} {verdict.answer.capitalize()}.'
                 f' {verdict.reason}')
  return [*lines, evidence.verdict.caveat]
