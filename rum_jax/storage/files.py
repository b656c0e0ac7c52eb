"""Writes files of arrays, JSON and text, each of them whole or not at all.

A file is written under another name and then renamed. If several processes
share a job, only the first one writes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
import contextlib
import json
import os
import pathlib
import shutil
from typing import Any

import numpy as np

from rum_jax.storage import hosts


def parsed(flag: str, path: str, parse: Callable[[Any], Any], kind: str) -> Any:
  """Parses a JSON file that a person wrote.

  Args:
    flag: the flag that named the file, for messages.
    path: the path of the file.
    parse: a function of the JSON value; raises a ValueError or TypeError on a
      fault.
    kind: what the JSON value should be, for messages.

  Raises:
    OSError: if the file cannot be read.
    ValueError: that names the flag, the file and the fault.
  """
  try:
    return parse(json.loads(pathlib.Path(path).read_text()))
  except OSError as error:
    raise OSError(f'Cannot read {flag}={path}: {error.strerror}.') from error
  except (ValueError, TypeError) as error:
    raise ValueError(
        f'Expected {flag}={path} to be a JSON {kind}: {error}.') from error


@contextlib.contextmanager
def replacing(path: pathlib.Path, partial: pathlib.Path | None = None
              ) -> Generator[pathlib.Path]:
  """A block that replaces a file or writes a folder, all of it or nothing.

      with files.replacing(path) as partial:
        partial.write_bytes(data)

  At the end of the block, the file or folder is flushed to the disk and renamed
  to `path`. If the block fails, everything that it wrote is removed. If the
  process is killed in the block, the next block for this path removes the rest.

  Args:
    path: the path of the file or folder. An old file is replaced; there must be
      no old folder.
    partial: the path at which the block writes, in the same folder as `path`;
      by default `.<name>.partial`.

  Raises:
    OSError: that names `path`, if the block or the renaming raises one.
  """
  partial = partial or path.with_name(f'.{path.name}.partial')
  try:
    _remove(partial)
    yield partial
    for written in (partial, *partial.rglob('*')):
      _sync(written)
    partial.replace(path)
    _sync(path.parent)
  except Exception as error:
    with contextlib.suppress(OSError):
      _remove(partial)
    if not isinstance(error, OSError):
      raise
    raise OSError(
        f'Cannot write {path}: {error.strerror or error}.') from error


def write_arrays(path: pathlib.Path, arrays: Mapping[str, Any]) -> None:
  """Writes arrays by name as `.npz`, compressed.

  Args:
    path: ends in `.npz`.
    arrays: name to a value that `np.asarray` takes.

  Raises:
    OSError: if it cannot be written.
  """
  def write(partial: pathlib.Path) -> None:
    with partial.open('wb') as file:  # To a path, savez would add .npz.
      np.savez_compressed(file, **arrays)

  _replace(path, write)


def write_text(path: pathlib.Path, text: str) -> None:
  """Writes text as UTF-8.

  Raises:
    OSError: if it cannot be written.
  """
  _replace(path, lambda partial: partial.write_text(text, encoding='utf-8'))


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes `to_json(value)`.

  Args:
    path: the path of the file.
    value: nested dicts and sequences of numbers and strings.

  Raises:
    OSError: if it cannot be written.
    TypeError: if `value` holds something else.
  """
  write_text(path, to_json(value))


def to_json(value: Any) -> str:
  """A JSON value as text; NaN and infinities become null."""
  return json.dumps(_finite(value), indent=1, allow_nan=False)


def _replace(path: pathlib.Path, write: Callable[[pathlib.Path], Any]) -> None:
  if hosts.first():
    with replacing(path) as partial:
      write(partial)


def _finite(value: Any) -> Any:
  if isinstance(value, dict):
    return {k: _finite(v) for k, v in value.items()}
  if isinstance(value, (list, tuple)):
    return [_finite(v) for v in value]
  if isinstance(value, float) and not np.isfinite(value):
    return None
  return value


def _remove(path: pathlib.Path) -> None:
  if path.is_dir():
    shutil.rmtree(path)
  else:
    path.unlink(missing_ok=True)


def _sync(path: pathlib.Path) -> None:
  """Flushes a file or folder to the disk."""
  if path.is_dir() and os.name == 'nt':
    return  # Windows cannot open folders.
  handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
  try:
    os.fsync(handle)
  finally:
    os.close(handle)
