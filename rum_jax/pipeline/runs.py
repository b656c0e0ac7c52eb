"""Records the run that a workdir belongs to, so that nothing is overwritten."""

from __future__ import annotations

import atexit
from collections.abc import Collection, Generator, Mapping
import contextlib
import dataclasses
import json
import pathlib
import types
from typing import Any, ClassVar

import filelock
import jax

import rum_jax
from rum_jax import records
from rum_jax.storage import artefacts, files

NAME = 'recipe.json'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
  """The content of `recipe.json`, which a run writes at its start.

  Attributes:
    command: the command that writes its results there.
    recipe: all fields of its recipe.
    versions: the versions of the libraries that started or last extended it.
    options: the values of the command's own flags. If a flag may differ between
      runs in one folder, this is its latest value.
    by_rule: name of a field of the recipe to the reason of its value, if a rule
      chose it for data other than those of the demo.
  """

  SCHEMA: ClassVar[int] = 1

  command: str
  recipe: Mapping[str, Any]
  versions: Mapping[str, str]
  options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  by_rule: Mapping[str, str] = dataclasses.field(default_factory=dict)


def root_of(workdir: str | pathlib.Path | None, name: str, identity: Any
            ) -> pathlib.Path:
  """The workdir that was given, or else a folder in `runs`.

  Args:
    workdir: the folder; `None` or empty where none was given.
    name: the first part of the name of the folder in `runs`.
    identity: a JSON value of all that determines the results, whose hash is the
      other part.
  """
  return pathlib.Path(
      workdir or artefacts.path_of(pathlib.Path('runs'), name, identity))


def claim(root: pathlib.Path) -> filelock.BaseFileLock:
  """Makes a workdir, and keeps other runs out.

  Returns:
    The lock; it is released when the process ends, or by `release()`.

  Raises:
    OSError: if it cannot be written, or another run is in it.
  """
  try:
    root.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(root / '.lock')
    lock.acquire(blocking=False)
  except filelock.Timeout:
    raise OSError(f'Another run is using workdir={root}.') from None
  except OSError as error:
    raise OSError(
        f'Cannot write to workdir={root}: {error.strerror}.') from error
  atexit.register(lock.release)  # It would be released with its last reference.
  return lock


def enter(root: pathlib.Path, command: str, recipe: Any,
          growing: Collection[str] = (), *,
          options: Mapping[str, Any] = types.MappingProxyType({}),
          varying: Mapping[str, Any] = types.MappingProxyType({}),
          by_rule: Mapping[str, str] = types.MappingProxyType({})) -> None:
  """Claims a workdir for a run, or continues the run that it belongs to.

  Args:
    root: an existing folder.
    command: the command that writes its results there.
    recipe: the recipe of the run: a `Recipe` or another dataclass that JSON can
      hold.
    growing: fields of the recipe whose values may be larger than before.
    options: name to value of the command's own flags that determine its
      results.
    varying: name to value of its flags that may differ from earlier runs.
    by_rule: name of a field of the recipe to the reason of its value.

  Raises:
    OSError: if `recipe.json` cannot be read or written.
    ValueError: if the folder belongs to another command or recipe, or if its
      `recipe.json` is not a file of this program.
  """
  path = root / NAME
  now = Run(
      command=command, recipe=_plain(recipe),
      versions={'rum-jax': rum_jax.__version__, 'jax': jax.__version__},
      options={**options, **varying}, by_rule=dict(by_rule))
  if path.exists():
    before = records.read(Run, path)
    fault = _fault(before, command, recipe, growing, options)
    if fault and _used(root):
      raise ValueError(
          f'workdir={root} holds {fault}, and nothing there is written over: '
          'give another workdir, or remove that folder.')
    if not fault and records.as_json(before) == records.as_json(
        dataclasses.replace(now, versions=before.versions)):
      return
  files.write_json(path, records.as_json(now))


@contextlib.contextmanager
def entered(root: pathlib.Path, command: str, recipe: Any,
            growing: Collection[str] = ()) -> Generator[None]:
  """Claims a workdir for a run, and releases it after a block.

  Args:
    root: the folder; it is made where there is none.
    command: as for `enter`.
    recipe: as for `enter`.
    growing: as for `enter`.

  Raises:
    OSError: if it cannot be written, or another run is in it.
    ValueError: if it belongs to another command or recipe.
  """
  lock = claim(root)
  try:
    enter(root, command, recipe, growing)
    yield
  finally:
    lock.release()


def _plain(recipe: Any) -> dict[str, Any]:
  """The fields of a recipe after a round trip through JSON."""
  return json.loads(json.dumps(dataclasses.asdict(recipe)))


def _used(root: pathlib.Path) -> bool:
  """Whether a run left any file besides `recipe.json`."""
  return any(x.name != NAME and not x.name.startswith('.')
             for x in root.iterdir())


def _fault(before: Run, command: str, recipe: Any, growing: Collection[str],
           options: Mapping[str, Any]) -> str:
  """The reason why a run cannot use the folder of another; empty if it can."""
  if before.command != command:
    return f'a run of {before.command}, and this is {command}'
  mine = _plain(recipe)
  for field in dataclasses.fields(recipe):
    old = before.recipe.get(field.name, field.default)
    new = mine[field.name]
    if new != old and not (field.name in growing and new > old):
      return (f'a run of {command} with {field.name}={old}, and this is one '
              f'with {field.name}={new}')
  for name, new in options.items():
    old = before.options.get(name, new)
    if old != new:
      return (f'a run of {command} with {name}={old}, and this is one with '
              f'{name}={new}')
  return ''
