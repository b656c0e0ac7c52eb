"""Modules of a package that are imported when they are first used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import importlib
import sys
from types import ModuleType


def submodules(package: str, names: Sequence[str]
               ) -> tuple[Callable[[str], ModuleType], Callable[[], list[str]]]:
  """The `__getattr__` and the `__dir__` of a package with lazy modules.

  Args:
    package: the full name of the package.
    names: the names of the modules to import when they are first used.
  """

  def __getattr__(name: str) -> ModuleType:
    if name in names:
      return importlib.import_module(f'{package}.{name}')
    raise AttributeError(f'module {package!r} has no attribute {name!r}')

  def __dir__() -> list[str]:
    return sorted({*vars(sys.modules[package]), *names})

  return __getattr__, __dir__
