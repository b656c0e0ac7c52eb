"""Prints lines while a long computation runs."""

from __future__ import annotations

from collections.abc import Generator
import contextlib
import contextvars
import sys
import threading
import time
from typing import TextIO

_EVERY = 10.0  # Seconds between two lines on a terminal.
_MINUTE = 60.0  # Seconds between two lines in a file.
_PART = contextvars.ContextVar('part', default='')


@contextlib.contextmanager
def part(name: str) -> Generator[None]:
  """Puts the name of a part of the work before the lines in a block."""
  token = _PART.set(f'{name}: ')
  try:
    yield
  finally:
    _PART.reset(token)


@contextlib.contextmanager
def waiting(name: str, expected: float | None = None,
            stream: TextIO | None = None, every: float = _EVERY
            ) -> Generator[None]:
  """Prints how long a block has run: every ten seconds, in one line.

  Where the stream is no terminal it is a line a minute, and only if it says
  something new.

  Args:
    name: the name of the computation.
    expected: the expected duration in seconds, if it is known.
    stream: the stream to write to; by default the standard error.
    every: seconds between two looks at the clock.
  """
  stream, begun, title = stream or sys.stderr, time.monotonic(), _PART.get()
  ended = threading.Event()

  def speak() -> None:
    terminal, said, when = stream.isatty(), '', 0.0
    of = f' of about {duration(expected)}' if expected else ''
    while not ended.wait(every):
      spent = time.monotonic() - begun
      text = f'{title}{name:<14} {duration(spent)}{of}'
      if terminal:
        stream.write(f'\r\033[K{text}')
      elif not said or text != said and spent - when >= _MINUTE:
        stream.write(f'{text}\n')
        when = spent
      else:
        continue
      said = text
      stream.flush()
    if terminal and said:
      stream.write('\n')
      stream.flush()

  thread = threading.Thread(target=speak, daemon=True)
  thread.start()
  try:
    yield
  finally:
    ended.set()
    thread.join()


def duration(seconds: float) -> str:
  """A duration as text, in the unit that suits it.

  >>> duration(8.2), duration(180), duration(9000)
  ('8 s', '3 min', '2.5 h')
  """
  if seconds < 90:
    return f'{seconds:.0f} s'
  if seconds < 5400:
    return f'{seconds / 60:.0f} min'
  return f'{seconds / 3600:.1f} h'


def share_of_training(units: float) -> str:
  """A cost in trainings of the network: `22% of the work of training once`."""
  if units < 0.995:
    return f'{100 * units:.2g}% of the work of training once'
  return f'{units:.1f} times the work of training once'
