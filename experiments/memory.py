"""How much memory this process has held at most, as the system counts it."""

from __future__ import annotations

import pathlib


def print_peak() -> None:
  """Prints the MiB that this process has held at most; NaN outside Linux.

  What `resource` tells of a child counts what its parent held when it forked.
  """
  status = pathlib.Path('/proc/self/status')
  lines = status.read_text().splitlines() if status.exists() else []
  peak = [line.split()[1] for line in lines if line.startswith('VmHWM')]
  print(int(peak[0]) / 1024 if peak else float('nan'))
