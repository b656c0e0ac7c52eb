"""`rum-jax unlearn`: what comes in, what comes out, and what is refused."""

from __future__ import annotations

import dataclasses
import errno
import io
import os
import pathlib
import shlex
import shutil
import time

import jax
import numpy as np
import pytest

from rum_jax import audits, models, records
from rum_jax.commands import _flags, _main
from rum_jax.pipeline import cards, forgetting, requests, waiting
from rum_jax.pipeline.programs import Programs
from rum_jax.storage import artefacts
from rum_jax.types import Signals
from tests.commands import networks
from tests.commands.conftest import FEEDING, GIVEN, ROWS, SIDE, card
from tests.commands.conftest import TEST, TRAIN

OUT = '--out=new.safetensors'
QUICK = ('--method=finetune', '--setting=epochs=1,learning_rate=0.01',
         '--batch_size=16', '--seeds=2')


def one_line(err: str) -> str:
  """The one line of an error, which comes last, after lines of progress."""
  *before, last = err.splitlines()
  assert last.startswith('Error: '), err
  assert not any('Error' in x or 'Traceback' in x for x in before), err
  return last


def refused(rum, *arguments: str, code: int = 1) -> str:
  """The one line of a command that must fail and leave no weights."""
  found, _, err = rum('unlearn', *arguments)
  assert found == code, err
  err = one_line(err)
  assert not pathlib.Path('new.safetensors').exists()
  assert not pathlib.Path('new.safetensors.card.json').exists()
  return err


def test_weights_come_out_as_they_came_in_and_a_second_request_goes_on(
    rum, place, trained):
  code, out, err = rum('unlearn', *GIVEN, *QUICK, OUT)
  assert code == 0, err
  accuracy = 'Accuracy of the given weights: 100.0% on the training'
  assert accuracy in out and out.index(accuracy) < out.index('Method finetune')
  assert 'the first of 2 copies, seed 0' in out
  assert '(mean of 2 copies)' in out and 'The copy that is written' in out
  assert 'These values were given.' in out
  _, before, _, _ = trained
  after = models.read_safetensors(place / 'new.safetensors')
  assert list(after) == list(before)
  assert {k: (x.shape, x.dtype) for k, x in after.items()} == {
      k: (x.shape, x.dtype) for k, x in before.items()}
  assert any((after[k] != before[k]).any() for k in before)
  (first,) = card(place / 'new.safetensors')['requests']
  assert first['rows'] == list(ROWS) and first['seeds'] == [0, 1]
  # The same command again finds the place taken.
  taken = rum('unlearn', *GIVEN, *QUICK, OUT)[2]
  assert 'out=new.safetensors' in taken and '--overwrite replaces' in taken
  # How the network was fed is in the card and need not be said again; one of
  # the rows has moved, as the first was dropped from the data.
  with np.load('mine.npz') as file:
    data = dict(file)
  np.savez('mine.npz', **{k: x[4:] if 'train' in k else x
                          for k, x in data.items()})
  (place / 'rows.txt').write_text('30\n31\n')
  again = ('--weights=new.safetensors', '--data=mine.npz', '--rows=rows.txt')
  code, out, err = rum('unlearn', *again, *QUICK, '--out=newer.safetensors',
                       '--workdir=second', '--nochecks')
  assert code == 0, err
  evidence = records.read(audits.Evidence, place / 'second' / 'evidence.json')
  assert [(x.name, x.size) for x in evidence.parts] == [('new', 2), ('all', 7)]
  assert [x.rows for x in evidence.request.earlier] == [ROWS]
  assert '1 earlier request made these weights forget 5 examples' in out
  assert '1 more is no longer in the data' in out
  second = card(place / 'newer.safetensors')['requests']
  assert second[0] == first and second[1]['rows'] == [30, 31]
  prepared = requests.prepare(requests.Request(
      weights='new.safetensors', data='mine.npz', rows='rows.txt',
      batch_size=16))
  assert prepared.earlier.tolist() == [x - 4 for x in ROWS[1:]]
  gone = {30, 31, *prepared.earlier.tolist()}
  assert set(prepared.split.retain.tolist()) == set(range(44)) - gone
  assert 'rows' in rum('runs', '.')[1].splitlines()[-1].split('second')[1]
  # What was forgotten before stays so, beside new rows.
  (place / 'rows.txt').write_text('1\n35\n')
  prepared = requests.prepare(requests.Request(
      weights='new.safetensors', data='mine.npz', rows='rows.txt',
      batch_size=16))
  assert prepared.rows.tolist() == prepared.split.forget.tolist() == [35]
  assert '1 of 2 rows were forgotten before and stay so.' in prepared.notes
  # It is refused where none is new.
  (place / 'rows.txt').write_text('1\n')
  assert 'row 1, which the card' in rum(
      'unlearn', *again, *QUICK, '--out=third.safetensors')[2]


def test_a_dry_run_says_what_it_would_cost_and_leaves_nothing(rum, place):
  before = sorted(place.rglob('*'))
  code, out, err = rum('unlearn', *GIVEN, *QUICK, '--dry_run')
  assert code == 0, err
  assert 'GiB of memory' in out and 'of training once' in out
  assert 'Compiling took' in out and 'on this machine' in out
  assert 'for unlearning, compiling and the checks.' in out
  assert sorted(place.rglob('*')) == before


@pytest.mark.parametrize('factory', ['linen', 'with_dropout', 'functions'])
def test_networks_of_whatever_kind(rum, place, factory):
  make = getattr(networks, factory)
  how = {'mean': (0.5,), 'std': (0.3,)}
  model, _ = models.from_factory(make, (SIDE, SIDE, 3), 3, **how)
  variables = model.init(jax.random.key(0))
  models.write_safetensors('own.safetensors', models.to_plain(variables))
  code, _, err = rum(
      'unlearn', '--weights=own.safetensors', '--data=mine.npz',
      '--rows=class=2', f'--network=tests.commands.networks:{factory}', OUT,
      *FEEDING, *QUICK, '--force')
  assert code == 0, err
  after = models.read_safetensors('new.safetensors')
  assert {k: x.shape for k, x in after.items()} == {
      k: x.shape for k, x in models.to_plain(variables).items()}
  # The card names the factory, but nothing that a file names is run.
  again = requests.Request(weights='new.safetensors', data='mine.npz',
                           rows='class=1', batch_size=8)
  with pytest.raises(ValueError, match=f'names network=.*:{factory}, but'):
    requests.prepare(again)
  given = f'tests.commands.networks:{factory}'
  prepared = requests.prepare(dataclasses.replace(again, network=given))
  assert prepared.network.feeding['mean'] == (0.5,)


@pytest.mark.parametrize(('factory', 'words'), [
    ('nothing', 'nothing to return a Linen module'),
    ('greedy', 'greedy to need none but classes, image_shape'),
    ('absent', "has no attribute 'absent'")])
def test_a_factory_that_makes_no_network_is_named(rum, place, factory, words):
  assert words in refused(
      rum, *GIVEN, OUT, f'--network=tests.commands.networks:{factory}')


def test_a_network_at_chance_is_refused_and_told_what_may_help(
    rum, place, trained):
  _, state, _, _ = trained
  models.write_safetensors('model.safetensors', {
      **state, 'head.weight': 0 * state['head.weight']})
  said = refused(rum, *GIVEN, *QUICK, OUT)
  assert 'accuracy of 33.3%' in said and 'With force' in said


def test_a_normalisation_that_was_forgotten_is_named_where_it_matters(
    place, trained):
  prepared = requests.prepare(requests.Request(
      weights='model.safetensors', data='mine.npz', rows='rows.txt',
      batch_size=16))
  programs = Programs()
  score = np.zeros((1, TRAIN + TEST))
  low = forgetting.Before(Signals(score, score), score, 0.4, 0.4, 1.0, 1.0)
  said = forgetting.feeding_advice(prepared, low, programs)
  assert said.startswith('Warning: with the normalisation ')
  assert 'training examples is 100.0%, and without it 0.0%' in said
  assert not forgetting.feeding_advice(
      prepared, low._replace(train=0.95), programs)
  given = dataclasses.replace(prepared.request, mean=(0.5,))
  assert not forgetting.feeding_advice(
      prepared._replace(request=given), low, programs)


def test_a_setting_says_where_its_values_come_from(place):
  asked = requests.Request(weights='model.safetensors', data='mine.npz',
                           rows='rows.txt', batch_size=16, budget=2)
  cut = requests.prepare(asked)
  assert 'epochs=2 (cut from ' in requests.setting_text(cut)
  assert 'by the budget)' in requests.setting_text(cut)
  assert requests.setting_origin(cut).startswith('These values follow')
  given = cut._replace(
      request=dataclasses.replace(asked, setting={'epochs': 2}))
  assert 'epochs=2,' in requests.setting_text(given)
  assert requests.setting_origin(given).startswith('Given: epochs. The other')


def test_a_file_gets_no_line_twice():
  stream = io.StringIO()
  with waiting.part('method 1 of 2, salun'):
    with waiting.waiting('unlearning', 100.0, stream, every=0.001):
      time.sleep(0.05)
  assert stream.getvalue() == (
      'method 1 of 2, salun: unlearning     0 s of about 2 min\n')
  assert waiting.share_of_training(0.22) == '22% of the work of training once'
  assert waiting.share_of_training(1.0).startswith('1.0 times the work')


def test_the_usual_normalisations_are_tried(rum, place, trained):
  said = refused(rum, *GIVEN[:1], *GIVEN[3:], *QUICK, OUT, '--mean=9')
  assert 'mean=0.5 and std=0.5, it is' in said or (
      'mean=0.485,0.456,0.406' in said)


@pytest.mark.parametrize('wrapper', ['', 'module.', 'model.', '_orig_mod.'])
def test_a_layer_that_normalises_is_found_in_any_wrapper(
    place, trained, wrapper):
  _, state, _, _ = trained
  layer = {'normalize.mean': np.full((1, 3, 1, 1), 0.5, np.float32),
           'normalize.std': np.full((1, 3, 1, 1), 0.25, np.float32)}
  models.write_safetensors('wrapped.safetensors', {
      wrapper + name: x for name, x in {**layer, **state}.items()})
  prepared = requests.prepare(requests.Request(
      weights='wrapped.safetensors', data='mine.npz', rows='rows.txt',
      batch_size=16))
  assert prepared.network.feeding == {'mean': [0.5] * 3, 'std': [0.25] * 3}


def damaged(place: pathlib.Path, what: str) -> tuple[str, ...]:
  """Makes something wrong; returns flags that take the place of others."""
  model = place / 'model.safetensors'
  if what == 'truncated':
    model.write_bytes(model.read_bytes()[:-100])
  elif what == 'pickle':
    shutil.copy(model, 'model.pth')
    return ('--weights=model.pth',)
  elif what == 'renamed pickle':
    model.write_bytes(b'\x80\x04' + bytes(20))
  elif what == 'another network':
    state = models.read_safetensors(model)
    state.pop('blocks.0.norm1.weight')
    models.write_safetensors(model, state)
  elif what == 'unknown network':
    models.write_safetensors(model, {'a': np.zeros(3, np.float32)})
  elif what == 'another name':
    return ('--network=resnet18',)
  elif what == 'no such name':
    return ('--network=resnet19',)
  elif what == 'beyond':
    (place / 'rows.txt').write_text('3\n48\n')
  elif what == 'empty':
    (place / 'rows.txt').write_text('# none\n')
  elif what == 'everything':
    (place / 'rows.txt').write_text('\n'.join(map(str, range(48))))
  elif what == 'too much':
    (place / 'rows.txt').write_text('\n'.join(map(str, range(40))))
  elif what == 'no folder':
    return ('--out=nowhere/new.safetensors',)
  elif what == 'another kind':
    return ('--out=new.bin',)
  elif what == 'classes':
    return ('--classes=0,1,1',)
  elif what == 'two channels':
    with np.load('mine.npz') as file:
      data = {k: x[..., :2] if k[0] == 'x' else x for k, x in file.items()}
    np.savez('mine.npz', **data)
  elif what == 'method':
    return ('--method=finetun',)
  elif what == 'setting':
    return ('--setting=learning_rte=0.1',)
  elif what == 'card':
    shutil.copy(place / 'rows.txt', 'model.safetensors.card.json')
  return ()


@pytest.mark.parametrize(('what', 'words'), [
    ('truncated', 'weights=model.safetensors'),
    ('pickle', 'weights=model.pth is a pickle'),
    ('renamed pickle', 'weights=model.safetensors is a pickle'),
    ('another network', 'Expected blocks.0.norm1.weight of shape (64,)'),
    ('unknown network', 'network=package.module:factory'),
    ('another name', 'network=resnet18, found those of ViT'),
    ('no such name', 'network=resnet19'),
    ('beyond', 'rows=rows.txt: Row 48 does not exist'),
    ('empty', 'rows=rows.txt: The list of rows to forget is empty'),
    ('everything', 'are all 48 training examples'),
    ('too much', '40 rows to forget to leave a retain set'),
    ('no folder', 'out=nowhere/new.safetensors: there is no folder'),
    ('another kind', 'out=new.bin to end in .safetensors'),
    ('classes', 'found 1 twice'),
    ('two channels', 'images of 3 channels'),
    ('method', 'finetune'), ('setting', 'learning_rte'),
    ('card', 'card.json is not a file of this program')])
def test_bad_input_is_one_line_that_names_it(rum, place, what, words):
  flags = [*GIVEN, *QUICK, '--batch_size=16', OUT]
  flags += damaged(place, what)
  assert words in refused(rum, *flags)


def test_a_method_that_returns_no_pair_is_one_line(rum, place):
  said = refused(rum, *GIVEN, OUT, '--batch_size=16',
                 '--method=tests.commands.networks:forgets_no_info')
  assert 'to return (variables, info)' in said


def test_images_of_two_sizes(rum, place):
  from PIL import Image
  for i in range(4):
    folder = place / 'photos' / 'ab'[i % 2]
    folder.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (8, 8 + i // 3)).save(folder / f'{i}.png')
  said = refused(rum, *GIVEN[:3], '--data=photos', '--rows=class=a', OUT)
  assert 'to be of one size, found' in said and 'a/0.png' in said


def test_a_place_without_permission(rum, place, monkeypatch):
  (place / 'shut').mkdir()
  monkeypatch.setattr(os, 'access', lambda path, mode: (
      pathlib.Path(path).name != 'shut'))  # Root may write anywhere.
  assert 'permission denied' in refused(
      rum, *GIVEN, '--out=shut/new.safetensors')


def test_a_disk_without_room_is_noticed_before_the_work(
    rum, place, monkeypatch):
  usage = shutil.disk_usage(place)
  monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage._replace(free=9))
  said = refused(rum, *GIVEN, *QUICK, OUT)
  assert 'out=new.safetensors: no space is left' in said
  assert not (place / 'runs').exists()


def test_a_full_disk_leaves_nothing_half_written(rum, place, monkeypatch):
  whole = pathlib.Path.write_bytes

  def full(path: pathlib.Path, data: bytes) -> int:
    if path.name.lstrip('.').startswith('new.safetensors'):
      whole(path, data[:10])
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return whole(path, data)

  monkeypatch.setattr(pathlib.Path, 'write_bytes', full)
  said = refused(rum, *GIVEN, *QUICK, OUT)
  assert 'new.safetensors' in said and 'No space left' in said
  assert not [x for x in place.iterdir() if 'new.safetensors' in x.name]


@pytest.mark.parametrize(('arguments', 'words'), [
    (('unlern',), 'did you mean unlearn?'),
    (('unlearn', '--wieghts=a'), 'did you mean --weights?'),
    (('unlearn', '--seeds=0'), 'seeds'),
    (('unlearn', 'model.safetensors'), "found 'model.safetensors'")])
def test_a_command_line_that_is_not_understood(rum, arguments, words):
  code, _, err = rum(*arguments)
  assert code == 2 and err.count('\n') == 1 and words in err


def test_help_lists_the_flags_of_one_command_alone(rum):
  code, out, _ = rum('--help')
  assert code == 0 and 'rum-jax unlearn' in out
  code, out, _ = rum('unlearn', '--help')
  assert code == 0 and '--weights=' in out and '--logtostderr' not in out
  assert max(map(len, out.splitlines())) <= 80


def test_a_folder_of_models_that_a_command_saved(rum, place):
  module = models.MLP(3, (8,))
  how = {'mean': (0.5,), 'std': (0.3,)}
  shape = (SIDE, SIDE, 3)
  model = models.from_linen(module, shape, **how)
  variables = jax.vmap(model.init)(jax.random.split(jax.random.key(0), 2))
  artefacts.save(place / 'originals-0', {}, artefacts.Artefact(
      {}, jax.tree.map(np.asarray, variables._asdict()),
      {'model': models.describe(module, shape, **how)}))
  code, out, err = rum(
      'unlearn', '--weights=originals-0', '--data=mine.npz', '--rows=rows.txt',
      *QUICK, '--force', '--nochecks', OUT)
  assert code == 0, err
  assert 'MLP' in out and 'mean 0.5; std 0.3' in out
  # What came out needs nothing but its card.
  (place / 'rows.txt').write_text('0\n1\n')
  prepared = requests.prepare(requests.Request(
      weights='new.safetensors', data='mine.npz', rows='rows.txt',
      batch_size=8))
  assert prepared.network.name == 'MLP' and len(prepared.earlier) == len(ROWS)


@pytest.mark.parametrize('name', _main.COMMANDS)
def test_examples_of_the_help_use_flags_that_there_are(name):
  command = _main.command_of(name)
  for _, line in command.examples:
    first, *rest = shlex.split(line)
    flags = _flags.Flags()
    command.define(flags)
    assert first == name and flags.parse(command, rest)

def test_a_card_names_an_image_for_each_row(tmp_path):
  request = cards.Forgotten(
      date='', rows=(3, 5), images=('ab',), rows_hash='', data='', data_hash='',
      weights_hash='', method='finetune', setting={}, seeds=(0,), seconds={},
      versions={}, command='', measured={})
  weights = tmp_path / 'a.safetensors'
  card = cards.Card(weights=weights.name, weights_hash='cd', network={},
                    requests=(request,))
  cards.write(weights, card)
  with pytest.raises(ValueError, match=r'requests\[0\] .*each of 2 rows, .* 1'):
    cards.read(weights, 'cd')
  whole = dataclasses.replace(request, images=('ab', 'cd'))
  cards.write(weights, dataclasses.replace(card, requests=(whole,)))
  assert cards.read(weights, 'cd').requests == (whole,)


def test_the_card_of_a_run_that_was_killed_before_it_replaced_the_weights(
    tmp_path):
  """Old weights beside the new card keep the requests that they had."""
  one, two = (cards.Forgotten(
      date='', rows=(row,), images=('ab',), rows_hash='', data='', data_hash='',
      weights_hash=given, method='finetune', setting={}, seeds=(0,),
      seconds={}, versions={}, command='', measured={})
              for row, given in ((3, 'original'), (5, 'first')))
  weights = tmp_path / 'a.safetensors'
  cards.write(weights, cards.Card(weights=weights.name, weights_hash='second',
                                  network={}, requests=(one, two)))
  assert cards.read(weights, 'second').requests == (one, two)
  found = cards.read(weights, 'first')
  assert found.requests == (one,) and found.weights_hash == 'first'
  assert cards.read(weights, 'original') is None
  with pytest.raises(ValueError, match='found that of other weights'):
    cards.read(weights, 'another')


def test_a_run_that_dies_at_the_last_rename_goes_on(rum, place, monkeypatch):
  replace, again = pathlib.Path.replace, ('--out=model.safetensors',
                                          '--overwrite', '--nochecks')

  def dies(path: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    if pathlib.Path(target).name == 'model.safetensors':
      raise KeyboardInterrupt
    return replace(path, target)

  old = (place / 'model.safetensors').read_bytes()
  with monkeypatch.context() as patch:
    patch.setattr(pathlib.Path, 'replace', dies)
    with pytest.raises(KeyboardInterrupt):
      rum('unlearn', *GIVEN, *QUICK, *again)
  assert (place / 'model.safetensors').read_bytes() == old
  code, _, err = rum('unlearn', *GIVEN, *QUICK, *again)
  assert code == 0, err
  found = cards.read(place / 'model.safetensors', artefacts.file_digest(
      place / 'model.safetensors'))
  assert [x.rows for x in found.requests] == [ROWS]
  assert not list(place.glob('.model*'))
