"""What decides an artefact, and who diverged."""

from __future__ import annotations

import numpy as np
import pytest

from rum_jax import recipes
from rum_jax.pipeline import assembly, stages


@pytest.fixture
def prepared(tmp_path):
  """`(labels of the test part) -> setup` of a data set of random images."""
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (200, 8, 8, 1), np.uint8)

  def prepare(y_test):
    np.savez(tmp_path / 'mine.npz', x_train=image, y_train=np.arange(200) % 10,
             x_test=image[:50], y_test=y_test)
    recipe = recipes.Recipe(dataset='mine', forget=30)
    return stages.prepare(recipe, tmp_path, str(tmp_path), None)

  return prepare


def test_another_test_part_is_another_artefact(prepared):
  one, other = (prepared((np.arange(50) + i) % 10) for i in (0, 1))
  assert one.data_hash == other.data_hash
  rows = one.source.train
  assert (stages.training_identity(one, rows)
          != stages.training_identity(other, rows))
  again = prepared(np.arange(50) % 10)
  assert (stages.training_identity(one, rows)
          == stages.training_identity(again, rows))


@pytest.mark.parametrize('edited', ['method.py', 'helper.py'])
def test_an_edit_of_an_outside_method_is_seen(tmp_path, monkeypatch, edited):
  name = f'package_of_{edited[:-3]}'
  monkeypatch.syspath_prepend(tmp_path)
  package = tmp_path / name
  package.mkdir()
  (package / '__init__.py').write_text('')
  (package / 'helper.py').write_text('SCALE = 1\n')
  (package / 'method.py').write_text(
      f'import functools\nfrom {name} import helper\n\n'
      'def method(model, scale):\n  return helper.SCALE * scale\n\n'
      'part = functools.partial(method, scale=2)\n')
  methods = [f'{name}.method:{x}' for x in ('method', 'part')]
  first = [assembly.source_hash(x) for x in methods]
  assert first == [assembly.source_hash(x) for x in methods]
  with open(package / edited, 'a') as file:
    file.write('# Another.\n')
  for now, before in zip(map(assembly.source_hash, methods), first):
    assert now != before
  assert assembly.source_hash('ssd') == ''



def test_normalisation_is_that_of_the_training_part(prepared):
  setup = prepared(np.zeros(50, int))
  image = setup.source.dataset.image[setup.source.train] / 255
  variables = setup.model.init(stages.keys(setup, 'test')[0])
  first = variables.params['Dense_0']
  flat = (image[:3] - image.mean()) / image.std()
  hidden = np.maximum(
      flat.reshape(3, -1) @ first['kernel'] + first['bias'], 0)
  second = variables.params['Dense_1']
  want = np.maximum(hidden @ second['kernel'] + second['bias'], 0)
  found = setup.model.apply(
      variables, setup.source.dataset.image[:3], train=False)[0].features
  np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5)
