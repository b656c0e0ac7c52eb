"""Segments of models, and the union of runs of several machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def segments(first: int, count: int, size: int) -> list[tuple[int, int]]:
  """Cuts models `first` to `first + count − 1` into segments.

  Segments begin at multiples of `size`. So different runs have the same
  segments and can share them.

  Args:
    first: the number of the first model, a multiple of `size`.
    count: the number of models.
    size: the number of models in a segment; the last segment may be shorter.

  Returns:
    `(first model, models)` of each segment.

  Raises:
    ValueError: if `first` is no multiple of `size`.
  """
  if first < 0 or first % size:
    raise ValueError(f'Expected first_model={first} to be a multiple of {size},'
                     ' the number of models in a segment.')
  return [(a, min(size, first + count - a))
          for a in range(first, first + count, size)]


def union(runs: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
  """`(first model, models)` of runs that together leave no gap.

  Args:
    runs: name to `(first model, models)`.

  Raises:
    ValueError: that names two runs which overlap or leave a gap.
  """
  ordered = sorted((*span, name) for name, span in runs.items())
  for (a, m, one), (b, n, other) in zip(ordered, ordered[1:]):
    if b != a + m:
      raise ValueError(
          f'Expected runs that follow each other, found one that '
          f'{"overlaps" if b < a + m else "leaves a gap"}: models {a} to '
          f'{a + m - 1} in {one}, {b} to {b + n - 1} in {other}.')
  return ordered[0][0], sum(m for _, m, _ in ordered)


def check_same(one: Mapping[str, Any], where: str, other: Mapping[str, Any],
               there: str) -> None:
  """Refuses two runs whose results are determined by different values.

  Args:
    one: name to value, such as the fields of a recipe and hashes of the data.
    where: the folder of the first run.
    other: the same for the second run.
    there: the folder of the second run.

  Raises:
    ValueError: with the first name that differs, both values and both places.
  """
  for name in [*one, *other]:
    a, b = (x.get(name, 'missing') for x in (one, other))
    if a != b:
      raise ValueError(f'Expected runs of one recipe and data set, found '
                       f'{name}={a} in {where} and {name}={b} in {there}.')
