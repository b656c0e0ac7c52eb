"""Writes into each build the commit that it was made from.

Everything else is in pyproject.toml. A wheel and an sdist hold
`rum_jax/COMMIT`. A clone and an editable install do not, since their files may
have changed.
"""

import pathlib
import subprocess

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = pathlib.Path(__file__).parent
NAME = 'rum_jax/COMMIT'


def commit() -> str:
  """The commit of this clone or sdist, with + after changes; '' if unknown."""
  path = ROOT / NAME
  if path.exists():  # An sdist.
    return path.read_text().strip()
  if not (ROOT / '.git').exists():
    return ''
  try:
    return subprocess.run(
        ['git', 'describe', '--always', '--abbrev=12', '--dirty=+',
         '--exclude=*'],
        cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
  except (OSError, subprocess.CalledProcessError):
    return ''


def write(folder: str) -> None:
  """Writes the commit into the package below `folder`, if it is known."""
  path, found = pathlib.Path(folder) / NAME, commit()
  if found:
    path.unlink(missing_ok=True)  # It may be a hard link.
    path.write_text(found + '\n')


class BuildWithCommit(build_py):
  """Builds the package with its commit."""

  def run(self):
    super().run()
    if not self.editable_mode:
      write(self.build_lib)


class SdistWithCommit(sdist):
  """Makes an sdist with its commit."""

  def make_release_tree(self, base_dir, files):
    super().make_release_tree(base_dir, files)
    write(base_dir)


setup(cmdclass={'build_py': BuildWithCommit, 'sdist': SdistWithCommit})
