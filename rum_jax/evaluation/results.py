"""The rows of `results.json`: their figures, their differences, the best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rum_jax.evaluation import judge, metrics, statistics
from rum_jax.evaluation.judge import Behaviour
from rum_jax.evaluation.statistics import Row

COMPARED = ('tow', 'tow_by_group', 'tow_mia', 'mia_gap')
FIGURES = (*COMPARED, 'forget_accuracy', 'retain_accuracy', 'test_accuracy')
CONTROLS = ('vanilla', 'matched', 'shuffle')
VARIANTS = (*CONTROLS, 'rum_f')


def row(method: str, variant: str, groups: Iterable[str],
        unlearned: Behaviour, oracle: Behaviour, notes: Mapping[str, Any],
        setting: Any = None) -> dict[str, Any]:
  """One row of the table, as JSON values.

  Args:
    method: name of the algorithm.
    variant: vanilla, matched, shuffle, rum_f, rum or reference.
    groups: names of the G groups.
    unlearned: what the S models do.
    oracle: what the S retrained models do.
    notes: of the stage: seconds, steps, diverged runs.
    setting: the hyper-parameters.

  Returns:
    Summaries over seeds of all `FIGURES`, of `seconds` of one model, and for
    each of the `groups` of `tow` and `forget_accuracy`; and what was given.
  """
  compared = judge.compare(unlearned, oracle)
  count = len(unlearned.forget)
  parts = {}
  for g, name in enumerate(groups):
    tow = metrics.tug_of_war(
        unlearned.groups[:, g] - oracle.groups[:, g],
        unlearned.retain - oracle.retain, unlearned.test - oracle.test)
    parts[name] = {
        'tow': statistics.summary(np.asarray(tow)),
        'forget_accuracy': statistics.summary(
            compared['group_accuracy'][:, g])}
  return {
      'method': method, 'variant': variant,
      **{name: statistics.summary(compared[name]) for name in FIGURES},
      'seconds': statistics.summary(
          [notes.get('seconds', 0.0) / count] * count),
      'compile_seconds': notes.get('compile_seconds', 0.0),
      'steps': notes.get('steps', []), 'diverged': notes.get('diverged', []),
      'probes': notes.get('probes', []),
      'groups': parts, 'setting': setting}


def of_oracle(groups: Iterable[str], truth: Behaviour, seconds: float
              ) -> dict[str, Any]:
  """What retraining gives, and what it costs, as JSON values.

  Args:
    groups: names of the G groups.
    truth: what the S retrained models do.
    seconds: that all of them took together.

  Returns:
    `seconds` of one model, summaries over seeds of `mia` and of the accuracies,
    and for each of the `groups` of the accuracy on it.
  """
  figures = {'mia': truth.mia, 'forget_accuracy': truth.forget,
             'retain_accuracy': truth.retain, 'test_accuracy': truth.test}
  return {
      'seconds': seconds / len(truth.forget),
      **{name: statistics.summary(x) for name, x in figures.items()},
      'groups': {name: statistics.summary(truth.groups[:, g])
                 for g, name in enumerate(groups)}}


def differences(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
  """RUM^F minus each of its controls, paired by seed.

  Args:
    rows: with `method`, `variant` and the figures of `summary`.

  Returns:
    For each method and control: `method`, `minus`, and the summaries of the
    differences in `tow`, `tow_by_group`, `tow_mia` and `mia_gap`.
  """
  by_name = {(r['method'], r['variant']): r for r in rows}
  out = []
  for method in dict.fromkeys(r['method'] for r in rows):
    for control in CONTROLS:
      pair = [by_name.get((method, v)) for v in ('rum_f', control)]
      if all(pair):
        out.append({'method': method, 'minus': control, **{
            name: statistics.summary(np.subtract(
                *(r[name]['values'] for r in pair)))
            for name in COMPARED}})
  return out


def best(rows: Iterable[Row], variant: str | None = None,
         figure: str = 'tow') -> Row | None:
  """The row of highest mean `figure`, of all but references or of one variant.

  A row that lost seeds is passed over: what is left of it flatters it. Nor is
  one row alone the best.
  """
  rivals = [row for row in rows if row['variant'] != 'reference']
  able = [row for row in rivals
          if np.isfinite(statistics.values(row[figure])).all()
          and not row['diverged'] and variant in (None, row['variant'])]
  return max(able, key=lambda row: row[figure]['mean'],
             default=None) if len(rivals) > 1 else None


def references(results: Mapping[str, Any]) -> list[Row]:
  """Doing nothing and another oracle."""
  return [row for row in results['rows'] if row['variant'] == 'reference']
