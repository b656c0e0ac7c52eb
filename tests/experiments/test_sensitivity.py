"""The command for sensitivity, on a few small models."""

import json

import numpy as np
import pytest

from rum_jax import records
from rum_jax.evaluation.difficulty import Sensitivity
from rum_jax.reporting import difficulty_findings
from tests.experiments.conftest import TINY

pytestmark = pytest.mark.slow


def test_every_choice_is_tried_and_answered(models, run):
  process = run('sensitivity', *TINY, '--other_seeds=1',
                f'--workdir={models}')
  assert process.returncode == 0, process.stderr
  found = json.loads((models / 'sensitivity.json').read_text())
  ways = {(x['axis'], x['value']): x for x in found['variations']}
  assert list(ways) == [
      ('', ''), ('seed', '1'), ('layer', 'pixels'), ('layer', 'first'),
      ('layer', 'logits'), ('network', 'cnn'), ('procedure', 'class'),
      ('procedure', 'neighbours'), ('procedure', 'random'), ('size', '24'),
      ('size', '96')]
  reference = ways['', '']
  assert {x['share'] for x in reference['shares'].values()} == {1}
  # Another network has features of its own: it picks other sets.
  assert ways['network', 'cnn']['shares']['high']['share'] < 1
  assert {axis for (axis, _), x in ways.items() if x['ordered'] is not None
          } == {'layer', 'network'}
  for way in ways.values():
    es = [x['mean'] for x in way['es'].values()]
    assert np.isfinite(es).all()
    assert way['axis'] in ('layer', 'network') or es == sorted(es)
    assert [row['method'] for row in way['rows']] == ['do_nothing', 'finetune']
  assert all(sentence in process.stdout
             for sentence in difficulty_findings.paragraph(
                 records.read(Sensitivity, models / 'sensitivity.json'
                              ).variations))
  assert (models / 'sensitivity.svg').read_text().startswith('<svg')


@pytest.mark.parametrize(('flags', 'message'), [
    (('--forget=3',), 'Expected forget=3 to be at least 6: sets of half the '
     'size are tried.'),
    (('--seeds=2', '--other_seeds=2'),
     'Expected other_seeds=2 to be fewer than seeds=2.'),
    (('--others=vit',), 'Expected others=vit to be one of mlp, cnn, ')])
def test_what_would_fail_late_is_refused_at_once(run, flags, message):
  process = run('sensitivity', *flags)
  assert process.returncode == 1
  assert process.stderr.startswith(f'Error: {message}')
