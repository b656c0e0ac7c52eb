"""SHA-256 of JSON values, arrays and files, as 64 hexadecimal digits."""

from __future__ import annotations

import hashlib
import json
import pathlib
from typing import Any

from jax.typing import ArrayLike
import numpy as np


def digest(identity: Any) -> str:
  """SHA-256 of a JSON value, keys sorted.

  Raises:
    TypeError: if `identity` holds a value that JSON does not have.
    ValueError: if it holds a NaN or an infinity.
  """
  text = json.dumps(identity, sort_keys=True, allow_nan=False)
  return hashlib.sha256(text.encode()).hexdigest()


def array_digest(*arrays: ArrayLike) -> str:
  """SHA-256 of the shapes, types and contents of arrays.

  A scalar counts as an array of one row.
  """
  sha = hashlib.sha256()
  for x in map(np.ascontiguousarray, arrays):
    sha.update(f'{x.shape}{x.dtype.str}'.encode())
    sha.update(x.reshape(-1).view(np.uint8).data)
  return sha.hexdigest()


def file_digest(path: pathlib.Path) -> str:
  """SHA-256 of the bytes of a file."""
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()
