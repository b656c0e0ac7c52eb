"""The record of evidence: everything that was measured of an unlearned model.

`evidence.json` holds what a page needs: figures of the original, the unlearned
and, where there are any, the retrained models, what was requested, and the
verdict. It holds no example.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any, ClassVar

import numpy as np

from rum_jax.audits import _beside_held_out as beside
from rum_jax.audits import _intervals, measures, verdicts
from rum_jax.audits._intervals import Measured
from rum_jax.audits.measures import Comparison, Histogram, Look, Measures
from rum_jax.audits.observations import Known, Observed
from rum_jax.audits.verdicts import Margins, MARGINS, Verdict
from rum_jax.evaluation.results import Environment
from rum_jax.types import AnyArray, Signals

_record = dataclasses.dataclass(frozen=True, kw_only=True)


@_record
class File:
  """A file that came in or went out.

  Attributes:
    name: its name, as it was given.
    sha256: hash of its content.
  """

  name: str
  sha256: str


@_record
class Earlier:
  """An earlier request whose rows these weights had forgotten before.

  Attributes:
    date: when, ISO 8601.
    rows: that were forgotten.
    method: that made the model forget them.
  """

  date: str
  rows: tuple[int, ...]
  method: str


@_record
class Request:
  """What was requested, and how it was done; the command fills it in.

  Attributes:
    rows: to forget, of the published data.
    described: the rows in words, such as `class=3` or the name of the file.
    rows_hash: SHA-256 of the rows.
    data: the name of the data as it was given.
    data_hash: hash of the examples.
    weights_in: the file that came in; `None` where models were trained here.
    weights_out: the file that went out; `None` where none was written.
    network: its name.
    method: name of the algorithm.
    setting: its hyper-parameters.
    seeds: S of them; the first is that of `weights_out`.
    command: the command line.
    date: ISO 8601, when it was run.
    seconds: of each part of the work, such as `unlearning`, `compilation`,
      `memorization`, `tuning`, `retraining`.
    environment: versions and device.
    earlier: the requests before this one.
    notes: sentences that the reader should see, such as a default that was
      chosen.
  """

  rows: tuple[int, ...]
  described: str
  rows_hash: str
  data: str
  data_hash: str
  network: str
  method: str
  setting: Mapping[str, Any]
  seeds: tuple[int, ...]
  command: str
  date: str
  seconds: Mapping[str, float]
  environment: Environment
  weights_in: File | None = None
  weights_out: File | None = None
  earlier: tuple[Earlier, ...] = ()
  notes: tuple[str, ...] = ()


@_record
class Part:
  """All figures on one set of forgotten rows.

  Attributes:
    name: `forget`; where there are earlier requests `new`, and `all` for the
      union.
    size: F.
    classes: class to its number of examples in it; empty where the task has
      none.
    without_held_out: those of them that no held-out example has; the attack
      leaves their examples out.
    original: the weights that came in.
    unlearned: what came out.
    retrained: without these rows; `None` where nothing was retrained.
    change: unlearned minus original.
    gap: unlearned minus retrained; `None` likewise.
    original_gap: original minus retrained; `None` likewise.
    gap_after: `relearned`, `recalibrated` to unlearned minus retrained after
      that check, where both were checked.
    same_prediction: share of the set that is predicted as before; `None` where
      it was not measured.
    histogram: of confidences.
    verdict: the answer, and why.
  """

  name: str
  size: int
  classes: Mapping[str, int]
  without_held_out: tuple[str, ...]
  original: Measures
  unlearned: Measures
  retrained: Measures | None
  change: Comparison
  gap: Comparison | None
  original_gap: Comparison | None
  gap_after: Mapping[str, Comparison]
  same_prediction: Measured | None
  histogram: Histogram
  verdict: Verdict


@_record
class Judged:
  """What is judged after a search of methods: examples that it did not see.

  The figures of what a search chose are too good on the examples that it chose
  by.

  Attributes:
    rows: the number of rows of this request that are judged.
    all_rows: the number of all of them.
    held_out: the number of held-out examples that are judged.
    all_held_out: the number of all of them.
    forget_accuracy: kind of models (`original`, `unlearned`, `retrained`) to
      the accuracy on all rows of this request; it is not judged.
  """

  rows: int
  all_rows: int
  held_out: int
  all_held_out: int
  forget_accuracy: Mapping[str, Measured]

  def __str__(self) -> str:
    return (f'Judged on the other half: {self.rows:,} rows and '
            f'{self.held_out:,} held-out examples, which the search did not '
            'see.')


@_record
class Evidence:
  """The content of `evidence.json`.

  Attributes:
    request: what was requested and how it was done.
    retain: number of retained examples.
    held_out: number of held-out examples; 0 without them.
    batch_norm: whether the network has batch-norm; `None` where nobody looked.
    chance: accuracy of a guess; `None` where the task has none.
    parts: the new rows; where there are earlier requests, then the union.
    judged: the half of the examples that all parts are about, where a search
      chose the method on the other half; `None` where they are about all.
  """

  SCHEMA: ClassVar[int] = 1

  request: Request
  retain: int
  held_out: int
  batch_norm: bool | None
  chance: float | None
  parts: tuple[Part, ...]
  judged: Judged | None = None

  @property
  def verdict(self) -> Verdict:
    """The worst of the verdicts of all parts."""
    return self.worst_first[0].verdict

  @property
  def worst_first(self) -> tuple[Part, ...]:
    """The parts by their verdicts, the worst first; else in their order."""
    return tuple(sorted(self.parts, key=lambda x: verdicts.WORST_FIRST.index(
        x.verdict.answer)))

  @property
  def written(self) -> int | None:
    """The place of the written model in `values` of the unlearned models.

    It is `None` where nothing was written, or where there is one model alone.
    """
    seeds = self.request.seeds
    if self.request.weights_out is None or len(seeds) < 2:
      return None
    return sorted(seeds).index(seeds[0])


def assemble(
    request: Request, original: Observed, unlearned: Observed,
    retrained: Observed | None = None, *,
    forget_label: AnyArray | None = None,
    held_out_label: AnyArray | None = None,
    classes: Sequence[str] = (),
    new: AnyArray | None = None,
    same_prediction: AnyArray | None = None,
    batch_norm: bool | None = None,
    chance: float | None = None,
    margins: Margins = MARGINS,
    unseen: tuple[AnyArray, AnyArray] | None = None,
) -> Evidence:
  """Evidence from what original, unlearned and retrained models say.

  Args:
    request: what was requested and how it was done.
    original: S models, or one, before unlearning.
    unlearned: S models.
    retrained: S' models that never saw the forget set; `None` without them.
    forget_label: `[F]` classes; `None` where the task has none. Then forget
      examples lie beside all held-out examples.
    held_out_label: `[H]` likewise.
    classes: name of each class.
    new: `[n]` positions in the forget set, from 0, of the rows of this request,
      where there were earlier ones; by default all.
    same_prediction: `[S, F]` bool, whether an unlearned model predicts what the
      original one does.
    batch_norm: whether the network has batch-norm. By default it has, if the
      check was done, and else nothing is said.
    chance: accuracy of a guess; `None` where the task has none.
    margins: of the verdict.
    unseen: positions in the forget set, and among the held-out examples, of
      those that a search of methods did not see; these alone are judged. By
      default all are.

  Returns:
    The record, with the verdict.

  Raises:
    ValueError: if there is nothing to forget, or if retrained and unlearned
      models give the same losses, because the same models were given as both.
  """
  if not original.models.forget.loss.shape[-1]:
    raise ValueError('Expected a forget set that holds examples, found none.')
  if retrained is not None and measures.same(
      unlearned.models, retrained.models):
    raise ValueError('Expected retrained models that differ from the unlearned '
                     'ones, found the same loss of every example.')
  judged = None
  if unseen is not None:
    keep, others = (np.asarray(x) for x in unseen)
    judged = _judged(original, unlearned, retrained, new, keep, others)
    original, unlearned = (_only(x, keep, others)
                           for x in (original, unlearned))
    retrained = None if retrained is None else _only(retrained, keep, others)
    new = None if new is None else np.flatnonzero(np.isin(keep, new))
    forget_label = _at(forget_label, keep)
    held_out_label = _at(held_out_label, others)
    same_prediction = _columns(same_prediction, keep)
  everything = np.arange(original.models.forget.loss.shape[-1])
  sets = {'forget': everything} if new is None else {
      'new': np.asarray(new), 'all': everything}
  held_out = original.models.held_out
  parts = tuple(_part(
      name, rows, original, unlearned, retrained, _at(forget_label, rows),
      held_out_label, classes, _columns(same_prediction, rows), chance, margins
  ) for name, rows in sets.items())
  return Evidence(
      request=request, retain=original.models.retain.loss.shape[-1],
      held_out=0 if held_out is None else held_out.loss.shape[-1],
      batch_norm=(True if unlearned.recalibrated is not None else batch_norm),
      chance=chance, parts=parts, judged=judged)


def _judged(original: Observed, unlearned: Observed, retrained: Observed | None,
            new: AnyArray | None, keep: np.ndarray, others: np.ndarray
            ) -> Judged:
  """The sizes of what is judged, and the accuracy on all rows."""
  models, kinds = original.models, {
      'original': original, 'unlearned': unlearned, 'retrained': retrained}
  rows = (np.arange(models.forget.loss.shape[-1]) if new is None else
          np.asarray(new))
  look = Look(rows, np.arange(0), None)
  return Judged(
      rows=int(np.isin(keep, rows).sum()), all_rows=len(rows),
      held_out=len(others), all_held_out=(
          0 if models.held_out is None else models.held_out.loss.shape[-1]),
      forget_accuracy={kind: _intervals.mean(look.forget(x.models))
                       for kind, x in kinds.items() if x is not None})


def _only(seen: Observed, forget: np.ndarray, held_out: np.ndarray) -> Observed:
  """What is said of these forget and held-out examples, and of all retained."""
  take = lambda signals, rows: Signals(
      np.asarray(signals.loss)[:, rows], np.asarray(signals.score)[:, rows])
  cut = lambda known: None if known is None else Known(
      take(known.forget, forget), known.retain,
      None if known.held_out is None else take(known.held_out, held_out))
  models = cut(seen.models)
  assert models is not None
  return Observed(models, cut(seen.relearned), cut(seen.recalibrated))


def _part(name: str, rows: np.ndarray, original: Observed, unlearned: Observed,
          retrained: Observed | None, label: np.ndarray | None,
          held_out_label: AnyArray | None, classes: Sequence[str],
          same: np.ndarray | None, chance: float | None, margins: Margins
          ) -> Part:
  """The figures on the forget examples at positions `rows`."""
  beside_rows, weight, counts, missing = np.arange(len(rows)), None, {}, ()
  if label is not None:
    said = lambda k: str(classes[k]) if len(classes) else str(k)
    counts = {said(k): int((label == k).sum()) for k in np.unique(label)}
    if held_out_label is not None:
      there = np.isin(label, held_out_label)
      missing = tuple(said(k) for k in np.unique(label[~there]))
      beside_rows = np.flatnonzero(there)
      weight = beside.class_weights(label[there], held_out_label)
  look = Look(rows, beside_rows, weight)
  kinds = {'original': original, 'unlearned': unlearned}
  if retrained is not None:
    kinds['retrained'] = retrained
  figures = {kind: look.measures(seen) for kind, seen in kinds.items()}
  change = look.compared(unlearned.models, original.models)
  gaps, later = {}, {}
  if retrained is not None:
    gaps = {kind: look.compared(kinds[kind].models, retrained.models)
            for kind in ('unlearned', 'original')}
    for check in ('relearned', 'recalibrated'):
      both = [getattr(seen, check) for seen in (unlearned, retrained)]
      if all(x is not None for x in both):
        later[check] = look.compared(*both)
  return Part(
      name=name, size=len(rows), classes=counts, without_held_out=missing,
      original=figures['original'], unlearned=figures['unlearned'],
      retrained=figures.get('retrained'), change=change,
      gap=gaps.get('unlearned'), original_gap=gaps.get('original'),
      gap_after=later,
      same_prediction=None if same is None else _intervals.mean(same),
      histogram=measures.histogram(kinds, look), verdict=verdicts.verdict(
          figures['unlearned'], change, gap=gaps.get('unlearned'),
          original_gap=gaps.get('original'), gap_after=later,
          retrained=(0 if retrained is None else
                     figures['retrained'].forget_accuracy.seeds),
          margins=margins, chance=chance,
          retain=original.models.retain.loss.shape[-1]))


def _at(values: AnyArray | None, rows: np.ndarray) -> np.ndarray | None:
  return None if values is None else np.asarray(values)[rows]


def _columns(values: AnyArray | None, rows: np.ndarray) -> np.ndarray | None:
  return (None if values is None else
          np.atleast_2d(np.asarray(values, float))[:, rows])
