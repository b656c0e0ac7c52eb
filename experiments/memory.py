"""How much memory this process has held at most."""

from __future__ import annotations

import pathlib


def print_peak(of_device: float | None = None) -> None:
  """Prints the MiB that this process has held at most; NaN outside Linux.

  What `resource` tells of a child counts what its parent held when it forked.

  Args:
    of_device: bytes at most on a GPU or TPU, which are printed instead.
  """
  status = pathlib.Path('/proc/self/status')
  lines = status.read_text().splitlines() if status.exists() else []
  peak = [line.split()[1] for line in lines if line.startswith('VmHWM')]
  if of_device is not None:
    print(of_device / 2**20)
  else:
    print(int(peak[0]) / 1024 if peak else float('nan'))
