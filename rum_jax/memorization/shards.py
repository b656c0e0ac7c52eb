"""Evaluations of memorization models in small files, which any run can merge.

A shard holds the evaluation of a few models with consecutive numbers on every
example. Its identity is all that determines the results: the number of this
format, the hash of the published data, the network, the training settings and
the rule that draws the subset of a model. The version of this package and the
names of its modules are not part of it. So shards from different days and
machines, with or without GPUs, can be merged.

A shard is an `.npz` file of these arrays, for `m` models, N training and n
held-out examples in their published order:

| name | shape and type | holds |
|---|---|---|
| `identity` | `[]` string | the identity, as JSON |
| `first` | `[]` int64 | number of the first model |
| `inside` | `[m, ⌈N / 8⌉]` uint8 | bits: model trained on the example |
| `correct` | `[m, ⌈N / 8⌉]` uint8 | bits: model classifies it correctly |
| `held_out` | `[m, ⌈n / 8⌉]` uint8 | the same for held-out examples |
| `level` | `[m, N]` uint8 | the label's probability, in steps of 1 / 31 |
| `notes` | `[]` string | seconds and device, as JSON |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import hashlib
import json
import pathlib
from typing import Any, NamedTuple
import zipfile
import zlib

import numpy as np

from rum_jax.memorization import estimator
from rum_jax.memorization.ensemble import Ensemble
from rum_jax.storage import files
from rum_jax.types import Images

FORMAT = 1
LEVELS = 31  # So a probability takes five bits, and fewer after compression.
_BITS = ('inside', 'correct', 'held_out')
_BLOCK = 64  # Models whose probabilities are unpacked at a time.


class Shard(NamedTuple):
  """The evaluation of models `first` to `first + m − 1`.

  Attributes:
    identity: all that determines the results, as JSON values.
    first: number of the first model.
    inside: `[m, ⌈N / 8⌉]` packed bits: which models trained on which examples.
    correct: `[m, ⌈N / 8⌉]` packed bits: which models classify which examples
      correctly.
    held_out: `[m, ⌈n / 8⌉]` packed bits: the same for held-out examples.
    level: `[m, N]` uint8, the label's probability in steps of `1 / LEVELS`.
    notes: seconds, device and similar facts, as JSON values.
  """

  identity: dict[str, Any]
  first: int
  inside: np.ndarray
  correct: np.ndarray
  held_out: np.ndarray
  level: np.ndarray
  notes: dict[str, Any]

  @property
  def models(self) -> int:
    return len(self.inside)


def published_hash(examples: Images) -> str:
  """SHA-256 of images and labels; it does not depend on the dtype of labels.

  Args:
    examples: all examples of a published part, in their published order.
  """
  sha = hashlib.sha256()
  sha.update(np.ascontiguousarray(examples.image, np.uint8).tobytes())
  sha.update(np.ascontiguousarray(examples.label, '<i4').tobytes())
  return sha.hexdigest()


def identity(train: Images, held_out: Images, network: Mapping[str, Any],
             training: Mapping[str, Any], subset: Mapping[str, Any]
             ) -> dict[str, Any]:
  """All that determines the results of the model with a given number.

  Args:
    train: the published training examples.
    held_out: the published test examples.
    network: its name and settings, as JSON values.
    training: optimiser, schedule and precision, as JSON values.
    subset: the rule that draws the subset of each model, as JSON values.
  """
  parts = {'format': FORMAT,
           'data': {'train': published_hash(train),
                    'held_out': published_hash(held_out),
                    'examples': [len(train.label), len(held_out.label)]},
           'network': dict(network), 'training': dict(training),
           'subset': dict(subset)}
  return json.loads(json.dumps(parts))  # The values that a reader gets.


def path_of(folder: pathlib.Path, first: int, models: int) -> pathlib.Path:
  """The path of the file of models `first` to `first + models − 1`."""
  return folder / f'models-{first:05d}-{first + models - 1:05d}.npz'


def write(folder: pathlib.Path, shard: Shard) -> pathlib.Path:
  """Writes a shard atomically, and returns its path.

  Raises:
    OSError: if it cannot be written.
  """
  folder.mkdir(parents=True, exist_ok=True)
  path = path_of(folder, shard.first, shard.models)
  arrays = {name: getattr(shard, name) for name in (*_BITS, 'level')}
  files.write_arrays(path, {
      'identity': np.str_(json.dumps(shard.identity)),
      'notes': np.str_(json.dumps(shard.notes)),
      'first': np.int64(shard.first), **arrays})
  return path


def read(path: pathlib.Path) -> Shard:
  """Reads a shard.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if the file is not a complete shard of this format; the message
      names the file and the fault.
  """
  try:
    with np.load(path, allow_pickle=False) as data:
      shard = Shard(identity=json.loads(str(data['identity'])),
                    first=int(data['first']),
                    **{name: data[name] for name in (*_BITS, 'level')},
                    notes=json.loads(str(data['notes'])))
    _check(shard)
  except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile,
          zlib.error) as error:
    raise ValueError(f'{path} is not a whole shard of memorization models: '
                     f'{error}') from error
  return shard


def _check(shard: Shard) -> None:
  number = shard.identity.get('format')
  if number != FORMAT:
    raise ValueError(f'Expected format={FORMAT}, found {number}.')
  n, held_out = shard.identity['data']['examples']
  m = len(shard.level)
  for name, width in (('inside', -(-n // 8)), ('correct', -(-n // 8)),
                      ('held_out', -(-held_out // 8)), ('level', n)):
    x = getattr(shard, name)
    if x.shape != (m, width) or x.dtype != np.uint8 or not m:
      raise ValueError(f'Expected {name} of shape ({m}, {width}) and type '
                       f'uint8, found {x.shape} and {x.dtype}.')
  if shard.first < 0 or shard.level.max() > LEVELS:
    raise ValueError(f'Expected first={shard.first} of at least 0, and levels '
                     f'up to {LEVELS}, found {shard.level.max()}.')


def merged(paths: Iterable[pathlib.Path],
           expected: Mapping[str, Any] | None = None) -> Shard:
  """All models of several files as one shard, in ascending order.

  Args:
    paths: the paths of the files, in any order.
    expected: the identity that all must have; by default that of the first.

  Returns:
    The models; `notes['parts']` holds the notes of every file that was written
    when its models were trained.

  Raises:
    ValueError: if there is no file, if one is damaged or has another identity,
      or if their ranges overlap or leave a gap; the message names the files.
  """
  paths = sorted(map(pathlib.Path, paths))
  if not paths:
    raise ValueError('Expected shards to merge, found none.')
  shards = sorted(((read(path), path) for path in paths),
                  key=lambda pair: pair[0].first)
  expected = dict(expected or shards[0][0].identity)
  for shard, path in shards:
    name = different(expected, shard.identity)
    if name:
      raise ValueError(
          f'Expected {path} to be of {name}={_value(expected, name)}, found '
          f'{_value(shard.identity, name)}: these models do not belong to the '
          'others.')
  for (one, path), (other, next_path) in zip(shards, shards[1:]):
    end = one.first + one.models
    if other.first != end:
      fault = ('are there twice' if other.first < end else
               'are missing between them')
      low, high = sorted((other.first, end))
      raise ValueError(f'Expected {path} and {next_path} to follow each other: '
                       f'models {low} to {high - 1} {fault}.')
  arrays = {name: np.concatenate([getattr(shard, name) for shard, _ in shards])
            for name in (*_BITS, 'level')}
  parts = [part for shard, _ in shards for part in shard.notes.get(
      'parts', [{'models': shard.models, **shard.notes}])]
  return Shard(identity=expected, first=shards[0][0].first, **arrays,
               notes={'parts': parts})


def different(one: Mapping[str, Any], other: Mapping[str, Any],
              above: str = '') -> str:
  """Dotted name of the first value that differs, or '' if none does."""
  for name in [*one, *(x for x in other if x not in one)]:
    a, b = one.get(name), other.get(name)
    if a == b:
      continue
    if isinstance(a, Mapping) and isinstance(b, Mapping):
      return different(a, b, f'{above}{name}.')
    return f'{above}{name}'
  return ''


def _value(tree: Mapping[str, Any], name: str) -> Any:
  for part in name.split('.'):
    tree = tree.get(part, 'nothing') if isinstance(tree, Mapping) else tree
  return tree


def as_ensemble(shard: Shard) -> Ensemble:
  """The models of a shard as an ensemble, from which scores are estimated.

  The two halves of the ensemble are the models at even and at odd positions.
  """
  n = shard.level.shape[1]
  halves = []
  for i in (0, 1):
    parts = [estimator.Sums(*np.zeros((3, 2, n), np.int64))]
    for start in range(i, shard.models, 2 * _BLOCK):
      rows = slice(start, start + 2 * _BLOCK, 2)
      level = np.round(shard.level[rows] * (estimator.LEVELS / LEVELS))
      parts.append(estimator.add_up(
          level, estimator.unpack(shard.inside[rows], n)))
    halves.append(estimator.join(parts))
  return Ensemble(shard.correct, shard.inside, shard.held_out,
                  estimator.Sums(*map(np.stack, zip(*halves))))
