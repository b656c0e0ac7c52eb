"""Faults of machines and runs give one line each, and none is hidden."""

from __future__ import annotations

from concurrent import futures
import contextlib
import errno
import io
import os
import pathlib
import re
import shutil
import signal
import threading
import warnings

from absl import flags
from absl import logging
from absl.testing import flagsaver
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import rum as main_job
from experiments import sensitivity
from rum_jax import recipes, rum
from rum_jax.commands import _console, app
from rum_jax.pipeline import context, programs, progress, unlearning
from rum_jax.reporting import folders
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import Variables

if 'workdir' not in flags.FLAGS:
  app.define(recipes.Recipe())
if not flags.FLAGS.is_parsed():
  flags.FLAGS(['test'])


def test_a_full_disk_is_one_line_with_the_path():
  full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), '/there/tree')
  assert _console.no_space(full).startswith(
      'Cannot write to /there/tree: no space')
  with flagsaver.flagsaver(workdir='/work'):
    said = _console.no_space(RuntimeError(
        'zarr: … No space left on device …'), app.FLAGS.workdir)
  assert said.startswith('Cannot write to /work: ') and '\n' not in said
  named = OSError('Cannot write runs/a: No space left on device.')
  assert _console.no_space(named, 'runs').startswith(f'{named} Run the same ')
  assert not _console.no_space(OSError(errno.EACCES, 'No.', '/there'))


def test_labels_of_other_data_are_not_changed_unless_asked():
  assert app.recipe().corrupt == 0.05
  with flagsaver.flagsaver(dataset='mine'):
    assert app.recipe().corrupt == 0
    with flagsaver.as_parsed(corrupt='0.1'):
      assert app.recipe().corrupt == 0.1


@pytest.mark.parametrize('dataset', ['digits', 'mine'])
def test_images_are_shown_of_the_demo_or_where_they_are_asked_for(dataset):
  recipe = recipes.Recipe(dataset=dataset)
  assert main_job.shows_images(recipe) == (dataset == 'digits')
  for asked in (True, False):
    with flagsaver.flagsaver(show_images=asked):
      assert main_job.shows_images(recipe) == asked


@pytest.mark.parametrize('images', [True, False])
def test_figures_hold_pixels_only_where_images_are_shown(tmp_path, images):
  recipe = recipes.Recipe()
  data = context.load(recipe, 'data')
  rng = np.random.default_rng(0)
  main_job.write_figures(
      tmp_path / 'figures.npz', data, None,
      rng.normal(size=(data.num_train, 4)),
      (np.arange(3), np.arange(3, 6), np.arange(6, 9)), images)
  shutil.copy('results/digits_mlp.json', tmp_path / 'results.json')
  page = folders.page_of(tmp_path)
  assert ('Examples of each group' in page) == images
  with np.load(tmp_path / 'figures.npz') as file:
    pixels = [name for name in file.files if file[name].dtype == np.uint8]
  assert pixels == ['image'] * images


def test_a_platform_without_devices_is_named(monkeypatch):
  def none():
    raise AssertionError

  monkeypatch.setattr(app.jax, 'devices', none)
  monkeypatch.setattr(
      type(jax.config), 'jax_platforms', 'cuda', raising=False)
  with pytest.raises(ValueError, match='Expected JAX_PLATFORMS=cuda to name'):
    app.check_devices()


def test_a_file_gets_lines_of_plain_characters_and_no_bars():
  stream = io.TextIOWrapper(io.BytesIO(), encoding='ascii')
  bar = progress.Progress('unlearning', 2, stream=stream)
  bar.step()
  bar.step('done')
  stream.seek(0)
  assert stream.read().startswith('unlearning        2/2')


def test_a_person_sees_what_takes_a_while():
  stream = io.StringIO()
  stream.isatty = lambda: True
  done, later = futures.Future(), futures.Future()
  done.set_result(1)
  threading.Timer(1.2, later.set_result, [2]).start()
  with contextlib.redirect_stderr(stream):
    assert progress.awaited('compiling', done) == 1
    assert not stream.getvalue()
    assert progress.awaited('compiling', later, 'advance') == 2
  shown = stream.getvalue().split('\r\033[K')
  assert re.fullmatch(r'compiling +░{20} +0/1 +0\.\d s', shown[1])
  assert re.fullmatch(
      r'compiling +█{20} +1/1 +0\.\d s +advance\n', shown[-1])


def test_where_every_run_diverged_no_model_is_offered():
  recipe = recipes.Recipe(seeds=2)
  job = unlearning.Job('finetune', 'vanilla', [('finetune', {})], ())
  lost = [{'seed': seed, 'stage': 0} for seed in (0, 1)]
  one, both = (Artefact({}, notes={'diverged': x}) for x in (lost[:1], lost))
  unlearning.check_any_finite(recipe, [(job, one), (job, both)])
  with pytest.raises(ValueError, match='All 2 runs of finetune vanilla diverg'):
    unlearning.check_any_finite(recipe, [(job, both)])


@pytest.fixture
def guarded(monkeypatch):
  """`app.guarded` without devices of its own; the handler is put back."""
  monkeypatch.setattr(app, 'start_devices', lambda: None)
  before = signal.getsignal(signal.SIGINT)
  with warnings.catch_warnings():
    show, level = warnings.showwarning, logging.get_verbosity()
    yield app.guarded
    warnings.showwarning = show
    logging.set_verbosity(level)
  signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_at_once_and_says_how_to_go_on(
    guarded, monkeypatch, capfd):
  """No exception is raised, which a callback of a library might swallow."""
  codes = []
  monkeypatch.setattr(app.os, '_exit', codes.append)
  guarded(lambda: signal.raise_signal(signal.SIGINT))
  assert codes == [130]
  assert capfd.readouterr().err == (
      '\nInterrupted; run the same command again to go on.\n')


def test_output_that_lacks_a_character_gets_another_one(guarded, monkeypatch):
  streams = [io.TextIOWrapper(io.BytesIO(), encoding='ascii')
             for _ in range(2)]
  for name, stream in zip(('stdout', 'stderr'), streams):
    monkeypatch.setattr(app.sys, name, stream)

  def main():
    print('ToW 0.9 ± 0.1')
    print('█', file=app.sys.stderr)

  guarded(main)
  for stream, want in zip(streams, ('ToW 0.9 ? 0.1\n', '?\n')):
    stream.seek(0)
    assert stream.read() == want


def test_other_networks_run_with_the_programs_of_the_first(monkeypatch):
  """`--chunk` and `--devices_per_run` hold for all networks that are tried."""
  recipe = recipes.Recipe(forget=90, seeds=3)
  data = context.load(recipe, 'data')
  runtime = context.start(recipe, data, pathlib.Path('none'),
                          programs.Programs(4, 1), (pathlib.Path('other'),))
  features = jnp.asarray(
      np.random.default_rng(0).normal(size=(3, data.num_train, 4)))
  asked = []
  monkeypatch.setattr(sensitivity, 'layers', lambda *_: {})
  monkeypatch.setattr(
      sensitivity.trained_models, 'embedding',
      lambda other, _, mine: asked.append((other.network, mine)) or features)
  ways = list(sensitivity.variations(recipe, data, runtime, features))
  assert [way.value for way in ways if way.axis == 'network'] == ['cnn']
  (network, mine), = asked
  assert network == 'cnn' and mine.programs is runtime.programs
  assert mine.programs.chunk == 4 and mine.others == runtime.others


def test_an_own_method_that_returns_no_pair_is_one_line(guarded, capsys):
  def main():
    unlearn = rum.sequential(lambda key, variables, examples, split: variables)
    unlearn(jax.random.key(0), Variables({}, {}), None, (None,))

  with pytest.raises(SystemExit) as end:
    guarded(main)
  assert end.value.code == 1
  line, = capsys.readouterr().err.splitlines()
  assert line.startswith('Error: Expected unlearners[0] to return (variables')
  with pytest.raises(TypeError, match='another'):  # A fault of the program.
    guarded(lambda: (_ for _ in ()).throw(TypeError('another')))
