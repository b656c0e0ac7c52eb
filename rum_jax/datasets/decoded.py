"""Keeps decoded images in a file beside the folder that they come from.

The file holds four arrays, as `np.save` writes them: a header, labels, rows and
images. The header holds the fingerprint of the folder and the SHA-256 of the
other arrays. A folder is decoded again if the name, the size or the time of
change of a file differs. A file that `cached` did not write is never used.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import glob
import json
import os
import pathlib
import secrets

import numpy as np

from rum_jax.datasets.sources import Source
from rum_jax.storage import digests, files
from rum_jax.types import Images

_FORMAT = 2  # Number of the file format; other formats are replaced.


def cached(folder: pathlib.Path, decode: Callable[[], Source], *,
           place: pathlib.Path | None = None, variant: str = '') -> Source:
  """Returns what `decode` returns, or what it returned before for these files.

  The result is kept in a file, all of it or nothing. If the file cannot be
  written, nothing is kept.

  Args:
    folder: the folder of all files that the result depends on.
    decode: called without arguments if nothing is kept.
    place: the path of that file, outside the folder; by default
      `<folder>.decoded`.
    variant: anything else that the result depends on, such as a size of images.

  Raises:
    ValueError: if the file was truncated or altered; the message names it.
  """
  place = place or folder.with_name(f'{folder.name}.decoded')
  identity = fingerprint(folder) + variant
  source = _read(place, identity)
  if source is None:
    source = decode()
    # Nothing is kept if a file changed in the meantime.
    if fingerprint(folder) + variant == identity:
      _write(place, identity, source)
  return source


def fingerprint(folder: pathlib.Path) -> str:
  """SHA-256 of the names, sizes and times of change of all files inside."""
  root = str(folder)
  lines, waiting = [], [root]
  while waiting:
    with os.scandir(waiting.pop()) as entries:
      for entry in entries:
        if entry.is_dir():
          waiting.append(entry.path)
        else:
          stat, name = entry.stat(), entry.path[len(root):]
          lines.append(f'{name}\0{stat.st_size}\0{stat.st_mtime_ns}\0')
  return digests.digest([_FORMAT, sorted(lines)])


def _digest(source: Source) -> str:
  """SHA-256 of a source: its names, shapes, types and contents."""
  return digests.digest([
      source.name, source.classes, source.num_train, source.notes,
      source.files, digests.array_digest(*source.dataset, source.row)])


def _read(place: pathlib.Path, identity: str) -> Source | None:
  """The source that is kept for this fingerprint, or `None`."""
  try:
    file = place.open('rb')
  except OSError:
    return None
  with file:
    try:
      header = json.loads(str(np.load(file, allow_pickle=False)))
      if header['fingerprint'] != identity:
        return None
      label, row, image = (np.load(file, allow_pickle=False) for _ in range(3))
      source = Source(Images(image, label), header['num_train'], row,
                      tuple(header['classes']), header['name'],
                      *(tuple(header.get(x, ())) for x in ('notes', 'files')))
      whole = _digest(source) == header['sha256'] and not file.read(1)
    except Exception as error:  # Altered bytes raise almost anything.
      raise ValueError(_damage(place)) from error
  if not whole:
    raise ValueError(_damage(place))
  return source


def _damage(place: pathlib.Path) -> str:
  return (f'Expected {place} as it was written, found it truncated or altered: '
          'delete it, and the data set is decoded again.')


def _write(place: pathlib.Path, identity: str, source: Source) -> None:
  """Keeps a source, all of it or nothing."""
  header = json.dumps({
      'fingerprint': identity, 'sha256': _digest(source), 'name': source.name,
      'num_train': source.num_train, 'classes': source.classes,
      'notes': source.notes, 'files': source.files})
  partial = place.with_name(f'.{place.name}.{secrets.token_hex(8)}.partial')
  with contextlib.suppress(OSError):
    for left in place.parent.glob(f'.{glob.escape(place.name)}.*.partial'):
      left.unlink()  # A killed process left it.
    with (files.replacing(place, partial) as partial,
          partial.open('wb') as file):
      for x in (header, source.dataset.label, source.row, source.dataset.image):
        np.save(file, np.asarray(x), allow_pickle=False)
