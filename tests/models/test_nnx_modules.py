"""NNX modules become models, with dropout, moments and features."""

from __future__ import annotations

import functools

import chex
from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rum_jax
from rum_jax import models, testing
from rum_jax.types import Images, Outputs, Split, Variables

SHAPE = (4, 4, 1)
rng = np.random.default_rng(0)
EXAMPLES = Images(
    rng.integers(0, 256, (20, *SHAPE), dtype=np.uint8),
    rng.integers(0, 3, 20).astype(np.int32))
X = EXAMPLES.image / 255


class Plain(nnx.Module):
  """As a tutorial has it."""

  def __init__(self, rngs):
    self.layers = nnx.List([nnx.Linear(16, 7, rngs=rngs),
                            nnx.Linear(7, 5, rngs=rngs)])
    self.head = nnx.Linear(5, 3, rngs=rngs)

  def __call__(self, x):
    x = x.reshape(len(x), -1)
    for layer in self.layers:
      x = nnx.relu(layer(x))
    return self.head(x)


class Full(nnx.Module):
  """Convolution, batch-norm and dropout."""

  def __init__(self, rngs, rate=0.5):
    self.conv = nnx.Conv(1, 4, (3, 3), rngs=rngs)
    self.norm = nnx.BatchNorm(4, momentum=0.9, rngs=rngs)
    self.drop = nnx.Dropout(rate, rngs=rngs)
    self.head = nnx.Linear(4, 3, rngs=rngs)

  def __call__(self, x):
    x = nnx.relu(self.norm(self.conv(x))).mean((1, 2))
    return self.head(self.drop(x))


def test_logits_features_and_weights_are_the_modules():
  module = Plain(nnx.Rngs(1))
  model, variables = models.from_nnx(module, SHAPE)
  assert set(variables.params) == {'layers', 'head'}
  assert set(variables.params['layers']) == {'0', '1'}
  assert variables.stats == {}
  outputs, _ = model.apply(variables, EXAMPLES, train=False)
  np.testing.assert_allclose(outputs.prediction, module(X), rtol=1e-5,
                             atol=1e-6)
  head = variables.params['head']
  np.testing.assert_allclose(
      outputs.features @ head['kernel'] + head['bias'], outputs.prediction,
      rtol=1e-5, atol=1e-6)
  assert outputs.features.shape == (20, 5)


def test_images_are_normalised():
  module = Plain(nnx.Rngs(1))
  model, variables = models.from_nnx(module, SHAPE, mean=(0.5,), std=(0.25,))
  outputs, _ = model.apply(variables, EXAMPLES, train=False)
  np.testing.assert_allclose(
      outputs.prediction, module((X - 0.5) / 0.25), rtol=1e-5, atol=1e-5)


def test_moments_move_in_training_and_are_used_in_evaluation():
  module = Full(nnx.Rngs(1), rate=0.0)
  model, variables = models.from_nnx(module, SHAPE)
  outputs, stats = model.apply(variables, EXAMPLES, train=True)
  want = nnx.clone(module)
  np.testing.assert_allclose(outputs.prediction, want(X), rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(
      stats['norm']['mean'], want.norm.mean[...], rtol=1e-5, atol=1e-7)
  assert (stats['norm']['mean'] != variables.stats['norm']['mean']).all()
  assert (stats['norm']['var'] != variables.stats['norm']['var']).all()
  # The module that was given has not moved.
  np.testing.assert_array_equal(module.norm.mean[...], 0)
  variables = variables._replace(stats=stats)
  outputs, same = model.apply(variables, EXAMPLES, train=False)
  want.eval()
  np.testing.assert_allclose(outputs.prediction, want(X), rtol=1e-5, atol=1e-5)
  chex.assert_trees_all_equal(same, stats)


def test_the_mode_of_the_given_module_does_not_matter():
  module = Full(nnx.Rngs(1))
  model, variables = models.from_nnx(module, SHAPE)
  module.eval()
  other, same = models.from_nnx(module, SHAPE)
  chex.assert_trees_all_equal(variables, same)
  key = jax.random.key(3)
  for train in (True, False):
    chex.assert_trees_all_equal(*(
        x.apply(variables, EXAMPLES, train=train, key=key)
        for x in (model, other)))


def test_dropout_draws_from_the_key():
  model, variables = models.from_nnx(Full(nnx.Rngs(1)), SHAPE)
  run = jax.jit(functools.partial(model.apply, train=True))
  one, same, other = (
      run(variables, EXAMPLES, key=jax.random.key(i))[0].prediction
      for i in (1, 1, 2))
  np.testing.assert_array_equal(one, same)
  assert (one != other).any()
  np.testing.assert_array_equal(
      run(variables, EXAMPLES, key=jax.random.PRNGKey(1))[0].prediction, one)
  still = model.apply(variables, EXAMPLES, train=False)[0].prediction
  np.testing.assert_array_equal(still, model.apply(
      variables, EXAMPLES, train=False, key=jax.random.key(1))[0].prediction)
  with pytest.raises(ValueError, match='a key for Full, .* training at drop/r'):
    model.apply(variables, EXAMPLES, train=True)


def test_two_dropouts_draw_other_numbers():

  class Two(nnx.Module):

    def __init__(self, rngs):
      self.one = nnx.Dropout(0.5, rngs=rngs)
      self.two = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
      x = jnp.ones((len(x), 50))
      return jnp.concatenate([self.one(x), self.two(x)], 1)

  model, _ = models.from_nnx(Two(nnx.Rngs(0)), SHAPE)
  drawn, _ = model.apply(
      Variables({}, {}), EXAMPLES, train=True, key=jax.random.key(0))
  assert (drawn.prediction[:, :50] != drawn.prediction[:, 50:]).any()


class Told(nnx.Module):
  """Takes modes, mask and random numbers with the call."""

  def __init__(self, rngs):
    self.norm = nnx.BatchNorm(1, rngs=rngs)
    self.drop = nnx.Dropout(0.5)
    self.head = nnx.Linear(16, 3, rngs=rngs)

  def __call__(self, x, *, train, deterministic, mask=None, rngs=None):
    assert deterministic == (not train)
    seen = None if mask is None else mask[:, None, None, None] > 0
    x = self.norm(x, use_running_average=not train, mask=seen)
    x = self.drop(x, deterministic=deterministic, rngs=rngs)
    return self.head(x.reshape(len(x), -1))


def test_what_the_call_names_is_given(recwarn):
  model, variables = models.from_nnx(Told(nnx.Rngs(0)), SHAPE)
  mask = jnp.array([1.0] * 12 + [0.0] * 8)
  key = jax.random.key(0)
  _, stats = model.apply(variables, EXAMPLES, train=True, key=key, mask=mask)
  _, want = model.apply(
      variables, Images(EXAMPLES.image[:12], None), train=True, key=key)
  chex.assert_trees_all_close(stats, want, rtol=1e-5)
  model.apply(variables, EXAMPLES, train=False)
  assert not recwarn


def test_batch_norm_that_counts_padding_is_warned_of(recwarn):
  mask, key = jnp.ones(20), jax.random.key(0)
  model, variables = models.from_nnx(Full(nnx.Rngs(0)), SHAPE)
  model.apply(variables, EXAMPLES, train=True, key=key)
  model.apply(variables, EXAMPLES, train=False, mask=mask)
  plain, others = models.from_nnx(Plain(nnx.Rngs(0)), SHAPE)
  plain.apply(others, EXAMPLES, train=True, mask=mask)
  assert not recwarn
  model.apply(variables, EXAMPLES, train=True, key=key, mask=mask)
  assert 'Full does not take the mask, so its BatchNorm' in str(
      recwarn.pop(UserWarning).message)


class Inside(nnx.Module):

  def __call__(self, x):
    self.sow(nnx.Intermediate, 'middle', 2 * x)
    return x


class Sown(nnx.Module):
  """Sows features in a part, and scales its logits."""

  def __init__(self, rngs, twice=False):
    self.inside = Inside()
    self.again = Inside() if twice else None
    self.head = nnx.Linear(16, 3, rngs=rngs)

  def __call__(self, x):
    x = self.inside(x.reshape(len(x), -1))
    if self.again is not None:
      x = self.again(x)
    return 0.5 * self.head(x)


def test_features_may_be_sown():
  model, variables = models.from_nnx(
      Sown(nnx.Rngs(0)), SHAPE, features='middle')
  outputs, _ = jax.jit(functools.partial(model.apply, train=False))(
      variables, EXAMPLES)
  np.testing.assert_allclose(outputs.features, 2 * X.reshape(20, -1),
                             rtol=1e-6)


def test_features_that_cannot_be_told_are_the_logits():
  model, variables = models.from_nnx(Sown(nnx.Rngs(0)), SHAPE)
  outputs, _ = model.apply(variables, EXAMPLES, train=False)
  np.testing.assert_array_equal(outputs.features, outputs.prediction)


@pytest.mark.parametrize('twice, features, message', [
    (False, 'end', 'Sown to sow one nnx.Intermediate end, found middle'),
    (True, 'middle', 'found it in again/middle, inside/middle')])
def test_features_that_are_not_sown_once_are_refused(twice, features, message):
  model, variables = models.from_nnx(
      Sown(nnx.Rngs(0), twice), SHAPE, features=features)
  with pytest.raises(ValueError, match=message):
    model.apply(variables, EXAMPLES, train=False)


def test_other_variables():
  """Floats move with the module, whole numbers stay, plain ones are held."""

  class Counting(nnx.Module):

    def __init__(self):
      self.scale = nnx.Param(2.0)
      self.mean = nnx.Variable(jnp.zeros(()))
      self.count = nnx.Variable(jnp.zeros((), int))
      self.plain = nnx.Variable(0.5)

    def __call__(self, x):
      self.mean[...] = x.mean()
      self.count[...] += 1
      x = x.reshape(len(x), -1)
      return self.scale[...] * x + self.plain.get_value() + self.count[...]

  module = Counting()
  model, variables = models.from_nnx(module, SHAPE)
  assert set(variables.params) == {'scale'} and set(variables.stats) == {'mean'}
  outputs, stats = model.apply(variables, EXAMPLES, train=True)
  np.testing.assert_allclose(
      outputs.prediction, 2 * X.reshape(20, -1) + 1.5, rtol=1e-5)
  np.testing.assert_allclose(stats['mean'], X.mean(), rtol=1e-5)
  again, _ = model.apply(variables, EXAMPLES, train=False)
  np.testing.assert_array_equal(again.prediction, outputs.prediction)
  new = models.to_nnx(Variables({'scale': jnp.asarray(3.0)}, stats), module)
  assert new.scale[...] == 3 and new.count[...] == 0 == module.count[...]


def test_outputs_are_taken_as_they_are():

  class Both(Plain):

    def __call__(self, x):
      return Outputs(super().__call__(x), x.reshape(len(x), -1))

  model, variables = models.from_nnx(Both(nnx.Rngs(0)), SHAPE)
  outputs, _ = model.apply(variables, EXAMPLES, train=False)
  assert outputs.features.shape == (20, 16)


def test_weights_are_drawn_anew_by_fresh_alone():
  module = Full(nnx.Rngs(1))
  model, variables = models.from_nnx(
      module, SHAPE, fresh=lambda rngs: Full(rngs))
  one, same, other = (model.init(jax.random.key(i)) for i in (1, 1, 2))
  chex.assert_trees_all_equal(one, same)
  chex.assert_trees_all_equal_shapes_and_dtypes(one, variables)
  assert (one.params['head']['kernel'] != other.params['head']['kernel']).all()
  model, _ = models.from_nnx(module, SHAPE)
  with pytest.raises(ValueError, match='Expected fresh, .* makes Full anew'):
    model.init(jax.random.key(0))
  model, _ = models.from_nnx(module, SHAPE, fresh=lambda rngs: Plain(rngs))
  with pytest.raises(ValueError, match='fresh to make Full with parameters'):
    model.init(jax.random.key(0))


def test_weights_go_back_into_a_module():
  module = Full(nnx.Rngs(1))
  model, variables = models.from_nnx(module, SHAPE)
  new = jax.tree.map(lambda x: x + 0.5, variables)
  out = models.to_nnx(new, module)
  chex.assert_trees_all_equal(models.from_nnx(out, SHAPE)[1], new)
  chex.assert_trees_all_equal(models.from_nnx(module, SHAPE)[1], variables)
  out.eval()
  np.testing.assert_allclose(
      out(X), model.apply(new, EXAMPLES, train=False)[0].prediction, rtol=1e-5,
      atol=1e-5)
  with pytest.raises(ValueError, match=r'conv/bias of shape \(4,\), found \(2'):
    models.to_nnx(jax.tree.map(lambda x: jnp.stack([x, x]), new), module)
  with pytest.raises(ValueError, match='variables to hold norm/mean, found n'):
    models.to_nnx(new._replace(stats={}), module)


def test_each_seed_is_as_it_is_alone():
  model, _ = models.from_nnx(
      Full(nnx.Rngs(0)), SHAPE, fresh=lambda rngs: Full(rngs))
  keys = jax.random.split(jax.random.key(0), 2)
  stacked = jax.vmap(model.init)(keys)
  unlearner = rum_jax.finetune(
      model, rum_jax.sgd(0.05), epochs=2, batch_size=5)
  split = Split(np.arange(4, dtype=np.int32), np.arange(4, 20, dtype=np.int32))
  many, _ = rum_jax.over_seeds(unlearner, in_axes=(0, 0, None, 0))(
      keys, stacked, EXAMPLES, jax.tree.map(lambda x: np.stack([x, x]), split))
  of_seed = lambda tree, i: jax.tree.map(lambda x: x[i], tree)
  for i, key in enumerate(keys):
    start = of_seed(stacked, i)
    alone, _ = jax.jit(unlearner)(key, start, EXAMPLES, split)
    chex.assert_trees_all_close(of_seed(many, i), alone, rtol=1e-4, atol=1e-5)
    moved = alone.stats['norm']['mean'] != start.stats['norm']['mean']
    assert moved.all()


@pytest.mark.parametrize('rule', testing.RULES)
def test_an_unlearner_keeps_its_contract(float64, rule):
  """The rules of the contract, on an NNX network with dropout and moments."""
  model, variables = models.from_nnx(Full(nnx.Rngs(0)), SHAPE)
  variables = jax.tree.map(lambda x: x.astype(float), variables)
  make = functools.partial(rum_jax.finetune, model, rum_jax.sgd(0.05),
                           batch_size=4)
  unlearner, traces = make(epochs=2), []

  def traced(*run):
    traces.append(None)
    return unlearner(*run)

  rows = np.arange(16, dtype=np.int32)
  runs = [(jax.random.key(i),
           jax.tree.map(lambda x, i=i: x + 0.01 * i, variables), EXAMPLES,
           Split(np.roll(rows, i)[:5], np.roll(rows, i)[5:])) for i in (0, 1)]
  rule(testing.Subject(unlearner, make(epochs=0), jax.jit(traced), traces,
                       runs))


@pytest.mark.parametrize('module, message', [
    (3, 'to be a Flax NNX module, found 3'),
    (models.MLP(3), 'to be a Flax NNX module, found MLP.*from_linen'),
    (nnx.Rngs(0), 'to be a Flax NNX module, found')])
def test_what_is_no_module_is_refused(module, message):
  with pytest.raises(TypeError, match=message):
    models.from_nnx(module, SHAPE)


def test_calls_that_cannot_be_made_are_refused():

  class More(Plain):

    def __call__(self, x, style):
      return super().__call__(x)

  class Lists(Plain):

    def __call__(self, x):
      return [super().__call__(x)]

  class Flat(Plain):

    def __call__(self, x):
      return super().__call__(x)[:, 0]

  class Restless(nnx.Module):

    def __init__(self, rngs):
      self.rngs = rngs

    def __call__(self, x):
      return jax.random.normal(self.rngs.noise(), (len(x), 3))

  with pytest.raises(TypeError, match='More to take images and none but train'):
    models.from_nnx(More(nnx.Rngs(0)), SHAPE)
  for module, kind, message in (
      (Lists(nnx.Rngs(0)), TypeError, 'Lists to return Outputs'),
      (Flat(nnx.Rngs(0)), ValueError, r'Flat to return prediction \[20, K\]'),
      (Restless(nnx.Rngs(0)), ValueError, 'Restless to draw no random numbers '
       'in evaluation mode, found some at rngs')):
    model, variables = models.from_nnx(module, SHAPE)
    with pytest.raises(kind, match=message):
      model.apply(variables, EXAMPLES, train=False)
  model, variables = models.from_nnx(Plain(nnx.Rngs(0)), SHAPE)
  with pytest.raises(ValueError, match='Expected images of shape'):
    model.apply(variables, Images(EXAMPLES.image[:, :3], None), train=False)
