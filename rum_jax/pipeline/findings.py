"""The evidence of a request: what its copies still show of the rows."""

from __future__ import annotations

from collections.abc import Mapping
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import rum_jax
from rum_jax import audits, evaluation, training, trees
from rum_jax.audits import Known, Observed
from rum_jax.pipeline import forgetting, results
from rum_jax.pipeline.forgetting import Before
from rum_jax.pipeline.requests import Prepared
from rum_jax.pipeline.waiting import waiting
from rum_jax.recipes import paper_settings
from rum_jax.storage import artefacts
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import Examples, Images, Signals, Split, Variables

RELEARNING_RATE = 0.01  # Of fine-tuning, in its paper.
_RELEARNING_STEPS = 100
_PARTS, _KINDS = Known._fields, Observed._fields


def evidence(
    prepared: Prepared,
    workdir: pathlib.Path,
    before: Before,
    copies: Artefact,
    oracles: Artefact | None,
    request: audits.Request,
) -> audits.Evidence:
  """What original, unlearned and retrained networks show of the rows.

  Args:
    prepared: the request.
    workdir: where what was observed is kept.
    before: what the given weights do.
    copies: of `forgetting.unlearned`.
    oracles: of `retraining.retrained`.
    request: for the record.
  """
  rows = np.concatenate([prepared.split.forget, prepared.earlier])
  split = Split(rows.astype(np.int32), prepared.split.retain)
  held_out = prepared.test if len(prepared.test) else None
  label, classes = prepared.source.dataset.label, prepared.source.classes
  unlearned = observed(prepared, workdir, split, 'copies', copies)
  retrained = None if oracles is None else observed(
      prepared, workdir, split, 'oracles', oracles)
  new = None if not len(prepared.earlier) else np.arange(
      len(prepared.split.forget))
  return audits.assemble(
      request, audits.Observed(audits.known(before.signals, split, held_out)),
      unlearned, retrained,
      forget_label=label[rows],
      held_out_label=None if held_out is None else label[held_out],
      classes=classes, new=new,
      same_prediction=_same(prepared, copies, rows),
      batch_norm=unlearned.recalibrated is not None,
      chance=evaluation.reference_checks.chance_of(
          np.asarray(label)[prepared.source.train], len(classes)))


def observed(prepared: Prepared, workdir: pathlib.Path, split: Split,
             kind: str, models: Artefact) -> Observed:
  """What models say of all parts of the examples, before and after the checks.

  Args:
    prepared: the request.
    workdir: where it is kept.
    split: rows to forget, and those to retain.
    kind: name of the models.
    models: whose `tree` holds variables `[S, ...]`.
  """
  request, model = prepared.request, prepared.network.model
  steps = min(_RELEARNING_STEPS,
              2 * -(-len(split.retain) // request.batch_size))
  whole = forgetting.identity_of(prepared)
  identity = {
      **{name: whole[name] for name in (
          'rum_jax', 'network', 'data', 'held out')},
      'models': models.digest, 'source': prepared.network.source,
      'split': artefacts.array_digest(*split), 'steps': steps,
      'checks': request.checks, **forgetting.loop_of(request)._asdict()}

  def compute() -> Artefact:
    variables = Variables(models.tree['params'], models.tree.get('stats', {}))
    variables = jax.tree.map(jnp.asarray, variables)
    count = trees.length(variables.params)
    keys = jax.vmap(jax.random.key)(jnp.arange(count))
    relearn = audits.relearning(
        model, rum_jax.sgd(RELEARNING_RATE, momentum=request.momentum,
                           weight_decay=request.weight_decay),
        steps=steps, batch_size=request.batch_size) if request.checks else None
    with waiting('checking'):
      found = audits.observe(
          model, keys, variables, prepared.examples, split,
          prepared.test if len(prepared.test) else None, relearn=relearn,
          recalibrate=request.checks, batch_size=request.batch_size)
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


def _same(prepared: Prepared, copies: Artefact, rows: np.ndarray
          ) -> np.ndarray:
  """`[S, F]` whether a copy predicts what the given weights do."""
  model, some = prepared.network.model, trees.take(prepared.examples, rows)

  @jax.jit
  def predicted(variables: Variables, examples: Examples) -> jax.Array:
    outputs = training.predict(model, variables, examples)
    return outputs.prediction.argmax(-1)

  count = trees.length(copies.tree['params'])
  found = [np.asarray(predicted(
      Variables(**trees.take(dict(copies.tree), s)), Images(*some)))
           for s in range(count)]
  given = np.asarray(predicted(prepared.network.variables, Images(*some)))
  return np.stack(found) == given


def request_of(
    prepared: Prepared,
    *,
    seeds: tuple[int, ...],
    seconds: Mapping[str, float],
    date: str,
    command: str,
    out: audits.File | None,
) -> audits.Request:
  """What the record says of the request."""
  request, card = prepared.request, prepared.card
  source = prepared.source
  setting = {**paper_settings.spelled_out(request.method, prepared.setting),
             **forgetting.loop_of(request)._asdict()}
  notes = list(prepared.notes)
  if not request.setting and ':' not in request.method:
    notes.append(
        f'The settings of {request.method} are those of the papers and were '
        'tuned for nothing.')
  if prepared.missing:
    notes.append(f'{prepared.missing:,} rows of earlier requests are no longer '
                 'in the data, so nothing is shown of them.')
  return audits.Request(
      rows=tuple(prepared.rows.tolist()), described=request.rows,
      rows_hash=artefacts.array_digest(prepared.rows), data=source.name,
      data_hash=prepared.data_hash, network=prepared.network.name,
      method=request.method, setting=setting, seeds=seeds, command=command,
      date=date, seconds=dict(seconds), environment=results.environment(),
      weights_in=audits.File(name=str(prepared.weights.path),
                             sha256=prepared.weights.digest),
      weights_out=out,
      earlier=tuple(audits.Earlier(date=x.date, rows=x.rows, method=x.method)
                    for x in (card.requests if card else ())),
      notes=tuple(notes))
