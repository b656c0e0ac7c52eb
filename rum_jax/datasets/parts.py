"""Splits a data set into small files, and joins them again.

Images are compressed without loss, which halves the size of CIFAR.
"""

from __future__ import annotations

import hashlib
import io
import pathlib
from typing import Any

import numpy as np

from rum_jax.storage import files

_ROWS = 16_000  # Rows of pixels in a picture; WebP allows 16,383.
_LABELS = ('y_train', 'y_test')


def split(path: pathlib.Path, folder: pathlib.Path, parts: int
          ) -> list[pathlib.Path]:
  """Writes `NAME.part0.npz` and so on, and returns their paths.

  Raises:
    ValueError: if the images are not uint8 `[N, H, W, 3]`.
  """
  with np.load(path, allow_pickle=False) as data:
    images = [data[f'x_{x}'] for x in ('train', 'test')]
    labels = {name: data[name] for name in _LABELS}
  image = np.concatenate(images)
  if image.dtype != np.uint8 or image.ndim != 4 or image.shape[-1] != 3:
    raise ValueError(f'Expected images of {path} to be uint8 [N, H, W, 3], '
                     f'found {image.dtype} {list(image.shape)}.')
  each = max(1, _ROWS // image.shape[1])
  written, digest = [], hashlib.sha256(image.tobytes()).hexdigest()
  for i, rows in enumerate(np.array_split(np.arange(len(image)), parts)):
    mine = image[rows[0]:rows[-1] + 1]
    blocks = [_packed(mine[k:k + each]) for k in range(0, len(mine), each)]
    written.append(folder / f'{path.stem}.part{i}.npz')
    folder.mkdir(parents=True, exist_ok=True)
    files.write_arrays(written[-1], {
        **labels, 'part': i, 'parts': parts, 'shape': image.shape[1:],
        'pixels': np.concatenate(blocks), 'sizes': [len(x) for x in blocks],
        'sha256': digest})
  return written


def joined(folder: pathlib.Path, name: str) -> pathlib.Path | None:
  """Writes `NAME.npz` beside its parts, if all parts are there.

  An existing file is kept.

  Returns:
    Its path, or `None` if parts are missing.

  Raises:
    ValueError: if the parts do not belong together.
  """
  whole = folder / f'{name}.npz'
  paths = sorted(folder.glob(f'{name}.part*.npz'))
  if whole.exists() or not paths:
    return whole if whole.exists() else None
  found: dict[int, dict[str, Any]] = {}
  for path in paths:
    with np.load(path, allow_pickle=False) as data:
      found[int(data['part'])] = dict(data)
  if len(found) < int(found[min(found)]['parts']):
    return None
  parts = [found[i] for i in sorted(found)]
  image = np.concatenate([_unpacked(x) for x in parts])
  if hashlib.sha256(image.tobytes()).hexdigest() != str(parts[0]['sha256']):
    raise ValueError(f'Expected {paths[0]} and the others to be parts of one '
                     'data set: their images together are not its images.')
  n = len(parts[0]['y_train'])
  files.write_arrays(whole, {
      'x_train': image[:n], 'x_test': image[n:],
      **{x: parts[0][x] for x in _LABELS}})
  return whole


def _packed(image: np.ndarray) -> np.ndarray:
  """Images, stacked to one picture and compressed."""
  from PIL import Image
  stream = io.BytesIO()
  picture = Image.fromarray(image.reshape(-1, *image.shape[2:]))
  picture.save(stream, 'WEBP', lossless=True, quality=75)
  return np.frombuffer(stream.getvalue(), np.uint8)


def _unpacked(part: dict[str, Any]) -> np.ndarray:
  from PIL import Image
  shape = tuple(map(int, part['shape']))
  blocks = np.split(part['pixels'], np.cumsum(part['sizes'])[:-1])
  return np.concatenate([
      np.asarray(Image.open(io.BytesIO(x.tobytes())).convert('RGB'))
      .reshape(-1, *shape) for x in blocks])
