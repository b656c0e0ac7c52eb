"""What all commands do at a console: streams, warnings, errors of one line."""

from __future__ import annotations

import errno
import os
import signal
import sys
import warnings


def set_up() -> None:
  """Gets this process ready to talk to a person.

  Characters that a stream lacks are replaced, warnings are one line, and Ctrl-C
  ends the process at once.
  """
  for stream in (sys.stdout, sys.stderr):
    if hasattr(stream, 'reconfigure'):
      stream.reconfigure(errors='replace')  # A terminal may lack ±.
  warnings.showwarning = lambda message, *_, **__: print(
      f'Warning: {message}', file=sys.stderr)
  warnings.filterwarnings('ignore', category=DeprecationWarning)
  signal.signal(signal.SIGINT, _interrupted)


def say_error(message: str) -> None:
  """Prints an error as one line."""
  print(f'Error: {" ".join(message.split())}', file=sys.stderr, flush=True)


def message_of(error: Exception, workdir: str | None = None) -> str:
  """What a person should read of an error instead of its traceback.

  Args:
    error: what was raised.
    workdir: the folder that the command writes to, if it is known.

  Returns:
    The message; empty if the error is a fault of a program, whose traceback is
    needed.
  """
  # A TypeError of ours names what somebody's own code does otherwise.
  ours = isinstance(error, (ValueError, OSError)) or (
      isinstance(error, TypeError) and str(error).startswith('Expected '))
  return no_space(error, workdir) or (str(error) if ours else '')


def no_space(error: Exception, workdir: str | None = None) -> str:
  """Two sentences if an error says that a disk is full; empty otherwise.

  Args:
    error: what was raised. If it does not name a path, `workdir` is named.
    workdir: the folder that the command writes to, if it is known.
  """
  if getattr(error, 'errno', None) != errno.ENOSPC and (
      'No space left on device' not in str(error)):
    return ''
  said = (getattr(error, 'strerror', None) or str(error)).rstrip('.')
  if not said.startswith('Cannot write '):  # Those that do name the path.
    path = getattr(error, 'filename', None) or workdir or 'the workdir'
    said = f'Cannot write to {path}: no space is left on the device'
  return (f'{said}. Run the same command again when there is room; it goes on '
          'from here.')


def _interrupted(*_: object) -> None:
  """Ends the process at once; the next run writes unfinished files again.

  An exception could be raised in a callback of another library, which would
  ignore it, so that the run would continue.
  """
  os.write(2, b'\nInterrupted; run the same command again to go on.\n')
  os._exit(130)
