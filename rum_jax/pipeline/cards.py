"""Model cards: files beside unlearned weights that describe all requests.

A card holds numbers, names and hashes, and no images. The next request reads
the card of the weights that it starts from. So the rows of all requests are
known.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import Any, ClassVar

import numpy as np

from rum_jax import datasets, records
from rum_jax.storage import files

SUFFIX = '.card.json'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forgotten:
  """One request that was carried out.

  Attributes:
    date: the date and time in UTC: `2026-11-28T19:00:00+00:00`.
    rows: the published rows that were forgotten.
    images: the hash of the pixels of each image, by which it is found in data
      with other rows.
    rows_hash: SHA-256 of the rows.
    data: the name of the data set.
    data_hash: SHA-256 of its training part.
    weights_hash: SHA-256 of the given weights.
    method: the name of the algorithm, or `package.module:factory`.
    setting: its hyper-parameters, and those of the training loop.
    seeds: the numbers of the keys of all copies; the first one made the written
      weights.
    seconds: name of a stage to its time in seconds.
    versions: the versions of Python and of the libraries.
    command: the command; empty if it was called from Python.
    measured: the figures of all copies.
  """

  date: str
  rows: tuple[int, ...]
  images: tuple[str, ...]
  rows_hash: str
  data: str
  data_hash: str
  weights_hash: str
  method: str
  setting: Mapping[str, Any]
  seeds: tuple[int, ...]
  seconds: Mapping[str, float]
  versions: Mapping[str, str]
  command: str
  measured: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
  """The content of a card, for one file of weights.

  Attributes:
    weights: the name of the file.
    weights_hash: SHA-256 of the file.
    network: the description of the network: its name, `mean`, `std`, `classes`
      and similar values.
    requests: all requests, the first one first.
  """

  SCHEMA: ClassVar[int] = 1

  weights: str
  weights_hash: str
  network: Mapping[str, Any]
  requests: tuple[Forgotten, ...]


def path_of(weights: pathlib.Path) -> pathlib.Path:
  """The path of the card of a file of weights."""
  return weights.with_name(weights.name + SUFFIX)


def read(weights: pathlib.Path, weights_hash: str) -> Card | None:
  """The card beside a file of weights, if there is one.

  Args:
    weights: the path of the file.
    weights_hash: SHA-256 of the file.

  Returns:
    The card of these weights. If the card beside them is that of weights that
    came from them, as after a run that was killed before it replaced them, then
    it is cut to the requests before; `None` if there were none.

  Raises:
    OSError: if the card cannot be read.
    ValueError: if it is no card, or the card of other weights, or if it does
      not hold a hash for the image of each row.
  """
  path = path_of(weights)
  if not path.exists():
    return None
  card = records.read(Card, path)
  known = [x.weights_hash for x in card.requests]
  if card.weights_hash != weights_hash and weights_hash in known:
    earlier = card.requests[:known.index(weights_hash)]
    if not earlier:
      return None
    card = dataclasses.replace(
        card, weights_hash=weights_hash, requests=earlier)
  if card.weights_hash != weights_hash:
    raise ValueError(
        f'Expected {path} to be the card of weights={weights}, found that of '
        'other weights: move it away if these weights were never made to '
        'forget, or give the weights that it is of.')
  for i, request in enumerate(card.requests):
    if len(request.images) != len(request.rows):
      raise ValueError(
          f'Expected requests[{i}] in {path} to hold the hash of the image of '
          f'each of {len(request.rows)} rows, found {len(request.images)}.')
  return card


def write(weights: pathlib.Path, card: Card) -> None:
  """Writes the card of a file of weights beside it.

  Raises:
    OSError: if it cannot be written.
  """
  files.write_json(path_of(weights), records.as_json(card))


def earlier_positions(card: Card | None, source: datasets.Source,
                      data_hash: str) -> tuple[np.ndarray, int]:
  """The positions of the examples that earlier requests forgot.

  They are found by their rows in the same data, and by their pixels in other
  data.

  Args:
    card: the card of the weights, or `None`.
    source: the data set, as it was read.
    data_hash: the hash of its training part.

  Returns:
    `[E]` sorted positions, and the number of rows that are not in the data.
  """
  found: set[int] = set()
  missing = 0
  if card is None:
    return np.zeros(0, np.int32), 0
  by_row = {int(row): [i]
            for i, row in enumerate(source.row[:source.num_train])}
  by_pixels: dict[str, list[int]] = {}
  if any(x.data_hash != data_hash for x in card.requests):
    image = source.dataset.image[:source.num_train]
    for i, name in enumerate(datasets.image_hashes(image)):
      by_pixels.setdefault(name, []).append(i)
  for request in card.requests:
    for row, name in zip(request.rows, request.images, strict=True):
      places = (by_row.get(row, []) if request.data_hash == data_hash
                else by_pixels.get(name, []))
      found.update(places)
      missing += not places
  return np.array(sorted(found), np.int32), missing
