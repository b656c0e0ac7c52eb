"""Flags of one command, in groups, and the help that lists them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import difflib
import textwrap
from typing import Any

from absl import flags

_WIDTH = 80
_COLUMN = 22  # Where the explanations of flags begin.


class UsageError(ValueError):
  """A command line that is not understood; exit code 2."""


@dataclasses.dataclass(frozen=True)
class Command:
  """One command of `rum-jax`.

  Attributes:
    name: of the command.
    summary: what it does, one sentence without a full stop.
    examples: command lines that work, without `rum-jax`, each with a comment.
    define: defines its flags.
    run: does it.
    positional: the flag that an argument without a name is for, if there is
      one.
    devices: whether it computes, so that devices must be got ready.
  """

  name: str
  summary: str
  examples: Sequence[tuple[str, str]]
  define: Callable[[Flags], None]
  run: Callable[[Any], None]
  positional: str = ''
  devices: bool = True


class Flags:
  """The flags of one command, by groups."""

  def __init__(self) -> None:
    self._values = flags.FlagValues()
    self._values.set_gnu_getopt(True)
    self._groups: list[tuple[str, list[str]]] = []

  def group(self, title: str) -> None:
    """Begins a group; flags that are defined from now on belong to it."""
    self._groups.append((title, []))

  def string(self, name: str, default: str | None, text: str) -> None:
    flags.DEFINE_string(name, default, text, self._values)
    self._groups[-1][1].append(name)

  def integer(self, name: str, default: int | None, text: str,
              low: int | None = None) -> None:
    flags.DEFINE_integer(name, default, text, lower_bound=low,
                         flag_values=self._values)
    self._groups[-1][1].append(name)

  def number(self, name: str, default: float | None, text: str) -> None:
    flags.DEFINE_float(name, default, text, flag_values=self._values)
    self._groups[-1][1].append(name)

  def boolean(self, name: str, text: str, default: bool = False) -> None:
    flags.DEFINE_bool(name, default, text, flag_values=self._values)
    self._groups[-1][1].append(name)

  def parse(self, command: Command, arguments: Sequence[str]
            ) -> flags.FlagValues:
    """The values that a command line gives.

    Raises:
      UsageError: naming what is not understood, and what it may have meant.
    """
    try:
      rest = self._values([command.name, *arguments])[1:]
    except flags.UnrecognizedFlagError as error:
      raise UsageError(f'There is no flag --{error.flagname} of rum-jax '
                       f'{command.name}{self._nearest(error.flagname)} '
                       f'rum-jax {command.name} --help lists all.') from error
    except flags.Error as error:
      raise UsageError(str(error)) from error
    if rest and command.positional and (
        not self._values[command.positional].present):
      self._values[command.positional].parse(rest.pop(0))
    if rest:
      raise UsageError(f'Expected flags only, found {rest[0]!r}.')
    return self._values

  def _nearest(self, name: str) -> str:
    known = [x for _, names in self._groups for x in names]
    near = difflib.get_close_matches(name.split('=')[0], known, 1, 0.6)
    return f': did you mean --{near[0]}?' if near else '.'

  def help(self, command: Command) -> str:
    """All that `--help` of a command says."""
    lines = [*textwrap.wrap(
        f'rum-jax {command.name}: {command.summary}.', _WIDTH), '']
    for comment, line in command.examples:
      lines += [f'  # {comment}', *_folded(f'rum-jax {line}'), '']
    for title, names in self._groups:
      lines.append(title)
      for name in names:
        lines += self._line(name)
      lines.append('')
    return '\n'.join(lines)

  def _line(self, name: str) -> list[str]:
    flag = self._values[name]
    boolean = flag.boolean
    shown = f'  --{name}' + ('' if boolean else '=')
    text = flag.help
    if flag.default not in (None, '', False):
      text += f' Default: {flag.default}.'
    body = textwrap.wrap(text, _WIDTH - _COLUMN)
    if len(shown) >= _COLUMN:
      return [shown, *(' ' * _COLUMN + x for x in body)]
    return [shown.ljust(_COLUMN) + body[0],
            *(' ' * _COLUMN + x for x in body[1:])]


def _folded(line: str) -> list[str]:
  """A command line over several lines, as a shell reads it."""
  parts = textwrap.wrap(line, _WIDTH - 8, break_long_words=False,
                        break_on_hyphens=False)
  return [('  ' if i == 0 else '      ') + x + (' \\' if x != parts[-1] else '')
          for i, x in enumerate(parts)]


def numbers(name: str, text: str | None) -> tuple[float, ...] | None:
  """Numbers by commas; `None` where nothing is given.

  Raises:
    ValueError: naming the flag and what is no number.
  """
  if not text:
    return None
  try:
    return tuple(float(x) for x in text.split(','))
  except ValueError as error:
    raise ValueError(
        f'Expected {name}={text} to be numbers by commas.') from error
