"""Peak memory of this process."""

from __future__ import annotations

import pathlib


def print_peak(of_device: float | None = None) -> None:
  """Prints the peak memory of this process in MiB; NaN outside Linux.

  `resource` is not used, because for a child process it includes the memory of
  its parent.

  Args:
    of_device: the peak memory of a GPU or TPU in bytes, to print instead.
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
