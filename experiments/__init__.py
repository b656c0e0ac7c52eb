"""The binaries of the paper.

Libraries take seconds to load, so a person at a terminal is told at once.
"""

import sys

if sys.argv[0] == '-m' and sys.stderr.isatty():
  sys.stderr.write('Loading libraries …')
  sys.stderr.flush()
