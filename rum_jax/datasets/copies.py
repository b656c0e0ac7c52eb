"""Exact copies: images with the same pixels.

If a row to forget has a copy among the examples that are still trained on, it
cannot be shown whether the row was forgotten. Labels are not compared, so a
copy may have another label.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, NamedTuple

import numpy as np

from rum_jax.datasets import row_positions as published
from rum_jax.datasets.errors import DataError, listed
from rum_jax.datasets.sources import Source
from rum_jax.types import AnyArray


class Copies(NamedTuple):
  """Rows of one set that have copies in another part.

  Attributes:
    part: the part that holds the copies: `retain`, `train`, `test`, or a part
      of `Source.apart`.
    rows: `[n]` sorted published rows of the first set that have copies.
    copies: `[m]` sorted published rows of these copies, in that part.
    other_label: the number of copies whose label differs from the labels of all
      rows that they are copies of.
  """

  part: str
  rows: np.ndarray
  copies: np.ndarray
  other_label: int


def pixel_ids(image: AnyArray) -> np.ndarray:
  """`[N]` int64 numbers, equal for images that are equal in every byte.

  Different images are numbered from 0 in the order of their first occurrence.
  Images are compared by `image_hashes`.

  Args:
    image: `[N, ...]` of any type; uint8 is the fastest.
  """
  return _ids(image, np.arange(len(image)), {})


def image_hashes(image: AnyArray, positions: AnyArray | None = None
                 ) -> tuple[str, ...]:
  """The hash of the pixels of each image, as 32 hexadecimal digits.

  It is 128 bits of BLAKE2b.

  Args:
    image: `[N, ...]` of any type.
    positions: `[n]` images to hash; `None` for all of them.

  References:
    Aumasson et al., BLAKE2: simpler, smaller, fast as MD5, 2013.

  >>> one, other, again = image_hashes(np.uint8([[[1]], [[2]], [[1]]]))
  >>> one == again != other
  True
  """
  image = np.ascontiguousarray(image)
  flat = image.reshape(len(image), math.prod(image.shape[1:]))
  chosen = range(len(flat)) if positions is None else positions.tolist()
  return tuple(hashlib.blake2b(flat[i], digest_size=16).hexdigest()
               for i in chosen)


def exact_copies(rows: Any, source: Source, whole: Source | None = None
                 ) -> tuple[Copies, ...]:
  """The exact copies of rows to forget, for each part of the data.

  Args:
    rows: `[F]` published rows to forget.
    source: the data set, as it will be trained on.
    whole: the data set as it was read, before validation examples were set
      apart or a sample was drawn; without it, only `source` is searched.

  Returns:
    `Copies` of `retain`, the training examples that stay; of each part of
    `source.apart` that `whole` holds; and of `test`, unless `source` holds out
    one of these parts. Without copies, the arrays are empty.

  Raises:
    DataError: if `positions` refuses the rows, or if the images of `source` and
      of `whole` differ in shape.
  """
  place = published.positions(rows, source)
  stays = np.ones(source.num_train, bool)
  stays[place] = False
  parts = [('retain', source, np.flatnonzero(stays))]
  if whole is not None:
    shapes = [x.dataset.image.shape[1:] for x in (source, whole)]
    if shapes[0] != shapes[1]:
      raise DataError(f'Expected images of one shape, found {shapes[0]} and, '
                      f'in whole, {shapes[1]}.', 'whole', shapes[1])
    for part, apart in source.apart:
      found = np.flatnonzero(np.isin(whole.row[:whole.num_train], apart))
      if len(found):
        parts.append((part, whole, found))
  names = [part for part, *_ in parts]
  parts += _held_out(source, whole, names)
  return _compared(source, place, parts)


def part_copies(source: Source) -> Copies:
  """The training examples that have exact copies in the held-out part.

  Args:
    source: a data set with a held-out part; without one, there are no copies.

  Returns:
    Training rows that have copies, and the held-out rows that are these copies.
  """
  held_out = _held_out(source, None, []) or [('test', source, source.test)]
  return _compared(source, source.train, held_out)[0]


def with_copies(rows: Any, source: Source) -> np.ndarray:
  """The rows to forget, followed by the training rows that are their copies.

  Args:
    rows: `[F]` published rows to forget.
    source: the data set, as it will be trained on.

  Returns:
    `[F']` int64 published rows: the given rows in their order, then the copies,
    sorted.

  Raises:
    DataError: if `positions` refuses the rows, or if no training example would
      be left to keep.
  """
  place = published.positions(rows, source)
  retain = exact_copies(rows, source)[0]
  every = np.concatenate([source.row[place], retain.copies]).astype(np.int64)
  if len(every) == source.num_train:
    raise DataError(
        f'With their copies the rows to forget are all {len(every):,} training '
        'examples: none would be left to keep.', 'rows', len(every))
  return every


def describe_copies(copies: Copies, first_set: str = 'rows to forget') -> str:
  """One or two sentences about copies; empty if there are none.

  Args:
    copies: what `exact_copies` or `part_copies` returned.
    first_set: the name of the first set in the sentence.
  """
  part, rows, others, other_label = copies
  if not len(rows):
    return ''
  where = {'retain': 'training examples that stay',
           'sample': 'training examples left out of the sample'}.get(
               part, f'examples of the {part} part')
  text = (f'{len(rows):,} of the {first_set} ({listed(rows.tolist())}) '
          f'{"has" if len(rows) == 1 else "have"} {len(others):,} '
          f'exact {"copy" if len(others) == 1 else "copies"} among the {where} '
          f'({listed(others.tolist())})')
  if other_label:
    text += f', {other_label:,} of them with another label'
  if part == 'retain':
    text += ('; as the copies are still trained on, it cannot be seen whether '
             'these rows were forgotten')
  return f'{text}.'


def _held_out(source: Source, whole: Source | None, known: list[str]
              ) -> list[tuple[str, Source, np.ndarray]]:
  """The held-out parts of both sources, without those in `known`."""
  found = []
  for x in (source, whole):
    if x is None or not len(x.test):
      continue
    part = next((name for name, rows in x.apart
                 if np.array_equal(np.sort(rows), np.sort(x.row[x.test]))),
                'test')
    if part not in [*known, *(name for name, *_ in found)]:
      found.append((part, x, x.test))
  return found


def _ids(image: AnyArray, where: np.ndarray, seen: dict[str, int]
         ) -> np.ndarray:
  """Numbers of the images at these positions; adds new hashes to `seen`."""
  return np.fromiter((seen.setdefault(x, len(seen))
                      for x in image_hashes(image, where)), np.int64)


def _compared(source: Source, place: np.ndarray,
              parts: list[tuple[str, Source, np.ndarray]]
              ) -> tuple[Copies, ...]:
  """The copies of the examples of `source` at these positions in each part."""
  seen: dict[str, int] = {}
  mine, found = _ids(source.dataset.image, place, seen), []
  label = source.dataset.label[place]
  pairs = set(zip(mine.tolist(), label.tolist()))
  for part, other, where in parts:
    theirs = _ids(other.dataset.image, where, seen)
    copied = np.isin(theirs, mine)
    labels = other.dataset.label[where][copied].tolist()
    found.append(Copies(
        part, np.sort(source.row[place[np.isin(mine, theirs)]]),
        np.sort(other.row[where[copied]]),
        sum(x not in pairs for x in zip(theirs[copied].tolist(), labels))))
  return tuple(found)
