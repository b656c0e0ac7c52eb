"""What a request leaves: evidence beside retrained networks, pages, purging."""

from __future__ import annotations

import json
import pathlib

import numpy as np
from PIL import Image
import pytest

from rum_jax import audits, models, records
from rum_jax.pipeline import findings, forgetting, requests, runs
from rum_jax.pipeline.programs import Programs
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import Signals
from tests.commands.conftest import GIVEN, ROWS, TEST, TRAIN
from tests.commands.test_unlearn import QUICK, refused

OUT = '--out=new.safetensors'
RETRAINED = ('--oracles=2', '--train_epochs=1', '--train_learning_rate=0.05')


@pytest.fixture
def done(rum, place: pathlib.Path) -> pathlib.Path:
  """The folder of a finished request with two retrained networks."""
  code, out, err = rum(
      'unlearn', *GIVEN, *QUICK, *RETRAINED, '--start=model.safetensors', OUT,
      '--workdir=run', '--show_images')
  assert code == 0, err
  assert '2 networks are retrained for 1 epochs' in out
  assert 'They start from model.safetensors.' in out
  assert 'As if retrained?' in out or 'retrained' in out
  return place / 'run'


def test_evidence_is_a_record_a_page_and_no_pixels_after_a_purge(
    rum, place, done, monkeypatch):
  evidence = records.read(audits.Evidence, done / 'evidence.json')
  (part,) = evidence.parts
  assert evidence.request.rows == ROWS and part.size == len(ROWS)
  assert part.retrained.models == 2 and part.unlearned.models == 2
  # Retraining started from weights that fit all examples.
  assert part.retrained.retain_accuracy.mean == 1
  measured = json.loads((place / 'new.safetensors.card.json').read_text())[
      'requests'][0]['measured']
  assert measured['forget']['answer'] == part.verdict.answer
  assert (done / 'report.html').read_text().count('<html') == 1
  code, out, _ = rum('runs', '--root=.')
  assert code == 0 and part.verdict.answer in out and 'run  unlearn' in out
  # The page shows images, as was asked; a purge takes it away, when agreed.
  monkeypatch.setattr('sys.stdin.isatty', lambda: False, raising=False)
  code, _, err = rum('purge', 'run')
  assert code == 1 and 'yes' in err and (done / 'report.html').exists()
  code, out, _ = rum('purge', 'run', '--yes')
  assert code == 0 and 'Removed 1 of them' in out
  assert 'model.safetensors: weights that were trained on them' in out
  assert not (done / 'report.html').exists()
  assert (place / 'model.safetensors').exists()
  code, out, err = rum('report', 'run')
  assert code == 0 and (done / 'report.html').exists(), err
  assert 'No file of the run holds' in rum('purge', 'run')[1]
  # Weights that come from elsewhere are judged in the same way.
  code, out, err = rum(
      'audit', '--original=model.safetensors', '--weights=new.safetensors',
      *GIVEN[1:], '--batch_size=16', '--workdir=audit', '--nochecks')
  assert code == 0, err
  other = records.read(audits.Evidence, place / 'audit' / 'evidence.json')
  assert other.parts[0].unlearned.models == 1 and other.request.method == (
      'done elsewhere')
  np.testing.assert_allclose(
      other.parts[0].unlearned.forget_accuracy.values[0],
      part.unlearned.forget_accuracy.values[0], atol=1e-6)


@pytest.mark.parametrize(('flags', 'words'), [
    (('--start=model.safetensors',), 'start=model.safetensors without oracles'),
    (('--oracles=2', '--start=other.safetensors'), 'of 20 tensors'),
    (('--train_augment=mirror',), 'train_augment=mirror')])
def test_retraining_that_cannot_be_is_refused(rum, place, flags, words):
  models.write_safetensors('other.safetensors', {'a': np.zeros(3, np.float32)})
  assert words in refused(rum, *GIVEN, *QUICK, *flags, OUT)


@pytest.mark.parametrize('command', [
    ('audit', '--original=model.safetensors', '--weights=other.safetensors'),
    ('compare', '--weights=model.safetensors', '--methods=identity,finetune'),
    ('unlearn', '--weights=model.safetensors', '--method=finetune', OUT)])
def test_other_retraining_has_a_folder_of_its_own(
    rum, place, trained, monkeypatch, command):
  _, state, _, _ = trained
  models.write_safetensors('other.safetensors', {
      **state, 'head.bias': state['head.bias'] + 1})
  roots = []

  def claim(root: pathlib.Path) -> None:
    roots.append(root)
    raise OSError('That is enough.')

  monkeypatch.setattr(runs, 'claim', claim)
  nothing = np.zeros((1, TRAIN + TEST))
  before = forgetting.Before(
      Signals(nothing, nothing), nothing, 1.0, 1.0, 1.0, 1.0)
  monkeypatch.setattr(forgetting, 'look', lambda *_: before)
  for epochs in (1, 1, 2):
    assert 'enough' in rum(
        *command, *GIVEN[1:], '--batch_size=16', '--oracles=2',
        f'--train_epochs={epochs}')[2]
  assert roots[0] == roots[1] != roots[2]


def test_what_was_observed_is_not_used_for_other_data(place, monkeypatch):
  asked = requests.Request(
      weights='model.safetensors', mean=(0.5,), std=(0.3,), data='mine.npz',
      rows='rows.txt', batch_size=16, checks=False)
  nothing = np.zeros((1, TRAIN + TEST), np.float32)
  found, times = forgetting.Seen(nothing, nothing, nothing), []
  monkeypatch.setattr(forgetting, 'seen', lambda *_: (
      times.append(1), (found, {}))[1])
  copies = Artefact({}, {'params': {'a': np.zeros((1, 2))}}, {}, 'digest')

  def count() -> int:
    prepared = requests.prepare(asked)
    findings.observed(
        prepared, place, Programs(), prepared.split, 'copies', copies)
    return len(times)

  assert (count(), count()) == (1, 1)
  with np.load('mine.npz') as file:
    data = dict(file)
  np.savez('mine.npz', **{**data, 'x_test': 255 - data['x_test']})
  assert count() == 2  # As many held-out examples, and other ones.
  np.savez('mine.npz', **{**data, 'x_train': 255 - data['x_train']})
  assert count() == 3


def test_the_same_weights_twice_cannot_be_judged(rum, place):
  code, _, err = rum('audit', '--original=model.safetensors',
                     '--weights=model.safetensors', *GIVEN[1:],
                     '--batch_size=16')
  assert code == 1 and 'found the same content' in err


def test_a_folder_of_no_run_is_named(rum, place):
  for command in ('purge', 'report'):
    code, _, err = rum(command, '.')
    assert code == 1 and err.startswith('Error: Expected') and (
        err.count('\n') == 1)
  assert 'no folder root=nowhere' in rum('runs', 'nowhere')[2]


def test_methods_are_compared_in_one_table(rum, place):
  code, out, err = rum(
      'compare', *GIVEN, '--batch_size=16', '--seeds=2', *RETRAINED,
      '--budget=1', '--nochecks', '--methods=identity,finetune',
      '--settings=finetune:learning_rate=0.01', '--workdir=both')
  assert code == 0, err
  lines = out.splitlines()
  assert any(x.startswith('identity*') for x in lines)
  assert any(x.startswith('finetune ') for x in lines)
  assert any(x.startswith('retrained') for x in lines)
  table = (place / 'both' / 'results.csv').read_text().splitlines()
  assert len(table) == 1 + 2 * 2 and table[0].startswith('method,seed,tuned,')
  assert 'identity,0,False,1,1,1,' in table[1]
  report = (place / 'both' / 'report.html').read_text()
  assert 'not tuned on these data' in report
  assert 'Method 1 of 2, identity: ' in out and (
      'Method 2 of 2, finetune: learning_rate=0.01, epochs=1 (as large' in out)
  listed = rum('runs', '--root=.')[1]
  assert 'identity,finetune  identity: ' in listed and 'finetune: ' in listed
  assert rum('report', 'both')[0] == 0
  code, _, err = rum('compare', *GIVEN, '--methods=ssd,ssd')
  assert code == 1 and 'none twice' in err


def test_a_folder_of_images_without_a_held_out_part(rum, place, trained):
  _, _, train, _ = trained
  for i, (image, k) in enumerate(zip(train.image, train.label)):
    folder = place / 'photos' / 'abc'[k]
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(folder / f'{i:02d}.png')
  (place / 'rows.txt').write_text('b/01.png\nb/04.png\n')
  code, out, err = rum(
      'unlearn', *GIVEN[:3], '--data=photos', '--rows=rows.txt', *QUICK,
      '--workdir=run', OUT)
  assert code == 0, err
  assert 'no held-out examples' in out and 'b 2 of 16' in out
  evidence = records.read(audits.Evidence, place / 'run' / 'evidence.json')
  (part,) = evidence.parts
  assert evidence.held_out == 0 and part.unlearned.attack is None
  assert part.unlearned.relearned is not None
  # The decoded images are ours to remove, the folder is not.
  assert 'photos.decoded: images of forgotten rows' in out
  assert rum('purge', 'run', '--yes')[0] == 0
  assert not (place / 'photos.decoded').exists()
  assert len(list((place / 'photos').rglob('*.png'))) == len(train.label)
