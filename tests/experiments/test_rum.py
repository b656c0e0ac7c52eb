"""The main job: its files, finished stages, and recovery after a kill."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from experiments import train
from rum_jax import evaluation
from rum_jax.types import GROUPS
from tests.experiments.conftest import ROOT, TINY

pytestmark = pytest.mark.slow


def figures(workdir: pathlib.Path) -> dict:
  """`results.json` without what differs between any two runs: the seconds."""

  def strip(value):
    if isinstance(value, dict):
      return {k: strip(v) for k, v in value.items()
              if 'seconds' not in k and k != 'environment'}
    return [strip(v) for v in value] if isinstance(value, list) else value

  return strip(json.loads((workdir / 'results.json').read_text()))


def artefacts(workdir: pathlib.Path) -> set[pathlib.Path]:
  """Finished ones; folders that are being written come and go."""
  found = set()
  for folder, folders, files in os.walk(workdir):
    folders[:] = [name for name in folders if not name.startswith('.')]
    if 'manifest.json' in files:
      found.add(pathlib.Path(folder))
  return found


def test_it_writes_what_the_readme_says(finished):
  found = json.loads((finished / 'results.json').read_text())
  assert found['seeds'] == [0, 1]
  assert set(found['groups']) == set(GROUPS)
  variants = {(r['method'], r['variant']) for r in found['rows']}
  assert variants == {
      ('do_nothing', 'reference'), ('another_oracle', 'reference'),
      *(('finetune', v) for v in ('vanilla', 'matched', 'shuffle', 'rum_f'))}
  for row in found['rows']:
    for name in (*(x.name for x in evaluation.FIGURES), 'seconds'):
      assert set(row[name]) == {'mean', 'ci95', 'values'}
      assert len(row[name]['values']) == 2
      assert row[name]['mean'] == pytest.approx(np.mean(row[name]['values']))
  by_name = {(r['method'], r['variant']): r for r in found['rows']}
  assert (sum(by_name['finetune', 'matched']['steps'])
          == sum(by_name['finetune', 'rum_f']['steps']))
  # The other oracle is not the oracle itself, of which ToW would be 1.
  assert max(by_name['another_oracle', 'reference']['tow']['values']) < 1
  assert [x['minus'] for x in found['differences']] == [
      'vanilla', 'matched', 'shuffle']
  page = (finished / 'report.html').read_text()
  assert page.startswith('<!DOCTYPE html>')
  assert 'Examples of each group' in page  # Images of the demo are shown.
  with np.load(finished / 'memorization.npz', allow_pickle=False) as file:
    assert file['score'].shape == (found['examples']['train'],)
    assert (file['models_in'] + file['models_out'] == 70).all()
    assert str(file['data_hash']) == found['data_hash']


def test_forget_set_is_what_was_asked_for(finished):
  found = json.loads((finished / 'results.json').read_text())
  rows = [set(g['rows']) for g in found['groups'].values()]
  assert [len(r) for r in rows] == [48, 48, 48]
  assert len(set.union(*rows)) == 144
  means = [g['mean_memorization'] for g in found['groups'].values()]
  assert means == sorted(means)


def test_a_second_run_computes_nothing(finished, run):
  before = {p: p.stat().st_mtime_ns for p in artefacts(finished)}
  first = figures(finished)
  process = run('rum', *TINY, f'--workdir={finished}')
  assert process.returncode == 0, process.stderr
  assert 'Differences in ToW, paired by seed' in process.stdout
  # Its tuned stages take another method, which was not asked for.
  assert 'There is no row of full RUM, as its stages in' in process.stdout
  assert ('take l1_sparse, which methods=finetune does not name. '
          '--methods=finetune,l1_sparse gives the row.') in process.stdout
  assert 'Everything is there: nothing is to be trained.' in process.stdout
  assert {p: p.stat().st_mtime_ns for p in artefacts(finished)} == before
  assert figures(finished) == first
  # Of another number of devices, it wrote them again; now it finds them.
  process = run('rum', *TINY, f'--workdir={finished}')
  assert f'Found {finished}/results.json' in process.stdout
  # Results are the same without images, but the report is not.
  process = run('rum', *TINY, f'--workdir={finished}', '--noshow_images')
  assert f'Wrote {finished}/results.json' in process.stdout
  assert 'Examples of each group' not in (finished / 'report.html').read_text()
  with np.load(finished / 'figures.npz') as file:
    assert 'image' not in file.files


def test_a_dry_run_says_what_is_there_and_writes_nothing(
    finished, run, tmp_path):
  before = {p: p.stat().st_mtime_ns for p in finished.rglob('*')}
  process = run('rum', *TINY, '--dry_run', f'--workdir={finished}')
  assert process.returncode == 0, process.stderr
  for line in ('originals      1 of 1 there', 'memorization   2 of 2 there',
               'oracles        1 of 1 there', 'unlearning     4 of 4 there',
               'Everything is there: nothing is to be trained.'):
    assert f'\n{line}\n' in process.stdout
  assert {p: p.stat().st_mtime_ns for p in finished.rglob('*')} == before
  workdir = tmp_path / 'part'
  shutil.copytree(finished / 'models', workdir / 'models')
  process = run('rum', *TINY, '--dry_run', f'--workdir={workdir}')
  assert '\nmemorization   2 of 2 there\n' in process.stdout
  assert '\nunlearning     0 of 4 there, about ' in process.stdout
  assert process.stdout.splitlines()[-1].startswith('In all about ')
  assert [x.name for x in workdir.iterdir()] == ['models']


def test_kills_change_nothing(finished, command, tmp_path):
  line = command('rum', *TINY, f'--workdir={tmp_path}')
  for wanted in (1, 3, 6):
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while len(artefacts(tmp_path)) < wanted and process.poll() is None:
      assert time.monotonic() < deadline
      time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
  assert not (tmp_path / 'results.json').exists()
  kept = {p: p.stat().st_mtime_ns for p in artefacts(tmp_path)}
  assert len(kept) >= 6
  subprocess.run(line, cwd=ROOT, check=True, capture_output=True)
  assert {p: p.stat().st_mtime_ns for p in kept} == kept
  assert figures(tmp_path) == figures(finished)
  assert ((tmp_path / 'memorization.npz').read_bytes()
          == (finished / 'memorization.npz').read_bytes())


def test_a_truncated_artefact_is_named_and_computed_again(
    finished, run, tmp_path):
  workdir = tmp_path / 'copy'
  shutil.copytree(finished, workdir)
  victim = next(workdir.glob('originals-*/arrays.npz'))
  victim.write_bytes(victim.read_bytes()[:-7])
  again = run('rum', *TINY, f'--workdir={workdir}')
  assert again.returncode == 0
  assert str(victim) in again.stderr and 'not what was written' in again.stderr
  assert list(workdir.glob('originals-*.damaged0'))
  assert figures(workdir) == figures(finished)


def test_a_changed_recipe_is_not_reused(finished, run, tmp_path):
  workdir = tmp_path / 'copy'
  shutil.copytree(finished, workdir)
  before = artefacts(workdir)
  flags = [f for f in TINY if not f.startswith('--epochs')]
  assert run('train', *flags, '--epochs=3',
             f'--workdir={workdir}').returncode == 0
  assert len(artefacts(workdir) - before) == 1


def test_another_command_or_recipe_is_refused_in_its_workdir(finished, run):
  before = figures(finished)
  for process, what in (
      (run('memorize', *TINY, f'--workdir={finished}'), 'this is memorize'),
      (run('rum', *TINY, '--epochs=3', f'--workdir={finished}'), 'epochs=3')):
    assert process.returncode == 1
    line = process.stderr.strip().splitlines()[-1]
    assert line.startswith('Error: ') and 'Traceback' not in process.stderr
    assert f'workdir={finished} holds a run of rum' in line and what in line
  assert figures(finished) == before


def test_two_runs_cannot_share_a_workdir(run, tmp_path, monkeypatch):
  others = []

  def second(*_):
    others.append(run('train', f'--workdir={tmp_path}'))
    raise ValueError('Far enough.')

  monkeypatch.setattr(train.trained_models, 'originals', second)
  assert 'Far enough.' in run('train', f'--workdir={tmp_path}').stderr
  assert others[0].returncode == 1
  assert f'Another run is using workdir={tmp_path}' in others[0].stderr
  # It is free again when the first has ended.
  assert 'Far enough.' in run('train', f'--workdir={tmp_path}').stderr
