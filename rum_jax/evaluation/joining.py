"""Joins results of different seeds to one table."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math
from typing import Any

import numpy as np

from rum_jax.evaluation import results as typed
from rum_jax.evaluation import statistics
from rum_jax.evaluation.results import Results, Row
from rum_jax.evaluation.statistics import Summary

# Fields that may differ: the seeds, and paths of files, because the groups and
# settings in these files are compared.
_FREE = ('seeds', 'first_seed', 'scores', 'groups', 'settings', 'rest')


def joined(parts: Sequence[Results]) -> Results:
  """The results of all seeds, from several results of some seeds.

  Only rows that all parts have are kept. Nothing is trained or evaluated again.

  Args:
    parts: results with the same data and forget set, and with the same recipe
      except for its seeds.

  Returns:
    The results of all seeds, in ascending order, as if they were of one run.

  Raises:
    ValueError: if there is no part, if two parts share a seed, or if the parts
      differ in recipe, data or forget set; the message names the difference.
  """
  if not parts:
    raise ValueError('Expected results to join, found none.')
  parts = sorted(parts, key=lambda part: part.seeds)
  seeds = [seed for part in parts for seed in part.seeds]
  if len(set(seeds)) < len(seeds):
    raise ValueError(f'Expected seeds={seeds} to hold none twice.')
  first = parts[0]
  for part in parts[1:]:
    _check_same(first, part)
  every = [row for part in parts for row in part.rows]
  rows = [[x for x in every if _name(x) == _name(row)] for row in first.rows]
  groups = {
      name: dataclasses.replace(group, es=_summary(
          [part.groups[name].es for part in parts]))
      for name, group in first.groups.items()}
  rest = {k: v for k, v in first.recipe.rest.items() if k != 'first_seed'}
  recipe = dataclasses.replace(
      first.recipe, seeds=len(seeds), rest={**rest, 'first_seed': seeds[0]})
  return typed.assemble(
      typed.Origin(recipe=recipe, environment=first.environment,
                   data_hash=first.data_hash),
      seeds=seeds, examples=first.examples, corrupted=first.corrupted,
      groups=groups, oracle=_oracle([part.oracle for part in parts],
                                    [len(part.seeds) for part in parts]),
      rows=[_row(x) for x in rows if len(x) == len(parts)],
      chance=first.chance, forgotten_classes=first.forgotten_classes)


def _name(row: Row) -> tuple[str, str]:
  return row.method, row.variant


def _check_same(one: Results, other: Results) -> None:
  recipes = [{**vars(x.recipe), **x.recipe.rest} for x in (one, other)]
  for name in recipes[0]:
    a, b = (x.get(name) for x in recipes)
    if name not in _FREE and a != b:
      raise ValueError(f'Expected results of one recipe, found {name}={a} and '
                       f'{name}={b}.')
  if one.data_hash != other.data_hash or one.corrupted != other.corrupted:
    raise ValueError(f'Expected results of one data set, found '
                     f'{one.data_hash[:12]} and {other.data_hash[:12]}.')
  for name in {*one.groups, *other.groups}:
    a, b = (x.groups.get(name) for x in (one, other))
    if a is None or b is None or a.rows != b.rows:
      raise ValueError(f'Expected results of one forget set, found two of the '
                       f'group {name}.')
  for row in one.rows:
    theirs = [x for x in other.rows if _name(x) == _name(row)]
    if theirs and theirs[0].setting != row.setting:
      raise ValueError(f'Expected one setting of {row.method} {row.variant}, '
                       f'found {row.setting} and {theirs[0].setting}.')


def _summary(parts: Sequence[Summary]) -> Summary:
  return statistics.summary(np.concatenate([
      np.asarray(x.values, float) for x in parts]))


def _merged(parts: Sequence[Any]) -> Any:
  """The first part, with summaries over the seeds of all parts."""
  fields: dict[str, Any] = {}
  for name, value in vars(parts[0]).items():
    values = [getattr(x, name) for x in parts]
    if isinstance(value, Summary):
      fields[name] = _summary(values)
    elif name == 'groups':
      fields[name] = {
          key: (_summary if isinstance(x, Summary) else _merged)(
              [v[key] for v in values]) for key, x in value.items()}
  return dataclasses.replace(parts[0], **fields)


def _row(parts: Sequence[Row]) -> Row:
  return dataclasses.replace(
      _merged(parts), compile_seconds=math.fsum(
          x.compile_seconds for x in parts),
      diverged=tuple(x for part in parts for x in part.diverged))


def _oracle(parts: Sequence[typed.Oracle], counts: Sequence[int]
            ) -> typed.Oracle:
  return dataclasses.replace(_merged(parts), seconds=float(np.average(
      [x.seconds for x in parts], weights=counts)))
