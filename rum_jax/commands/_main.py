"""`rum-jax`: the commands for people's own networks and data."""

from __future__ import annotations

from collections.abc import Sequence
import difflib
import errno
import importlib
import os
import signal
import sys
import textwrap
import typing
import warnings

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
  traceback = '--traceback' in arguments
  try:
    return _run(arguments, devices)
  except UsageError as error:
    return _say(2, str(error))
  except (ValueError, OSError, TypeError) as error:
    # A TypeError of ours names what somebody's own code does otherwise.
    other = isinstance(error, TypeError) and not str(error).startswith(
        'Expected ')
    if traceback or other:
      raise
    return _say(1, _no_space(error) or str(error))


def console() -> typing.NoReturn:
  """The entry point of the console."""
  for stream in (sys.stdout, sys.stderr):
    if hasattr(stream, 'reconfigure'):
      stream.reconfigure(errors='replace')  # Of ± where it is no ASCII.
  warnings.showwarning = lambda message, *_, **__: print(
      f'Warning: {message}', file=sys.stderr)
  warnings.filterwarnings('ignore', category=DeprecationWarning)
  signal.signal(signal.SIGINT, _interrupted)
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
  if command.devices and devices:
    from rum_jax.commands import app
    app.use_cores(values.compilation_cache)
    app.check_devices()
  command.run(values)
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


def _say(code: int, message: str) -> int:
  print(f'Error: {" ".join(message.split())}', file=sys.stderr, flush=True)
  return code


def _no_space(error: BaseException) -> str:
  """One line where an error says that a disk is full, or else nothing."""
  if getattr(error, 'errno', None) != errno.ENOSPC and (
      'No space left on device' not in str(error)):
    return ''
  return (f'{getattr(error, "strerror", None) or error}. Run the same command '
          'again when there is room; it goes on from here.')


def _interrupted(*_: object) -> None:
  """Ends the process at once; what is being written is written again."""
  os.write(2, b'\nInterrupted; run the same command again to go on.\n')
  os._exit(130)


if __name__ == '__main__':
  console()
