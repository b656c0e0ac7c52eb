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
  if of_device is not None:
    print(of_device / 2**20)
  elif status.exists():
    peak, = (line.split()[1] for line in status.read_text().splitlines()
             if line.startswith('VmHWM'))
    print(int(peak) / 1024)
  else:
    print(float('nan'))
