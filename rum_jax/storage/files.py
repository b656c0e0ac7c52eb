"""Files of arrays, JSON and text: all of one or nothing, by one process alone.

What is written is first written beside its place, and then renamed into it. Of
several processes that do one job, only the first writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import json
import pathlib
from typing import Any

import numpy as np

from rum_jax.storage import hosts


def parsed(flag: str, path: str, parse: Callable[[Any], Any], kind: str) -> Any:
  """`parse` of a JSON file that a person wrote.

  Args:
    flag: that named the file, for messages.
    path: of the file.
    parse: of what the file holds; raises a ValueError or TypeError on a fault.
    kind: what the JSON should be, for messages.

  Raises:
    OSError: if the file cannot be read.
    ValueError: naming the flag, the file and the fault.
  """
  try:
    return parse(json.loads(pathlib.Path(path).read_text()))
  except OSError as error:
    raise OSError(f'Cannot read {flag}={path}: {error.strerror}.') from error
  except (ValueError, TypeError) as error:
    raise ValueError(
        f'Expected {flag}={path} to be a JSON {kind}: {error}.') from error


def write_arrays(path: pathlib.Path, arrays: Mapping[str, Any]) -> None:
  """Writes arrays by name as `.npz`, compressed.

  Args:
    path: ends in `.npz`.
    arrays: what `np.asarray` takes, by name.

  Raises:
    OSError: if it cannot be written.
  """
  _replace(path, lambda partial: np.savez_compressed(partial, **arrays))


def write_text(path: pathlib.Path, text: str) -> None:
  """Writes text as UTF-8.

  Raises:
    OSError: if it cannot be written.
  """
  _replace(path, lambda partial: partial.write_text(text, encoding='utf-8'))


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes `to_json(value)`.

  Args:
    path: of the file.
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
    partial = path.with_name(f'.partial-{path.name}')
    write(partial)
    partial.rename(path)


def _finite(value: Any) -> Any:
  if isinstance(value, dict):
    return {k: _finite(v) for k, v in value.items()}
  if isinstance(value, (list, tuple)):
    return [_finite(v) for v in value]
  if isinstance(value, float) and not np.isfinite(value):
    return None
  return value
