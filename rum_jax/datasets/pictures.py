"""Decodes image files to arrays of uint8 of one shape."""

from __future__ import annotations

from collections.abc import Sequence
import pathlib
from typing import Any, NamedTuple

import numpy as np

from rum_jax.datasets.errors import DataError

# The suffixes that torchvision's ImageFolder reads.
SUFFIXES = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff',
            '.webp')
_GREY = ('1', 'L', 'LA')
_COLOUR = ('RGB', 'RGBA', 'P', 'PA', 'CMYK', 'YCbCr', 'LAB', 'HSV', 'RGBX')


class Header(NamedTuple):
  """The header of an image file.

  Attributes:
    height: the height in pixels.
    width: the width in pixels.
    grey: whether the image has no colour.
    transparent: whether the image has a channel of transparency.
  """

  height: int
  width: int
  grey: bool
  transparent: bool


def read_header(path: pathlib.Path) -> Header:
  """Reads the header of an image file, without its pixels.

  Args:
    path: the path of the file.

  Raises:
    DataError: if the file is no image, or if it has several frames or more than
      8 bits a channel; the message names the file.
  """
  with _opened(path) as file:
    if getattr(file, 'n_frames', 1) > 1:
      raise DataError(f'Expected {path} to hold one image, found '
                      f'{file.n_frames} frames.', 'path', str(path))
    if file.mode not in (*_GREY, *_COLOUR):
      raise DataError(
          f'Expected {path} to have 8 bits a channel, found mode {file.mode}: '
          'scale it to values from 0 to 255 first.', 'path', str(path))
    return Header(file.height, file.width, file.mode in _GREY,
                  'A' in file.mode or 'transparency' in file.info)


def decode(files: Sequence[pathlib.Path], channels: int = 3,
           size: tuple[int, int] | None = None) -> np.ndarray:
  """Decodes files to `[N, H, W, C]` of uint8.

  If `size` is given, an image of another size is scaled until it covers H×W
  (bilinear), and cut at its centre. This keeps its proportions.

  Args:
    files: N paths.
    channels: C, 3 for colour and 1 for grey; transparency is dropped.
    size: `(H, W)`; by default all images must have the size of the first one.

  Raises:
    DataError: if a file is no image, is truncated, or has another size than the
      first one; the message names the file.
  """
  images = None
  for i, path in enumerate(files):
    image = _pixels(path, 'L' if channels == 1 else 'RGB', size)
    if images is None:
      images = np.empty((len(files), *image.shape), np.uint8)
    if image.shape != images.shape[1:]:
      raise DataError(f'Expected {path} to be of shape {images.shape[1:]}, '
                      f'found {image.shape}.', 'path', str(path))
    images[i] = image
  return np.empty((0, 1, 1, channels), np.uint8) if images is None else images


def _pixels(path: pathlib.Path, mode: str, size: tuple[int, int] | None
            ) -> np.ndarray:
  from PIL import Image, ImageOps
  with _opened(path) as file:
    try:
      image = file.convert(mode)
    except (OSError, SyntaxError, ValueError) as error:
      raise _damage(path, error) from error
  if size and (image.height, image.width) != size:
    image = ImageOps.fit(image, size[::-1], Image.Resampling.BILINEAR)
  return np.asarray(image).reshape(image.height, image.width, -1)


def _opened(path: pathlib.Path) -> Any:
  from PIL import Image
  try:
    return Image.open(path)
  except (OSError, SyntaxError, ValueError,
          Image.DecompressionBombError) as error:
    raise _damage(path, error) from error


def _damage(path: pathlib.Path, error: Exception) -> DataError:
  return DataError(f'Expected {path} to be an image: {error}.', 'path',
                   str(path))
