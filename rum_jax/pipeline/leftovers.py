"""What a run leaves behind of examples that were to be forgotten.

Files of a run can hold the very images that somebody asked to have deleted, or
weights that were trained on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import os
import pathlib
import shutil
from typing import Any, NamedTuple
import zipfile

from rum_jax import datasets, records
from rum_jax.pipeline import runs

IMAGES = 'images of forgotten rows'
KNOWING = 'weights that were trained on them'

# Patterns inside a workdir, and what such files hold.
_INSIDE = (
    ('figures.npz', IMAGES), ('influence.npz', IMAGES),
    ('influence.svg', IMAGES), ('memorized.svg', IMAGES),
    ('originals-*', KNOWING), ('.originals-*', KNOWING),
    ('proxies/*/tree/..', KNOWING), ('models/.*.epoch*', KNOWING),
    ('*.damaged*', KNOWING), ('*/*.damaged*', KNOWING))


class Leftover(NamedTuple):
  """A file or folder that still holds something of forgotten rows.

  Attributes:
    path: the path of the file or folder.
    holds: what it holds of the rows, in words.
    ours: whether a command of rum_jax made it, so that `purge` may remove it.
    size: the number of its bytes.
  """

  path: pathlib.Path
  holds: str
  ours: bool
  size: int


def of_run(workdir: pathlib.Path) -> list[Leftover]:
  """All that is left of the forgotten rows of a run.

  Args:
    workdir: the folder of the run.

  Returns:
    First what `purge` may remove, then what belongs to whoever made it: the
    weights that came in, and the data.

  Raises:
    OSError: if the folder is not that of a run.
    ValueError: if its `recipe.json` is not a file of this program.
  """
  run = records.read(runs.Run, workdir / runs.NAME)
  found = {pathlib.Path(os.path.normpath(path)): holds
           for pattern, holds in _INSIDE
           for path in sorted(workdir.glob(pattern))
           if path.name != 'figures.npz' or _holds_pixels(path)}
  for page in sorted(workdir.glob('*.html')):
    if _shows_images(page):
      found[page] = IMAGES
  recipe = run.recipe
  # Only requests of `rum-jax` take a folder of images.
  ours = _decoded(recipe) if 'weights' in recipe else []
  kept = [Leftover(path, holds, True, _size(path))
          for path, holds in found.items()]
  kept += [Leftover(path, IMAGES, True, _size(path)) for path in ours]
  for name, holds in (('weights', KNOWING), ('data', IMAGES)):
    path = _theirs(recipe, name)
    if path is not None:
      kept.append(Leftover(path, holds, False, _size(path)))
  return kept


def remove(leftovers: Iterable[Leftover]) -> None:
  """Removes those that a command of rum_jax made.

  Raises:
    OSError: naming what cannot be removed.
  """
  for x in leftovers:
    if not x.ours:
      continue
    try:
      if x.path.is_dir():
        shutil.rmtree(x.path)
      else:
        x.path.unlink(missing_ok=True)
    except OSError as error:
      raise OSError(
          f'Cannot remove {x.path}: {error.strerror or error}.') from error


def sentences(leftovers: Sequence[Leftover]) -> list[str]:
  """What is left, for people."""
  ours = [x for x in leftovers if x.ours]
  others = [x for x in leftovers if not x.ours]
  lines = []
  if ours:
    lines.append('These files of the run still hold something of the forgotten '
                 'rows; rum-jax purge removes them:')
    lines += [f'  {x.path}: {x.holds}' for x in ours]
  else:
    lines.append('No file of the run holds forgotten images or weights that '
                 'knew them.')
  if others:
    lines.append('These are yours, and no command removes them:')
    lines += [f'  {x.path}: {x.holds}' for x in others]
  return lines


def _decoded(recipe: Any) -> list[pathlib.Path]:
  """The file of decoded images of a folder, if there is one."""
  data = pathlib.Path(recipe['data'])
  data = data if data.is_dir() else pathlib.Path(recipe['data_dir'], data)
  if not data.is_dir():
    return []
  size = recipe.get('size')
  path = datasets.decoded_path(data, size=tuple(size) if size else None,
                               cache=recipe.get('cache'))
  return [path] if path.exists() else []


def _theirs(recipe: Any, name: str) -> pathlib.Path | None:
  """A path that the recipe names, if it is there."""
  given = recipe.get(name)
  if not given:
    return None
  folder = recipe.get('data_dir', '')
  places = (pathlib.Path(given), pathlib.Path(folder, given),
            pathlib.Path(folder, f'{given}.npz'))
  return next((x for x in places if x.exists()), None)


def _holds_pixels(figures: pathlib.Path) -> bool:
  """Whether arrays of figures hold images; so it is where that is unknown."""
  try:
    with zipfile.ZipFile(figures) as file:
      return 'image.npy' in file.namelist()
  except zipfile.BadZipFile:
    return True


def _shows_images(page: pathlib.Path) -> bool:
  text = page.read_text(encoding='utf-8', errors='replace')
  return '<image' in text or 'data:image/png' in text


def _size(path: pathlib.Path) -> int:
  if path.is_dir():
    return sum(x.stat().st_size for x in path.rglob('*') if x.is_file())
  return path.stat().st_size
