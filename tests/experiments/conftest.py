"""Runs a binary as a user does, in this process or in one of its own."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import importlib
import io
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import types
from unittest import mock
import warnings

from absl import flags
from absl.testing import flagsaver
import filelock
import pytest

from rum_jax import recipes
from rum_jax.commands import app
from rum_jax.pipeline import runs

ROOT = pathlib.Path(__file__).parents[2]
TINY = ('--seeds=2', '--models=70', '--epochs=2', '--methods=finetune')

if 'workdir' not in flags.FLAGS:
  app.define(recipes.Recipe())
if not flags.FLAGS.is_parsed():
  flags.FLAGS(['test'])


@pytest.fixture(scope='session')
def common(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """A folder that the session's workers share."""
  mine = tmp_path_factory.getbasetemp()
  return mine.parent if 'PYTEST_XDIST_WORKER' in os.environ else mine


@pytest.fixture(scope='session')
def command() -> Callable[..., list[str]]:
  """`(binary, *flags)` to a command line."""
  cache = os.environ['JAX_COMPILATION_CACHE_DIR']

  def make(binary: str, *flags: str) -> list[str]:
    return [sys.executable, '-m', f'experiments.{binary}',
            f'--compilation_cache={cache}', *flags]

  return make


def in_process(binary: str, *arguments: str
               ) -> subprocess.CompletedProcess[str]:
  """Runs a binary in this process, on the devices that this process has.

  An error that a user would see with a traceback is raised.
  """
  module = importlib.import_module(f'experiments.{binary}')
  default = getattr(module, 'DEFAULT', recipes.Recipe())
  output, errors, code = io.StringIO(), io.StringIO(), 0
  interrupted = signal.getsignal(signal.SIGINT)
  with (flagsaver.flagsaver(), warnings.catch_warnings(),
        contextlib.ExitStack() as at_exit, contextlib.chdir(ROOT),
        contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors),
        mock.patch.object(app, 'set_up'),
        mock.patch.object(
            runs, 'atexit', types.SimpleNamespace(register=at_exit.callback))):
    for name, value in vars(default).items():
      flags.FLAGS.set_default(name, value)
    flags.FLAGS.unparse_flags()
    try:
      app.parse([binary, *arguments])
      app.guarded(module.main)
    except SystemExit as end:
      code = end.code or 0
    finally:
      signal.signal(signal.SIGINT, interrupted)
  return subprocess.CompletedProcess(
      [binary, *arguments], code, output.getvalue(), errors.getvalue())


@pytest.fixture(scope='session')
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
  """`(binary, *flags)` to what it left and said."""
  return in_process


@pytest.fixture(scope='session')
def finished(command: Callable[..., list[str]], common: pathlib.Path,
             tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Workdir of the main job, small, run once undisturbed for all workers."""
  shared, mine = common / 'undisturbed', tmp_path_factory.mktemp('finished')
  with filelock.FileLock(common / 'undisturbed.lock'):
    if not (shared / 'report.html').exists():
      process = subprocess.run(
          command('rum', *TINY, f'--workdir={shared}'), cwd=ROOT, text=True,
          capture_output=True, timeout=600, check=False)
      assert process.returncode == 0, process.stderr
  return shutil.copytree(shared, mine, dirs_exist_ok=True)


@pytest.fixture
def models(finished: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
  """What the main job trained, in a folder that is no command's yet."""
  return shutil.copytree(finished, tmp_path / 'models',
                         ignore=shutil.ignore_patterns('recipe.json'))
