"""On data that no recipe was made for, a rule gives rate, epochs and forget."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from rum_jax import datasets, evaluation, models
from rum_jax.pipeline import context, own_data, trained_models
from rum_jax.recipes import Recipe


def small(name: str) -> datasets.Source:
  """A small data set: what it holds is told by its name."""
  rng = np.random.default_rng(0)
  digits = datasets.digits()
  image, label = digits.dataset.image, digits.dataset.label
  if name == 'digits of 300':
    return datasets.from_parts(image[:300], label[:300], image[300:400],
                               label[300:400], name)
  if name == 'noise':  # Can be known by heart only.
    image = rng.integers(0, 256, (200, 8, 8, 3), dtype=np.uint8)
    label = np.arange(200) % 5
    return datasets.from_parts(image, label, image[:50], label[:50], name)
  label = np.arange(250) % 4  # Stripes of four frequencies, with noise.
  wave = np.sin(np.arange(16)[None] * (1 + label)[:, None] / 2)
  image = 128 + 50 * wave[:, :, None, None] + rng.normal(
      0, 40, (250, 16, 16, 1))
  image = np.clip(image, 0, 255).astype(np.uint8)
  return datasets.from_parts(
      image[:200], label[:200], image[200:], label[200:], name)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['digits of 300', 'noise', 'stripes'])
def test_originals_fit_data_that_no_recipe_was_made_for(
    monkeypatch, tmp_path, name):
  source = small(name)
  monkeypatch.setattr(
      context.builders, 'load_source', lambda *_: source)
  recipe = Recipe(dataset='mine', corrupt=0.0, seeds=2)
  recipe, _ = own_data.suited(
      recipe, (), source.dataset.image.shape[1:], source.num_train)
  data = context.load(recipe, '')
  found = trained_models.originals(
      recipe, data, context.start(recipe, data, tmp_path))
  fit = found.arrays['score'][:, :source.num_train].mean(axis=1)
  assert (fit >= 0.9).all(), fit
  place, = tmp_path.glob('originals-*')
  assert_loads(place / 'tree', source, found.arrays['loss'])


def assert_loads(folder, source, loss):
  """What was saved is, in one call, the model that was trained."""
  saved = models.load_saved(folder, seed=1)
  assert saved.description['image_shape'] == list(
      source.dataset.image.shape[1:])
  assert saved.description['classes'] == list(source.classes)
  got = evaluation.signals(saved.model, saved.variables, source.dataset)
  np.testing.assert_allclose(got.loss, loss[1], rtol=1e-3, atol=1e-5)
  both = models.load_saved(folder.parent)
  assert {x.shape[0] for x in jax.tree.leaves(both.variables)} == {2}
  with pytest.raises(ValueError, match=r'Expected seed=2 in \[0, 2\)'):
    models.load_saved(folder, seed=2)


def test_what_somebody_gave_stays_and_the_demo_is_as_it_was():
  recipe = Recipe()
  assert own_data.suited(recipe, (), (8, 8, 1), 1438) == (recipe, {})
  mine = dataclasses.replace(recipe, dataset='mine', epochs=3)
  found, reasons = own_data.suited(mine, ('epochs',), (32, 32, 3), 3000)
  assert found.epochs == 3 and set(reasons) == {'learning_rate', 'forget'}
  found, reasons = own_data.suited(mine, ('epochs',), (32, 32, 3), 3000, False)
  assert found.forget == recipe.forget and set(reasons) == {'learning_rate'}


@pytest.mark.parametrize(('fields', 'shape', 'count', 'want'), [
    ({}, (8, 8, 1), 1438, (0.1, 109, 144)),
    ({}, (32, 32, 3), 3000, (0.01, 54, 300)),
    ({'batch_size': 16}, (32, 32, 3), 3000, (0.004, 54, 300)),
    ({'network': 'cnn', 'batch_size': 128}, (32, 32, 3), 50000,
     (0.1, 20, 5001)),
    ({'network': 'vit_small'}, (32, 32, 3), 50, (0.03, 200, 6))])
def test_the_rule_by_hand(fields, shape, count, want):
  found = own_data.suited(Recipe(dataset='mine', **fields), (), shape, count)
  got = found.recipe
  assert (got.learning_rate, got.epochs, got.forget) == want
  for name in ('learning_rate', 'epochs', 'forget'):
    assert f'{name}={getattr(got, name):g} (' in str(found)
