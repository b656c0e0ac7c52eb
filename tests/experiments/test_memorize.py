"""The command for memorization: its files, and shared work of machines."""

import json
import shutil
import socket
import subprocess
import time

import numpy as np
import pytest

from experiments import memorize
from rum_jax import recipes
from rum_jax.pipeline import context, subset_models
from tests.experiments import conftest

pytestmark = pytest.mark.slow

TINY = ('--epochs=2', '--forget=15')


@pytest.fixture(scope='module')
def whole(run, tmp_path_factory):
  """A run of 70 models: its workdir and its process."""
  workdir = tmp_path_factory.mktemp('whole')
  return workdir, run('memorize', *TINY, '--models=70', '--influence',
                      f'--workdir={workdir}')


@pytest.fixture(scope='module')
def parts(run, tmp_path_factory):
  """Workdirs of the first 64 and of the last 6 of them."""
  folders = []
  for first, count in ((0, 64), (64, 6)):
    folders.append(tmp_path_factory.mktemp(f'from{first}'))
    process = run('memorize', *TINY, f'--first_model={first}',
                  f'--models={count}', f'--workdir={folders[-1]}')
    assert process.returncode == 0, process.stderr
  return folders


def results(workdir):
  """Names and contents of all that a person reads or an artefact holds."""
  names = ('memorization.npz', 'memorization.json')
  return {**{name: (workdir / name).read_bytes() for name in names},
          **{str(p.relative_to(workdir)): p.read_bytes()
             for p in workdir.glob('models/*/arrays.npz')}}


def test_it_writes_scores_and_how_reliable_they_are(whole):
  workdir, process = whole
  assert process.returncode == 0, process.stderr
  found = json.loads((workdir / 'memorization.json').read_text())
  assert (found['first_model'], found['models']) == (0, 70)
  assert found['identity']['epochs'] == 2 and found['group_size'] == 5
  assert [p['models'] for p in found['convergence']] == [50, 70]
  assert found['correctness']['split_half'] == found['convergence'][-1]
  assert found['recommendation']['sentence'] in process.stdout
  with np.load(workdir / 'memorization.npz', allow_pickle=False) as file:
    assert (file['models_in'] + file['models_out'] == 70).all()
    score, other = file['score'], file['probability_score']
    mean = np.nanmean(file['probability_standard_error'])
    assert np.isclose(found['probability']['mean_standard_error'], mean)
    row = file['row']
  assert score.shape == other.shape == (1438,)
  # The same models: the two estimates agree in rank.
  assert np.corrcoef(score, other)[0, 1] > 0.5
  with np.load(workdir / 'influence.npz', allow_pickle=False) as file:
    assert (file['influence'] >= 0.15).all()
    assert (file['memorization'] >= 0.25).all()
    train, test = file['train_position'], file['test_position']
    np.testing.assert_array_equal(file['memorization'], score[train])
    np.testing.assert_array_equal(file['train_row'], row[train])
    assert file['total'] >= len(train) and test.max() < 359
    assert not np.isin(file['test_row'], row).any()
    top = f"{file['influence'][0]:.2f} ± {file['standard_error'][0]:.2f}"
  assert top in (workdir / 'influence.svg').read_text()


def test_merged_runs_are_one_run_bit_for_bit(whole, parts, run, tmp_path):
  process = run('memorize', *TINY, f'--merge={parts[1]},{parts[0]}',
                f'--workdir={tmp_path}')
  assert process.returncode == 0, process.stderr
  assert results(tmp_path) == results(whole[0])


def test_models_are_added_to_a_finished_run(whole, parts, run, tmp_path):
  workdir = tmp_path / 'copy'
  shutil.copytree(parts[0], workdir)
  before = {p: p.stat().st_mtime_ns for p in workdir.glob('models/*/*')}
  assert run('memorize', *TINY, '--models=70',
             f'--workdir={workdir}').returncode == 0
  assert {p: p.stat().st_mtime_ns for p in before} == before
  assert results(workdir) == results(whole[0])


@pytest.fixture
def start_two(command):
  """`flags` to exit code, errors and output of two joined processes."""

  def start(*flags):
    with socket.socket() as server:
      server.bind(('localhost', 0))
      port = server.getsockname()[1]
    together = [subprocess.Popen(
        command('memorize', *TINY, '--models=64', *flags,
                f'--coordinator=localhost:{port}', '--processes=2',
                f'--process={process}'),
        cwd=conftest.ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE) for process in range(2)]
    said = [p.communicate(timeout=600) for p in together]
    return [(p.returncode, error, output)
            for p, (output, error) in zip(together, said, strict=True)]

  return start


def test_two_processes_write_what_one_does(parts, start_two, tmp_path):
  first, other = start_two(f'--workdir={tmp_path}')
  assert (first[0], other[0]) == (0, 0), first[1] + other[1]
  assert 'models' in first[2] and 'models' not in other[1] + other[2]
  assert results(tmp_path) == results(parts[0])


@pytest.mark.parametrize(('flags', 'message'), [
    (('--coordinator=localhost:1', '--processes=2'),
     'coordinator=localhost:1 to come with processes and process.'),
    (('--coordinator=auto', '--process=0'),
     'coordinator=auto to come with neither processes nor process.'),
    (('--processes=2', '--process=1'),
     'coordinator= to come with neither processes nor process.')])
def test_a_process_without_its_number_is_refused(run, flags, message):
  process = run('memorize', *flags)
  assert process.returncode == 1
  assert process.stderr == f'Error: Expected {message}\n'


def test_an_error_in_the_first_process_ends_the_others(start_two, tmp_path):
  begun = time.monotonic()
  (tmp_path / 'file').write_text('')
  first, other = start_two(f'--workdir={tmp_path / "file" / "work"}')
  assert time.monotonic() - begun < 90  # Not the minutes of a barrier.
  assert (first[0], other[0] != 0) == (1, True)
  assert first[1].splitlines()[-1].startswith('Error: Cannot write to workdir=')


@pytest.mark.parametrize(('fields', 'folders', 'message'), [
    ({'epochs': 3}, (0, 1), 'found epochs=3 in {root} and epochs=2 in {0}.'),
    ({'corrupt': 0.1}, (1,), 'found data='),
    ({}, (0, 'whole'), 'overlaps: models 0 to 63 in {0}, 0 to 69 in {whole}.'),
    ({}, (0, 'nowhere'), 'No finished run in merge=nowhere: '),
    ({}, (0, 0), 'to name each once.'),
])
def test_runs_that_do_not_fit_are_refused(
    whole, parts, tmp_path, fields, folders, message):
  names = {'root': str(tmp_path), '0': str(parts[0]), '1': str(parts[1]),
           'whole': str(whole[0]), 'nowhere': 'nowhere'}
  recipe = recipes.Recipe(**{'epochs': 2, **fields})
  data = context.load(recipe, 'data')
  with pytest.raises((ValueError, OSError)) as error:
    memorize.merged(
        recipe, data, tmp_path, [names[str(f)] for f in folders])
  assert message.format(names['0'], **names) in str(error.value)
  assert not list(tmp_path.iterdir())


def test_a_range_begins_where_a_segment_does(tmp_path):
  recipe = recipes.Recipe()
  data = context.load(recipe, 'data')
  runtime = context.start(recipe, data, tmp_path)
  with pytest.raises(ValueError, match='first_model=100 to be a multiple of'):
    subset_models.ensemble(recipe, data, runtime, 100)


def test_scores_of_others_are_used_where_their_order_is_proven(
    tmp_path, capsys):
  # Of digits nobody published any: the file has rows for all 1,797.
  data = context.load(recipes.Recipe(), 'data')
  runtime = context.start(recipes.Recipe(), data, tmp_path)
  label = np.empty(1797, int)
  label[data.source.row] = data.true_label
  score = np.random.default_rng(0).random(1797)
  for order in (np.arange(1797), np.roll(np.arange(1797), 1)):
    path = tmp_path / 'theirs.npz'
    np.savez(path, tr_mem=score, tr_labels=label[order])
    mine = recipes.Recipe(scores=str(path)), data, runtime
    if order[0] == 0:
      got = subset_models.estimate(*mine)
      np.testing.assert_array_equal(got.score, score[data.source.row[:1438]])
      assert 'order verified' in capsys.readouterr().out
    else:
      with pytest.raises(ValueError, match='labels differ, first in row'):
        subset_models.estimate(*mine)
