"""Entanglement under other choices, on a few small models."""

import json

import numpy as np
import pytest

from tests.experiments.conftest import TINY

pytestmark = pytest.mark.slow


def test_every_choice_is_tried_and_answered(finished, run):
  workdir, _ = finished
  process = run('sensitivity', *TINY, '--other_seeds=1',
                f'--workdir={workdir}')
  assert process.returncode == 0, process.stderr
  found = json.loads((workdir / 'sensitivity.json').read_text())
  ways = {(x['axis'], x['value']): x for x in found['variations']}
  assert list(ways) == [
      ('', ''), ('seed', '1'), ('layer', 'pixels'), ('layer', 'first'),
      ('layer', 'logits'), ('network', 'cnn'), ('procedure', 'class'),
      ('procedure', 'neighbours'), ('procedure', 'random'), ('size', '24'),
      ('size', '96')]
  reference = ways['', '']
  assert {x['share'] for x in reference['shares'].values()} == {1}
  assert reference['es'] == reference['reference_es']
  # Another network is another network, with features of its own.
  other = ways['network', 'cnn']
  assert other['es'] != other['reference_es']
  for way in ways.values():
    es = [x['mean'] for x in way['es'].values()]
    assert es == sorted(es) and np.isfinite(es).all()
    assert [row['method'] for row in way['rows']] == [
        'do_nothing', 'another_oracle', 'finetune']
  assert all(sentence in process.stdout for sentence in found['answer'])
  assert (workdir / 'sensitivity.svg').read_text().startswith('<svg')
