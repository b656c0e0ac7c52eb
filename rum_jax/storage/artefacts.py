"""Artefacts: results of stages on disk, which are found again by a hash.

An artefact is a folder `<name>-<hash of its identity>`. It holds `arrays.npz`,
a pytree that Orbax wrote, and `manifest.json` with the whole identity, notes
and the SHA-256 of every file. The folder is written under another name and then
renamed. So a folder with a manifest is complete, and a process that is killed
leaves either a whole artefact or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
import contextlib
import errno
import json
import os
import pathlib
import re
import shutil
from typing import Any, NamedTuple
import warnings

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from rum_jax.storage import files, hosts
from rum_jax.storage.digests import array_digest, digest, file_digest
from rum_jax.types import PyTree

_MANIFEST = 'manifest.json'


class Artefact(NamedTuple):
  """The result of a stage.

  Attributes:
    arrays: name to NumPy array.
    tree: pytree of nested dicts of arrays, or `None`.
    notes: JSON values, such as seconds.
    digest: hash of arrays and tree; `''` before the artefact is saved.
  """

  arrays: Mapping[str, np.ndarray]
  tree: PyTree = None
  notes: Mapping[str, Any] = {}
  digest: str = ''


class DamagedError(ValueError):
  """An artefact whose files were changed after they were written."""


def path_of(root: pathlib.Path, name: str, identity: Any) -> pathlib.Path:
  """The folder of the artefact of this name and identity."""
  return pathlib.Path(root) / f'{name}-{digest(identity)[:12]}'


def save(folder: pathlib.Path, identity: Any, artefact: Artefact) -> Artefact:
  """Writes an artefact, all of it or nothing, and returns it with its digest.

  If several processes share a job, all must call this, and the first one
  writes.

  Raises:
    OSError: that names `folder`, if it cannot be written.
  """
  partial = folder.with_name(f'.{folder.name}.partial')
  with (files.replacing(folder, partial) if hosts.first()
        else contextlib.nullcontext()):
    if hosts.first():
      partial.mkdir(parents=True)
      with (partial / 'arrays.npz').open('wb') as file:
        arrays: dict[str, Any] = dict(artefact.arrays)
        np.savez(file, **arrays)
    hosts.wait(f'{partial} is made')
    if artefact.tree is not None:
      _save_tree(partial / 'tree', artefact.tree)
    if hosts.first():
      (partial / _MANIFEST).write_text(json.dumps({
          'identity': identity, 'notes': artefact.notes,
          'notes_digest': _digest_of_notes(artefact.notes),
          'files': _hash_files(partial)}, indent=1))
      if folder.exists():
        _set_aside(folder)
  hosts.wait(f'{folder} is written')
  return _digested(artefact)


def _digest_of_notes(notes: Any) -> str:
  """The digest of notes as JSON gives them back; they may hold a NaN."""
  return digest(json.dumps(json.loads(json.dumps(notes)), sort_keys=True))


def _save_tree(path: pathlib.Path, tree: PyTree) -> None:
  """Writes a pytree with Orbax; raises OSError where the disk fails."""
  size = sum(getattr(x, 'nbytes', 0) for x in jax.tree.leaves(tree))
  if shutil.disk_usage(path.parent).free < size:
    # Otherwise each thread of Orbax would log a traceback.
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
  try:
    ocp.save(str(path.absolute()), tree)
  except ValueError as error:
    code = re.search(r"os_error_code='(\d+)'", str(error))
    if code is None:
      raise
    raise OSError(int(code[1]), os.strerror(int(code[1]))) from error


def load(folder: pathlib.Path, identity: Any = None) -> Artefact:
  """Reads an artefact and checks every byte of it.

  Args:
    folder: where it lies.
    identity: the identity that it must have; `None` for any.

  Raises:
    FileNotFoundError: if there is no such folder.
    DamagedError: that names a file which is missing, added or altered, or the
      folder if its artefact has another identity.
  """
  if not folder.exists():
    raise FileNotFoundError(f'No artefact at {folder}.')
  try:
    manifest = json.loads((folder / _MANIFEST).read_text())
    recorded, found = dict(manifest['files']), _hash_files(folder)
    notes, owner = manifest['notes'], manifest['identity']
    noted = manifest.get('notes_digest')  # Older artefacts have none.
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise DamagedError(f'{folder / _MANIFEST} cannot be read.') from error
  for name in sorted(recorded.keys() | found.keys()):
    if recorded.get(name) != found.get(name):
      raise DamagedError(f'{folder / name} is not what was written.')
  if noted is not None and noted != _digest_of_notes(notes):
    raise DamagedError(
        f'The notes in {folder / _MANIFEST} are not what was written.')
  if identity is not None and digest(owner) != digest(identity):
    raise DamagedError(f'{folder} belongs to another recipe.')
  with np.load(folder / 'arrays.npz', allow_pickle=False) as file:
    arrays = dict(file)
  tree = folder / 'tree'
  with _alone():
    loaded = ocp.load(str(tree.absolute())) if tree.exists() else None
  return _digested(Artefact(arrays, loaded, notes))


def stage(folder: pathlib.Path, identity: Any,
          compute: Callable[[], Artefact]) -> Artefact:
  """Loads the artefact of this identity, or computes and saves it.

  A damaged artefact is never used and never deleted. It is renamed to
  `<folder>.damaged<n>`, and a warning names it.

  If several processes share a job, all of them compute, the first one writes,
  and the others read what it wrote. So all of them must see `folder`.

  Args:
    folder: the folder of the artefact, from `path_of`.
    identity: a JSON value of all that determines the result: the fields of the
      recipe that the stage depends on, and the digests of the artefacts that it
      reads.
    compute: called without arguments if there is nothing to load.

  Returns:
    The artefact, with its digest.
  """
  artefact = _whole(folder, identity) if hosts.first() else None
  if hosts.agree(artefact is None):
    return save(folder, identity, compute())
  return load(folder, identity) if artefact is None else artefact


def adopt(folder: pathlib.Path, identity: Any,
          candidates: Iterable[pathlib.Path]) -> pathlib.Path | None:
  """Copies an artefact from another folder, unless this one has it already.

  Files are linked where the file system can do that, or else copied. Only one
  process may call this.

  Args:
    folder: where it will lie.
    identity: the identity of the artefact.
    candidates: folders that may hold one of this identity; a damaged one is
      passed over.

  Returns:
    The folder that it was found in, or `None`.

  Raises:
    OSError: if `folder` cannot be written.
  """
  if folder.exists():
    return None
  for candidate in candidates:
    try:
      load(candidate, identity)
    except (FileNotFoundError, DamagedError):
      continue
    with files.replacing(folder) as partial:
      shutil.copytree(candidate, partial, copy_function=_linked)
    return candidate
  return None


def _linked(source: str, target: str) -> None:
  try:
    os.link(source, target)
  except OSError:
    shutil.copy2(source, target)


def _whole(folder: pathlib.Path, identity: Any) -> Artefact | None:
  """The artefact of `load`, or `None`; a damaged artefact is renamed."""
  try:
    return load(folder, identity)
  except FileNotFoundError:
    return None
  except DamagedError as error:
    aside = _set_aside(folder)
    warnings.warn(f'{error} Set aside as {aside.name}; computed again.',
                  stacklevel=3)
    return None


def _alone() -> contextlib.AbstractContextManager:
  """Lets Orbax read in this process alone, even if there are others."""
  if jax.process_count() == 1:
    return contextlib.nullcontext()
  me, context = jax.process_index(), ocp.Context()
  context.multiprocessing.primary_host = me
  context.multiprocessing.active_processes = {me}
  context.multiprocessing.barrier_sync_key_prefix = f'process {me} '
  return context


def _set_aside(folder: pathlib.Path) -> pathlib.Path:
  """Renames a folder to the first free `<folder>.damaged<n>`."""
  n = 0
  while (aside := folder.with_name(f'{folder.name}.damaged{n}')).exists():
    n += 1
  return folder.rename(aside)


def _digested(artefact: Artefact) -> Artefact:
  found = {name: array_digest(np.asarray(x))
           for name, x in artefact.arrays.items()}
  tree = {jax.tree_util.keystr(path): array_digest(np.asarray(x))
          for path, x in jax.tree.leaves_with_path(artefact.tree)}
  return artefact._replace(digest=digest({'arrays': found, 'tree': tree}))


def _hash_files(folder: pathlib.Path) -> dict[str, str]:
  """Relative path to SHA-256 of every file but the manifest."""
  return {
      str(path.relative_to(folder)):
          file_digest(path)
      for path in sorted(folder.rglob('*'))
      if path.is_file() and path != folder / _MANIFEST}
