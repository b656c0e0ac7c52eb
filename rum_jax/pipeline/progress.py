"""Shows the progress of a stage on the terminal."""

from __future__ import annotations

from concurrent import futures
import sys
import time
from typing import TextIO, TypeVar

from rum_jax.storage import hosts

_Result = TypeVar('_Result')


class Progress:
  """A line with stage, bar, number done and time left; files get no bar."""

  def __init__(self, name: str, total: int, done: int = 0,
               stream: TextIO | None = None):
    self._name, self._total, self._stream = name, total, stream or sys.stderr
    self._silent = not hosts.first()
    self._begun, self._done, self._first = time.monotonic(), done, done
    self._written = self._begun
    self._show('')

  def step(self, figure: str = '', count: int = 1) -> None:
    """Adds `count` to the number done, and shows the text `figure`."""
    self._done += count
    self._show(figure)

  def tick(self, figure: str = '') -> None:
    """Shows the time that has passed, with the same number done."""
    if self._stream.isatty():
      self._show(figure)

  def _show(self, figure: str) -> None:
    spent = time.monotonic() - self._begun
    fresh = self._done - self._first
    left = spent / fresh * (self._total - self._done) if fresh else 0
    full = 20 * self._done // self._total
    bar = '█' * full + '░' * (20 - full)
    ended = self._done == self._total
    when = f'{left:4.0f} s left' if fresh and not ended else f'{spent:5.1f} s'
    text = f'{self._done:>4}/{self._total:<4} {when:<11} {figure}'.rstrip()
    if self._silent:
      return
    if self._stream.isatty():
      self._stream.write(f'\r\033[K{self._name:<14} {bar} {text}'
                         + ('\n' if ended else ''))
    elif ended or time.monotonic() - self._written > 10:
      self._stream.write(f'{self._name:<14} {text}\n')
      self._written = time.monotonic()
    self._stream.flush()



def awaited(name: str, future: futures.Future[_Result], figure: str = ''
            ) -> _Result:
  """Waits for a future, and shows a line that says what for.

  The line comes after a second, in a file after half a minute, and only if
  there is nothing yet.
  """
  futures.wait([future], timeout=1 if sys.stderr.isatty() else 30)
  if not future.done():
    progress = Progress(name, 1)
    while futures.wait([future], timeout=0.5).not_done:
      progress.tick(figure)
    if future.exception() is None:
      progress.step(figure)
  return future.result()
