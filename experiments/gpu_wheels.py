"""Fetches packages for a GPU machine without a network.

  python -m experiments.gpu_wheels
  python -m experiments.gpu_wheels --packages=flax,orbax-checkpoint

Downloads their wheels in the versions, and checked by the hashes, of
`requirements.lock`, and unpacks them into the folder `.gpu/wheels`, which
`make gpu` puts behind the machine's own packages. By default they are all that
is pure Python of what `rum_jax` needs beside jax, NumPy and SciPy: `PURE`. What
is `COMPILED`, for Linux on x86-64, can be named where it is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

from absl import flags
from packaging import markers

from rum_jax import recipes
from rum_jax.commands import app

ROOT = pathlib.Path(__file__).parents[1]
PURE = (
    'absl-py', 'aiofiles', 'chex', 'cycler', 'etils', 'filelock', 'flax',
    'fsspec', 'humanize', 'joblib', 'markdown-it-py', 'mdurl', 'narwhals',
    'optax', 'orbax-checkpoint', 'packaging', 'prometheus-client', 'pygments',
    'pyparsing', 'python-dateutil', 'rich', 'six', 'threadpoolctl', 'toolz',
    'treescope', 'typing-extensions', 'zipp')
COMPILED = (
    'contourpy', 'fonttools', 'kiwisolver', 'matplotlib', 'msgpack', 'pillow',
    'protobuf', 'psutil', 'pyyaml', 'safetensors', 'scikit-learn',
    'simplejson', 'tensorstore', 'uvloop')
_LINUX = ('manylinux_2_28', 'manylinux_2_27', 'manylinux_2_17',
          'manylinux2014', 'manylinux_2_5', 'manylinux1')
_MOST = 64  # MiB that may be carried at a time.
_MARK = '.unpacked_wheels'  # A file in a folder that may be emptied.

PACKAGES = flags.DEFINE_list(
    'packages', list(PURE), 'Their names; by default those in pure Python.')
INTO = flags.DEFINE_string('into', '.gpu/wheels', 'Where to unpack them.')
PYTHON = flags.DEFINE_string('python', '3.12', 'Version of Python there.')


def pinned(lock: str, names: Sequence[str], python: str) -> str:
  """The entries of a lock file for these packages, hashes included.

  Args:
    lock: text of the file; an entry may be for some systems alone.
    names: the names of the packages.
    python: version of Python on the other machine.

  Returns:
    Entries for Linux on x86-64.

  Raises:
    ValueError: if a package is not in the file.
  """
  there = {'python_version': python, 'python_full_version': f'{python}.0',
           'sys_platform': 'linux', 'platform_system': 'Linux',
           'platform_machine': 'x86_64', 'os_name': 'posix',
           'implementation_name': 'cpython',
           'platform_python_implementation': 'CPython'}
  found: dict[str, str] = {}
  entry = (
      r'^([\w.-]+)==([^\s;]+)(?: ; ([^\\\n]+))?((?:\s*\\\n[^\\\n]*)*)')
  for name, version, marker, hashes in re.findall(entry, lock, re.M):
    if not marker or markers.Marker(marker.strip()).evaluate(there):
      checked = ' '.join(re.findall(r'--hash=\S+', hashes))
      found[name.lower()] = f'{name}=={version} {checked}'
  for name in names:
    if name not in found:
      raise ValueError(f'Expected packages={name} to be in requirements.lock '
                       f'for Python {python} on Linux.')
  return '\n'.join(found[name] for name in names) + '\n'


def check_place(into: pathlib.Path) -> None:
  """Refuses a folder that holds anything but unpacked wheels.

  Raises:
    ValueError: if there is such a folder, or a file.
  """
  if into.exists() and not (into / _MARK).exists() and (
      not into.is_dir() or any(into.iterdir())):
    raise ValueError(f'Expected into={into} to be new, empty, or a folder that '
                     'this command made, since all that it holds is removed.')


def clear(into: pathlib.Path) -> None:
  """Empties the folder of the wheels, and marks it as one."""
  check_place(into)
  shutil.rmtree(into, ignore_errors=True)
  into.mkdir(parents=True)
  (into / _MARK).touch()


def main() -> None:
  lock = (ROOT / 'requirements.lock').read_text()
  names = PACKAGES.value
  into = pathlib.Path(INTO.value)
  check_place(into)
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    (folder / 'lock').write_text(pinned(lock, names, PYTHON.value))
    platforms = [f'--platform={x}_x86_64' for x in _LINUX]
    done = subprocess.run(
        [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps',
         '--require-hashes', '--only-binary=:all:', '--implementation=cp',
         f'--python-version={PYTHON.value}', *platforms,
         f'--dest={folder}', f'--requirement={folder}/lock'], check=False)
    if done.returncode:
      raise OSError(f'Cannot fetch packages={",".join(names)}: pip says why.')
    clear(into)
    for wheel in sorted(folder.glob('*.whl')):
      with zipfile.ZipFile(wheel) as packed:
        packed.extractall(into)
    wheels = [x.stat().st_size for x in folder.glob('*.whl')]
  size = sum(x.stat().st_size for x in into.rglob('*') if x.is_file())
  print(f'{len(wheels)} wheels of {sum(wheels) / 2**20:.0f} MiB; unpacked in '
        f'{into}: {size / 2**20:.0f} MiB.')
  if size > _MOST * 2**20:
    print(f'That is more than {_MOST} MiB: where no more can be carried, name '
          'the --packages that the machine lacks.')


if __name__ == '__main__':
  app.define(recipes.Recipe(corrupt=0.0))
  app.run(main)
