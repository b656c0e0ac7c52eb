"""The smaller commands: the files that they write, and wrong flags."""

from __future__ import annotations

import json
import pathlib

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest

from experiments import entangle, tune, unlearn
from rum_jax import datasets, recipes, records
from rum_jax.commands import app
from rum_jax.pipeline import builders, context
from rum_jax.reporting.speed import Speed

pytestmark = pytest.mark.slow
if 'workdir' not in flags.FLAGS:
  app.define(recipes.Recipe())
if not flags.FLAGS.is_parsed():
  flags.FLAGS(['test'])
SMALL = ('--seeds=2', '--epochs=2', '--batch_size=128')


@pytest.fixture(scope='module')
def forget(tmp_path_factory):
  path = tmp_path_factory.mktemp('rows') / 'forget.json'
  rows = datasets.digits().row[40:80]
  path.write_text(json.dumps(rows.tolist()))
  return path


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  """Shared, so that originals and oracles are trained once."""
  return tmp_path_factory.mktemp('unlearn')


@pytest.mark.parametrize(('method', 'setting', 'steps'), [
    ('ssd', 'alpha=2.0', 0),
    ('scrub', 'learning_rate=0.01,epochs=2,msteps=1', 23),
    ('tests.experiments.own_method:patient',
     'learning_rate=0.1,patience=3,share=0.25', 6 * 11)])
def test_unlearn_runs_any_method_on_any_rows(
    run, workdir, forget, method, setting, steps):
  process = run('unlearn', *SMALL, f'--workdir={workdir}', f'--rows={forget}',
                f'--method={method}', f'--setting={setting}')
  assert process.returncode == 0, process.stderr
  found = json.loads((workdir / 'results.json').read_text())
  assert found['groups']['forget']['size'] == 40
  *references, row = found['rows']
  assert [x['variant'] for x in references] == ['reference'] * 2
  assert row['method'] == method and sum(row['steps']) == steps
  assert 0 <= row['tow']['mean'] <= 1 and len(row['tow']['values']) == 2
  # What it says of the models is where they are.
  place = process.stdout.strip().splitlines()[-1].split()[-1].rstrip('.')
  folder = pathlib.Path(place)
  assert folder.name == 'tree' and folder.is_dir()
  kept = sorted(workdir.glob('results-*.json'))  # Of earlier methods, too.
  assert [x.name for x in kept] == sorted(
      f'results-{x.name}.json' for x in (workdir / 'unlearned').glob('*-*-*'))
  assert json.loads((workdir / f'results-{folder.parent.name}.json'
                     ).read_text()) == found


def test_unlearn_says_what_is_wrong_in_one_line(run, workdir, forget):
  process = run('unlearn', *SMALL, f'--workdir={workdir}', f'--rows={forget}',
                '--method=ssd', '--setting=alpha=-1')
  assert process.returncode == 1
  assert process.stderr == 'Error: Expected alpha=-1 in (0, inf).\n'


def test_unlearn_refuses_what_it_would_not_use(run):
  process = run('unlearn', '--methods=finetune')
  assert process.returncode == 1
  assert process.stderr == (
      'Error: Expected no methods=finetune: here it is --method.\n')


def test_rows_that_are_not_there_are_named_before_settings(run, tmp_path):
  for binary in ('unlearn', 'tune'):
    process = run(binary, '--rows=none.json', '--dataset=mine',
                  f'--data_dir={tmp_path}')
    assert process.returncode == 1
    assert process.stderr == (
        'Error: Cannot read rows=none.json: No such file or directory.\n')


def test_a_bad_setting_is_named_before_anything_is_trained(run, tmp_path):
  process = run('unlearn', '--setting=learning_rte=0.1',
                f'--workdir={tmp_path}', *SMALL)
  assert process.returncode == 1
  assert 'has no hyper-parameter learning_rte: it has' in process.stderr
  assert not list(tmp_path.glob('*/'))


def test_the_command_that_finds_settings_finds_the_data_too(run, tmp_path):
  images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
  np.savez(tmp_path / 'mine.npz', x_train=images, x_test=images,
           y_train=np.arange(40) % 4, y_test=np.arange(40) % 4)
  process = run('unlearn', '--dataset=mine', f'--data_dir={tmp_path}')
  assert process.returncode == 1
  assert process.stderr.endswith(f' --data_dir={tmp_path}\n')


@pytest.mark.parametrize(('method', 'setting', 'message'), [
    ('ssd', 'beta=1', 'method=ssd has no hyper-parameter beta: it has alpha, '
     'dampening, '),
    ('ssd', 'alpha=x', 'Expected setting=alpha=x to read '
     'name=value,name=value, each value a number'),
    ('ssd', 'learning_rate=1', 'has no hyper-parameter learning_rate: it has'),
    ('scrub', 'model=1', 'method=scrub has no hyper-parameter model: it has '
     'learning_rate'),
    ('tests.experiments.own_method:patient', 'share=2.0',
     'Expected share=2.0 in [0, 1].'),
    ('magic', 'alpha=1', 'Expected method=magic to be one of'),
    ('nowhere:f', 'alpha=1', 'Cannot import method=nowhere:f'),
    ('tests.experiments.own_method:NOTHING', 'alpha=1', 'to be callable'),
])
def test_bad_methods_and_settings_are_named(linear, method, setting, message):
  recipe = recipes.Recipe()
  with pytest.raises(ValueError) as error:
    builders.build(recipe, linear[0], method,
                   unlearn.setting_of(recipe, method, setting))
  assert message in str(error.value)


def test_rows_are_published_rows_and_are_echoed(monkeypatch, tmp_path, capsys):
  """Row r is the published one, whatever was set apart of the data."""
  recipe = recipes.Recipe(validation=0.2)
  source = context.load(recipe, 'data').source
  rows = source.row[[5, 40, 900]].tolist()
  path = tmp_path / 'rows.json'
  path.write_text(json.dumps(rows))
  asked = []
  monkeypatch.setattr(
      unlearn.trained_models, 'references', lambda *args: asked.append(
          args) or (_ for _ in ()).throw(ValueError('Far enough.')))
  with flagsaver.flagsaver(
      (unlearn.ROWS, str(path)), (unlearn.METHOD, 'ssd'),
      (unlearn.SETTING, 'alpha=2.0'), validation=0.2, workdir=str(tmp_path)):
    with pytest.raises(ValueError, match='Far enough.'):
      unlearn.main()
  retain = asked[0][3]
  begun = json.loads((tmp_path / 'recipe.json').read_text())
  assert (begun['command'], begun['recipe']['validation']) == ('unlearn', 0.2)
  assert sorted(set(range(source.num_train)) - set(retain.tolist())) == [
      5, 40, 900]
  said = capsys.readouterr().out
  assert f'To forget: 3 of {source.num_train:,} training examples' in said
  assert ', '.join(map(str, rows)) in said
  apart = int(dict(source.apart)['validation'][0])
  path.write_text(json.dumps([apart]))
  with flagsaver.flagsaver(
      (unlearn.ROWS, str(path)), (unlearn.METHOD, 'ssd'),
      (unlearn.SETTING, 'alpha=2.0'), validation=0.2,
      workdir=str(tmp_path / 'other')):
    with pytest.raises(ValueError, match=f'Row {apart} is in the validation'):
      unlearn.main()


def test_what_a_rule_and_what_flags_decided_stands_in_recipe_json(
    run, tmp_path, monkeypatch):
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (120, 8, 8, 1), np.uint8)
  np.savez(tmp_path / 'mine.npz', x_train=image, y_train=np.arange(120) % 4,
           x_test=rng.integers(0, 256, (40, 8, 8, 1), np.uint8),
           y_test=np.arange(40) % 4)

  def enough(*_, **__):
    raise ValueError('Far enough.')

  monkeypatch.setattr(entangle.forget_set, 'chosen', enough)
  work = tmp_path / 'work'
  flags = ('--dataset=mine', f'--data_dir={tmp_path}', '--epochs=7',
           f'--workdir={work}')
  process = run('entangle', *flags, '--partition=class', '--parts=4')
  assert process.stderr == 'Error: Far enough.\n'
  assert 'learning_rate=0.1 (an MLP on images of 64 numbers' in process.stdout
  begun = json.loads((work / 'recipe.json').read_text())
  assert begun['options'] == {'partition': 'class', 'parts': 4}
  assert set(begun['by_rule']) == {'learning_rate', 'forget'}
  recipe = begun['recipe']
  assert (recipe['learning_rate'], recipe['forget'], recipe['epochs']) == (
      0.1, 12, 7)
  assert recipe['corrupt'] == 0
  (work / 'entanglement.json').write_text('{}')
  other = run('entangle', *flags, '--partition=random', '--parts=4')
  assert 'partition=class, and this is one with partition=random' in (
      other.stderr)


def test_tune_writes_settings_that_the_main_job_reads(run, tmp_path):
  settings = tmp_path / 'settings.json'
  flags = (*SMALL, '--models=40', '--methods=finetune',
           f'--settings={settings}')
  process = run('tune', *flags, '--budget=2', f'--workdir={tmp_path / "tune"}')
  assert process.returncode == 0, process.stderr
  found = json.loads(settings.read_text())
  assert set(found['methods']['finetune']) == {
      'vanilla', 'matched', 'shuffle', 'rum_f'}
  how = found['searched']['finetune']
  assert how['settings_tried'] == 2
  assert how['recipe']['held_out'] == 'validation'
  assert how['command'].startswith('python -m experiments.tune')
  again = run('rum', *flags, f'--workdir={tmp_path / "rum"}')
  assert again.returncode == 0, again.stderr
  rows = json.loads((tmp_path / 'rum' / 'results.json').read_text())['rows']
  # Full RUM is chosen among four algorithms: of one, there is none.
  assert {r['method'] for r in rows} == {
      'do_nothing', 'another_oracle', 'finetune'}
  settings.write_text('{}')
  broken = run('rum', *flags, f'--workdir={tmp_path / "rum"}')
  assert broken.returncode == 1 and 'what experiments.tune writes' in (
      broken.stderr)


def test_tune_writes_into_the_workdir_and_adds_to_what_is_there(tmp_path):
  recipe, theirs = recipes.Recipe(), recipes.TUNED / 'digits_mlp.json'
  mine = tmp_path / 'digits_mlp.json'
  assert tune.settings_paths(recipe, tmp_path) == (mine, theirs)
  mine.write_text('{}')
  assert tune.settings_paths(recipe, tmp_path) == (mine, mine)
  named = tmp_path / 'named.json'
  assert tune.settings_paths(recipes.Recipe(settings=str(named)), tmp_path) == (
      named, named)


def test_report_writes_the_page_again(run, finished):
  page = (finished / 'report.html').read_text()
  (finished / 'report.html').unlink()
  process = run('report', f'--workdir={finished}')
  assert process.returncode == 0, process.stderr
  assert (finished / 'report.html').read_text() == page
  assert 'Expected --workdir' in run('report').stderr


def test_train_says_how_good_the_originals_are(run, workdir):
  process = run('train', *SMALL, f'--workdir={workdir}')
  assert process.returncode == 0, process.stderr
  training, test = process.stdout.splitlines()[-2:]
  assert training.startswith('training') and test.startswith('test')
  assert all(0 < float(x.split()[2]) <= 1 for x in (training, test))


def test_benchmark_prices_algorithms(run, tmp_path):
  path = tmp_path / 'speed.json'
  process = run('bench.benchmark', '--suite=algorithms', '--networks=mlp',
                '--methods=finetune,ssd', '--repeats=1', f'--json={path}')
  assert process.returncode == 0, process.stderr
  figures = records.read(Speed, path).algorithms
  assert [x.method for x in figures] == ['finetune', 'ssd']
  assert all(x.of_its_passes > 0 for x in figures)
