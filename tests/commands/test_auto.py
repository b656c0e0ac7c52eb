"""`rum-jax unlearn` where no method is given: a search, or the default."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from rum_jax import audits, memorization, models, records
from rum_jax.pipeline import builders, choosing, forgetting, requests
from tests.commands import networks
from tests.commands.conftest import (
    FEEDING, GIVEN, ROWS, SIDE, TEST, TRAIN, card)
from tests.commands.test_unlearn import refused

OUT = '--out=new.safetensors'
OWN = ('--weights=own.safetensors', *FEEDING, '--data=mine.npz',
       '--rows=rows.txt', '--network=tests.commands.networks:functions',
       '--force', '--batch_size=16', '--seeds=1', '--nochecks')


@pytest.fixture
def own(place):
  """A linear network, twenty rows to forget, and an ensemble of the data."""
  model, _ = models.from_factory(
      networks.functions, (SIDE, SIDE, 3), 3, mean=(0.5,), std=(0.3,))
  models.write_safetensors('own.safetensors', models.to_plain(
      model.init(jax.random.key(0))))
  (place / 'rows.txt').write_text('\n'.join(map(str, range(20))))
  prepared = requests.prepare(requests.Request(
      weights='own.safetensors', data='mine.npz', rows='rows.txt',
      network='tests.commands.networks:functions', batch_size=16))
  bits = memorization.pack(np.ones((3, TRAIN), bool))
  inside = memorization.pack(np.arange(TRAIN) % 3 == np.arange(3)[:, None])
  (place / 'ensemble').mkdir()
  choosing.write_ensemble(
      place / 'ensemble', memorization.out_of_sample(
          memorization.tally(bits, inside, TRAIN)),
      np.arange(TRAIN), prepared.data_hash)
  return place


def test_a_search_chooses_and_says_why(rum, own):
  code, out, err = rum('unlearn', *OWN, '--budget=30', '--workdir=run',
                       '--ensemble=ensemble', OUT)
  assert code == 0, err
  assert 'Method auto: 1 settings of finetune' in out and 'ensemble' in out
  assert 'as the search chose' in out and 'On the other half' in out
  evidence = records.read(audits.Evidence, own / 'run' / 'evidence.json')
  assert evidence.request.method == card(own / 'new.safetensors')['requests'][
      0]['method'] != requests.AUTO
  assert any('candidates' in x for x in evidence.request.notes)
  assert evidence.request.seconds['tuning'] > 0
  assert evidence.parts[0].size == 10 and evidence.held_out == TEST // 2
  assert evidence.request.rows == tuple(range(20))
  said = (f'Judged on the other half: 10 rows and {TEST // 2} held-out '
          'examples, which the search did not see.')
  (page,) = (own / 'run').glob('*.html')
  assert said in out and said in page.read_text()
  assert card(own / 'new.safetensors')['requests'][0]['measured'][
      'judged'] == said
  (kept,) = (own / 'run').glob('choice-*/arrays.npz')
  # The same request again reads the choice.
  before = kept.stat().st_mtime_ns
  code, again, err = rum('unlearn', *OWN, '--budget=30', '--workdir=run',
                         '--ensemble=ensemble', OUT, '--overwrite')
  assert code == 0, err
  assert kept.stat().st_mtime_ns == before
  assert [x for x in out.splitlines() if 'candidates' in x] == [
      x for x in again.splitlines() if 'candidates' in x]


def test_a_plan_of_groups_is_a_method(own):
  prepared = requests.prepare(requests.Request(
      weights='own.safetensors', data='mine.npz', rows='rows.txt',
      network='tests.commands.networks:functions', batch_size=16,
      method=requests.AUTO))
  program, values = forgetting.program_of(prepared._replace(
      request=dataclasses.replace(prepared.request, method=builders.PLAN),
      setting={'stages': (('identity', ()), ('finetune', (('epochs', 1),)))}))
  (info,) = jax.eval_shape(
      program, jax.random.key(0), prepared.network.variables,
      prepared.examples, (prepared.split,), values)[1]
  assert info.loss.shape == (2,)  # 28 examples in batches of 16.


def test_real_values_are_arguments_and_the_code_of_a_network_counts(own):
  prepared = requests.prepare(requests.Request(
      weights='own.safetensors', data='mine.npz', rows='rows.txt',
      network='tests.commands.networks:functions', batch_size=16,
      method='finetune'))
  one, other = (forgetting.program_of(prepared._replace(
      setting={'epochs': 1, 'learning_rate': rate})) for rate in (0.1, 0.2))
  assert one[0] == other[0] and one[1] == [{'learning_rate': 0.1}]
  edited = prepared._replace(network=prepared.network._replace(source='edited'))
  assert forgetting.identity_of(edited) != forgetting.identity_of(prepared)


def test_too_few_rows_to_judge_take_the_default(rum, place):
  code, out, err = rum('unlearn', *GIVEN, '--batch_size=16', '--dry_run')
  assert code == 0, err
  assert f'there are {len(ROWS)} rows to forget' in out
  assert f'Method {requests.METHOD}:' in out


@pytest.mark.parametrize(('flags', 'words'), [
    (('--budget=3',), 'budget=3 to be at least 22.75'),
    (('--setting=epochs=1',), 'no setting='),
    (('--ensemble=nowhere',), 'to merge, found none'),
    (('--ensemble=ensemble', '--method=salun'), 'method=salun to be auto'),
    (('--ensemble=ensemble',), 'of other data')])
def test_a_search_that_cannot_be_is_refused(rum, own, flags, words):
  choosing.write_ensemble(
      own / 'ensemble', memorization.OutOfSample(*np.ones((3, TRAIN))),
      np.arange(TRAIN), 'another')
  assert words in refused(rum, *OWN, *flags, OUT)
