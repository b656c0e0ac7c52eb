"""`rum-jax`: the commands for people's own networks and data."""

from __future__ import annotations

from collections.abc import Sequence
import difflib
import importlib
import os
import signal
import sys
import textwrap
import typing

from rum_jax.commands import _console
from rum_jax.commands._flags import Command, Flags, UsageError

# Modules of this package that hold a `COMMAND`, in the order of the help.
COMMANDS = {name: f'_{name}' for name in (
    'unlearn', 'audit', 'compare', 'memorize', 'report', 'runs', 'purge')}


def main(arguments: Sequence[str] | None = None, *, devices: bool = True
         ) -> int:
  """Runs one command.

  Args:
    arguments: of the command line; by default those of the process.
    devices: whether to get devices ready, once in a process.

  Returns:
    The exit code: 0, 1 for what went wrong, 2 for a command line that is not
    understood.
  """
  arguments = list(sys.argv[1:] if arguments is None else arguments)
  try:
    return _run(arguments, devices)
  except UsageError as error:
    _console.say_error(str(error))
    return 2


def console() -> typing.NoReturn:
  """The entry point of the console."""
  _console.set_up()
  signal.signal(signal.SIGPIPE, signal.SIG_DFL) if hasattr(
      signal, 'SIGPIPE') else None
  sys.exit(main())


def command_of(name: str) -> Command:
  """The command of a name.

  Raises:
    UsageError: if there is none; it names the nearest.
  """
  if name not in COMMANDS:
    near = difflib.get_close_matches(name, COMMANDS, 1, 0.5)
    nearest = f': did you mean {near[0]}?' if near else '.'
    raise UsageError(f'There is no command {name}{nearest} The commands are '
                     f'{", ".join(COMMANDS)}.')
  module = importlib.import_module(f'rum_jax.commands.{COMMANDS[name]}')
  return module.COMMAND


def _run(arguments: Sequence[str], devices: bool) -> int:
  if not arguments or arguments[0] in ('-h', '--help', 'help'):
    if len(arguments) > 1 and arguments[0] == 'help':
      return _run([arguments[1], '--help'], devices)
    print(_overview())
    return 0 if arguments else 2
  if arguments[0] == '--version':
    import rum_jax
    print(rum_jax.__version__)
    return 0
  command, flags = command_of(arguments[0]), Flags()
  command.define(flags)
  flags.group('Running')
  if command.devices:
    flags.string('compilation_cache', os.path.expanduser('~/.cache/rum_jax'),
                 'Where compiled programs are kept; empty for nowhere.')
  flags.boolean('traceback', 'Show where an error came from.')
  if {'-h', '--help', '-help', '--helpfull'} & {*arguments[1:]}:
    print(flags.help(command))
    return 0
  values = flags.parse(command, arguments[1:])
  try:
    if command.devices and devices:
      from rum_jax.commands import app
      app.use_cores(values.compilation_cache)
      app.check_devices()
    command.run(values)
  except Exception as error:
    message = _console.message_of(
        error, values.workdir if 'workdir' in values else None)
    if values.traceback or not message:
      raise
    _console.say_error(message)
    return 1
  return 0


def _overview() -> str:
  lines = ['rum-jax: makes trained networks forget, and shows what they know.',
           '']
  for name in COMMANDS:
    lines += textwrap.wrap(
        f'rum-jax {name:<10} {command_of(name).summary}.', 80,
        initial_indent='  ', subsequent_indent=' ' * 21)
  return '\n'.join([*lines, '', 'rum-jax COMMAND --help lists the flags of a '
                    'command, with examples.'])


if __name__ == '__main__':
  console()
