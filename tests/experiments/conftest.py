"""Runs a binary as a user does: in a process of its own."""

from collections.abc import Callable
import os
import pathlib
import shutil
import subprocess
import sys

import filelock
import pytest

ROOT = pathlib.Path(__file__).parents[2]
TINY = ('--seeds=2', '--models=70', '--epochs=2', '--methods=finetune')


@pytest.fixture(scope='session')
def common(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """A folder that the session's workers share."""
  mine = tmp_path_factory.getbasetemp()
  return mine.parent if 'PYTEST_XDIST_WORKER' in os.environ else mine


@pytest.fixture(scope='session')
def cache(common: pathlib.Path) -> pathlib.Path:
  """Compiled programs that all runs of the session share."""
  return common / 'xla'


@pytest.fixture(scope='session')
def command(cache: pathlib.Path) -> Callable[..., list[str]]:
  """`(binary, *flags)` to a command line."""

  def make(binary: str, *flags: str) -> list[str]:
    return [sys.executable, '-m', f'experiments.{binary}',
            f'--compilation_cache={cache}', *flags]

  return make


@pytest.fixture(scope='session')
def run(command: Callable[..., list[str]]
        ) -> Callable[..., subprocess.CompletedProcess[str]]:
  """`(binary, *flags)` to the finished process."""

  def start(binary: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(binary, *flags), cwd=ROOT, text=True,
                          capture_output=True, timeout=600, check=False)

  return start


@pytest.fixture(scope='session')
def finished(run: Callable[..., subprocess.CompletedProcess[str]],
             common: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
             ) -> pathlib.Path:
  """Workdir of the main job, small, run once undisturbed for all workers."""
  shared, mine = common / 'undisturbed', tmp_path_factory.mktemp('finished')
  with filelock.FileLock(common / 'undisturbed.lock'):
    process = run('rum', *TINY, f'--workdir={shared}')
    assert process.returncode == 0, process.stderr
  return shutil.copytree(shared, mine, dirs_exist_ok=True)


@pytest.fixture
def models(finished: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
  """What the main job trained, in a folder that is no command's yet."""
  return shutil.copytree(finished, tmp_path / 'models',
                         ignore=shutil.ignore_patterns('recipe.json'))
