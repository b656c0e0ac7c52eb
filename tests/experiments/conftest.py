"""Runs a binary as a user does: in a process of its own."""

from collections.abc import Callable
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
TINY = ('--seeds=2', '--models=70', '--epochs=2', '--methods=finetune')


@pytest.fixture(scope='session')
def cache(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Compiled programs that all runs of the session share."""
  return tmp_path_factory.mktemp('xla')


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
             tmp_path_factory: pytest.TempPathFactory
             ) -> tuple[pathlib.Path, subprocess.CompletedProcess[str]]:
  """The main job, small, run once undisturbed: its workdir and its process."""
  workdir = tmp_path_factory.mktemp('undisturbed')
  return workdir, run('rum', *TINY, f'--workdir={workdir}')
