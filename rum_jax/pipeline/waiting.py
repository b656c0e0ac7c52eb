"""Prints lines while a long computation runs."""

from __future__ import annotations

from collections.abc import Generator
import contextlib
import sys
import threading
import time
from typing import TextIO

_EVERY = 10.0  # Seconds between two lines.


@contextlib.contextmanager
def waiting(name: str, expected: float | None = None,
            stream: TextIO | None = None, every: float = _EVERY
            ) -> Generator[None]:
  """Prints every ten seconds how long a block has run.

  Args:
    name: the name of the computation.
    expected: the expected duration in seconds, if it is known.
    stream: the stream to write to; by default the standard error.
    every: seconds between two lines.
  """
  stream, begun = stream or sys.stderr, time.monotonic()
  ended = threading.Event()

  def speak() -> None:
    while not ended.wait(every):
      spent = time.monotonic() - begun
      of = f' of about {minutes(expected)}' if expected else ''
      stream.write(f'{name:<14} {minutes(spent)}{of}\n')
      stream.flush()

  thread = threading.Thread(target=speak, daemon=True)
  thread.start()
  try:
    yield
  finally:
    ended.set()
    thread.join()


def minutes(seconds: float) -> str:
  """A duration as text: `8 s`, `3 min`, `2.5 h`."""
  if seconds < 90:
    return f'{seconds:.0f} s'
  if seconds < 5400:
    return f'{seconds / 60:.0f} min'
  return f'{seconds / 3600:.1f} h'
