"""The command for entanglement, with the models of the main job."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax.pipeline import builders
from rum_jax.types import GROUPS
from tests.experiments.conftest import TINY

pytestmark = pytest.mark.slow


@pytest.mark.parametrize('kind', builders.PARTITIONS)
def test_every_kind_of_partition_is_cut(kind):
  rng = np.random.default_rng(0)
  features = jnp.asarray(rng.normal(size=(150, 4)))
  labels = np.repeat([0, 1, 2], 50)
  one, again = (builders.partition(kind, 3, features, labels, 5)
                for _ in range(2))
  assert one.shape == (3, 48 if kind == 'class' else 50)
  assert len(np.unique(one)) == one.size and (one == again).all()


def test_it_prints_and_writes_every_table(models, run):
  process = run('entangle', *TINY, f'--workdir={models}')
  assert process.returncode == 0, process.stderr
  found = json.loads((models / 'entanglement.json').read_text())
  tables = [k for k, v in found.items() if isinstance(v, dict) and 'low' in v]
  assert tables == ['by_entanglement', 'released', 'by_memorization']
  for kind in tables:
    assert list(found[kind]) == list(GROUPS)
    assert kind.replace('_', ' ') in process.stdout
    for figures in found[kind].values():
      assert {len(f['values']) for f in figures.values()} == {2}
      assert min(figures['es']['values']) > 0
  low, medium, high = (
      found['by_entanglement'][g]['es']['values'] for g in GROUPS)
  for seed, of_seed in enumerate(found['seeds']):
    scores = sorted(of_seed['es'])
    assert len(scores) == found['parts']
    # The printed groups are those of lowest, middle and highest ES, measured
    # again in single precision.
    middle = scores[(len(scores) - 1) // 2]
    for got, want in ((low, scores[0]), (medium, middle), (high, scores[-1])):
      assert abs(got[seed] / want - 1) < 1e-3


def test_a_partition_that_does_not_exist_is_named(run, tmp_path):
  process = run('entangle', '--partition=luck', f'--workdir={tmp_path}')
  assert process.returncode == 2
  (line,) = process.stderr.strip().splitlines()
  assert line.startswith('Error: ') and '--partition=luck' in line
