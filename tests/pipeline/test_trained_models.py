"""The identity of artefacts, and runs that diverged."""

from __future__ import annotations

import numpy as np
import pytest

from rum_jax import recipes, trees
from rum_jax.pipeline import builders, context, trained_models
from rum_jax.storage import artefacts
from rum_jax.storage.artefacts import Artefact


@pytest.fixture
def prepared(tmp_path):
  """`(labels of the test part) -> data` of random images."""
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (200, 8, 8, 1), np.uint8)

  def prepare(y_test):
    np.savez(tmp_path / 'mine.npz', x_train=image, y_train=np.arange(200) % 10,
             x_test=image[:50], y_test=y_test)
    recipe = recipes.Recipe(dataset='mine', forget=30)
    return recipe, context.load(recipe, str(tmp_path))

  return prepare


def test_another_test_part_is_another_artefact(prepared):
  recipe, one = prepared(np.arange(50) % 10)
  _, other = prepared((np.arange(50) + 1) % 10)
  assert one.hash == other.hash
  rows = one.source.train
  assert (trained_models.training_identity(recipe, one, rows)
          != trained_models.training_identity(recipe, other, rows))
  _, again = prepared(np.arange(50) % 10)
  assert (trained_models.training_identity(recipe, one, rows)
          == trained_models.training_identity(recipe, again, rows))


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
  first = [builders.source_hash(x) for x in methods]
  assert first == [builders.source_hash(x) for x in methods]
  with open(package / edited, 'a') as file:
    file.write('# Another.\n')
  for now, before in zip(map(builders.source_hash, methods), first):
    assert now != before
  assert builders.source_hash('ssd') == ''



def test_normalisation_is_that_of_the_training_part(prepared):
  recipe, data = prepared(np.zeros(50, int))
  model = builders.build_model(recipe, data.source)
  image = data.source.dataset.image[data.source.train] / 255
  variables = model.init(trained_models.keys(recipe, 'test')[0])
  first = variables.params['Dense_0']
  flat = (image[:3] - image.mean()) / image.std()
  hidden = np.maximum(
      flat.reshape(3, -1) @ first['kernel'] + first['bias'], 0)
  second = variables.params['Dense_1']
  want = np.maximum(hidden @ second['kernel'] + second['bias'], 0)
  found = model.apply(
      variables, trees.take(data.source.dataset, slice(3)),
      train=False)[0].features
  np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5)


def test_what_another_run_trained_is_used_again_if_it_is_whole(
    prepared, tmp_path, capsys):
  recipe, data = prepared(np.zeros(50, int))
  calls = []

  def stage(name, *others):
    root = tmp_path / name
    runtime = context.start(
        recipe, data, root, others=tuple(tmp_path / x for x in others))
    folder = artefacts.path_of(root, 'models/00000', {'epochs': 3})
    found = context.stage(
        runtime, folder, {'epochs': 3}, lambda: calls.append(name) or Artefact(
            {'x': np.arange(3)}, {'w': np.ones(2)}, {'seconds': 1.0}))
    np.testing.assert_array_equal(found.arrays['x'], np.arange(3))
    return folder

  first = stage('one')
  (first / 'manifest.json').touch()
  second = stage('two', 'none', 'one')
  assert calls == ['one'] and 'Found models/00000 of the same recipe' in (
      capsys.readouterr().out)
  (second / 'arrays.npz').unlink()
  (second / 'arrays.npz').write_bytes(b'')
  stage('three', 'two', 'one')  # Of the two, one is damaged.
  assert calls == ['one']
  stage('four', 'two')
  assert calls == ['one', 'four']
