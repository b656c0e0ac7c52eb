"""The command for difficulty, on a few small models."""

import json

import pytest

from tests.experiments.conftest import TINY

pytestmark = pytest.mark.slow


def test_it_answers_for_both_factors(models, run):
  process = run('difficulty', *TINY, f'--workdir={models}')
  assert process.returncode == 0, process.stderr
  found = json.loads((models / 'difficulty.json').read_text())
  for factor, word in (('memorization', 'memorized'),
                       ('entanglement', 'entangled')):
    part = found['factors'][factor]
    assert part['answer'][-1].startswith(f'The more {word} the forget set')
    assert part['answer'][-1] in process.stdout
    assert set(part['levels']) == {'low', 'medium', 'high'}
    sets = [set(x['rows']) for x in part['levels'].values()]
    assert len(set.union(*sets)) == sum(map(len, sets))
    assert [row['method'] for row in part['rows']] == [
        'do_nothing', 'another_oracle', 'finetune']
    svg = (models / f'difficulty_{factor}.svg').read_text()
    assert svg.startswith('<svg') and f'{factor} of the group' in svg
  es = [x['es']['mean'] for x in
        found['factors']['entanglement']['levels'].values()]
  assert es == sorted(es)
