"""Gradients of single examples, and the inverse of their Fisher matrix."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rum_jax
from rum_jax import gradients, models
from rum_jax.algorithms import _fisher
from rum_jax.algorithms._fisher import Fisher
from rum_jax.types import Split, Variables

SPLIT = Split(np.arange(7, dtype=np.int32), np.arange(7, 20, dtype=np.int32))


@pytest.fixture
def mlp():
  """64 pixels, 3 and 3 units: 216 parameters."""
  model = models.from_linen(models.MLP(3, (3,)), (8, 8, 1), std=(0.5,))
  variables = model.init(jax.random.key(0))
  return model, jax.tree.map(lambda x: x.astype(float), variables)


def flat(tree):
  return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])


def stacked(model, variables, examples, index):
  """`G` `[N, P]`, an example and a call at a time."""

  @jax.jit
  def gradient(row):
    return jax.grad(lambda params: gradients.example_losses(
        model, Variables(params, variables.stats), examples, row[None])[0])(
            variables.params)

  return np.stack([flat(gradient(jnp.asarray(row))) for row in index])


def dense(g, damping):
  return damping * np.eye(g.shape[1]) + g.T @ g / len(g)


def test_gradients_of_examples_and_of_their_weighted_sum(float64, toy, cnn):
  model, variables = cnn
  index = np.asarray([3, 11, 5, 0, 19])
  weight = np.asarray([0.5, -1.0, 2.0, 0.0, 3.0])
  g = stacked(model, variables, toy, index)
  every = jax.jit(lambda v: gradients.per_example(model, v, toy, index))(
      variables)
  np.testing.assert_allclose(
      np.concatenate([x.reshape(5, -1) for x in jax.tree.leaves(every)], 1), g,
      rtol=1e-11, atol=1e-14)
  total = jax.jit(lambda v: gradients.weighted(
      model, v, toy, index, weight, 2))(variables)
  np.testing.assert_allclose(flat(total), weight @ g, rtol=1e-11, atol=1e-13)
  products = jax.jit(gradients.inner)(every, every)
  np.testing.assert_allclose(products, g @ g.T, rtol=1e-11, atol=1e-13)


def test_the_gradient_of_a_row_that_is_not_there_is_nan(toy, cnn):
  model, variables = cnn
  run = jax.jit(lambda index: gradients.per_example(
      model, variables, toy, index))
  for wrong in (-1, 24):
    every = run(np.asarray([3, wrong, 5]))
    for leaf in jax.tree.leaves(every):
      assert np.isnan(leaf[1]).all() and np.isfinite(leaf[::2]).all()


def test_batches_hold_every_row_once_and_say_what_pads():
  rows, inside = gradients.in_batches(np.arange(10, 17), 3)
  assert rows.shape == inside.shape == (3, 3)
  np.testing.assert_array_equal(rows[inside], np.arange(10, 17))
  np.testing.assert_array_equal(inside.sum(1), [3, 3, 1])
  assert gradients.in_batches(np.arange(2), 9)[0].shape == (1, 2)


def test_operator_is_the_dense_matrix(float64, toy, mlp):
  """The residual after Woodbury, and each of its parts, in uneven chunks."""
  model, variables = mlp
  g = stacked(model, variables, toy, SPLIT.retain)
  v = jax.tree.map(
      lambda x: np.random.default_rng(0).normal(size=x.shape), variables.params)
  matrix = dense(g, 0.01)

  @jax.jit
  def parts(v):
    f = Fisher(model, variables, toy, SPLIT.retain, 0.01, 5)
    return _fisher.gram(f), _fisher.times(f, v), _fisher.solve(f, v)

  gram, times, (x, missing) = parts(v)
  np.testing.assert_allclose(gram, g @ g.T, rtol=1e-10, atol=1e-13)
  np.testing.assert_allclose(flat(times), matrix @ flat(v), rtol=1e-10)
  np.testing.assert_allclose(
      flat(x), np.linalg.solve(matrix, flat(v)), rtol=1e-8, atol=1e-10)
  np.testing.assert_allclose(flat(missing), 0, atol=1e-10)


def test_influence_is_the_dense_inverse(float64, toy, cnn):
  model, variables = cnn
  found, info = jax.jit(rum_jax.influence(
      model, alpha=0.7, damping=0.02, chunk=4, batch_size=6))(
          jax.random.key(0), variables, toy, SPLIT)
  retain, forget = (stacked(model, variables, toy, rows)
                    for rows in (SPLIT.retain, SPLIT.forget))
  v = 7 / 20 * (forget.mean(0) - retain.mean(0))
  want = flat(variables.params) + 0.7 * np.linalg.solve(dense(retain, 0.02), v)
  np.testing.assert_allclose(flat(found.params), want, rtol=1e-9, atol=1e-11)
  jax.tree.map(np.testing.assert_array_equal, found.stats, variables.stats)
  assert info.probes['residual'] < 1e-12


def test_influence_of_fewer_samples_depends_on_the_key(float64, toy, mlp):
  model, variables = mlp
  run = jax.jit(rum_jax.influence(model, damping=0.02, num_samples=4, chunk=3))
  first, again, other = (run(jax.random.key(seed), variables, toy, SPLIT)[0]
                         for seed in (0, 0, 1))
  np.testing.assert_array_equal(flat(first), flat(again))
  assert np.abs(flat(first) - flat(other)).max() > 1e-3


def test_a_second_round_takes_away_what_float32_loses(toy, mlp):
  """At a condition of some 1e4 a round leaves about 1e4 times 1e-7 of v."""
  model, variables = mlp
  g = stacked(model, variables, toy, SPLIT.retain)
  damping = float(np.linalg.norm(g @ g.T, 2) / len(g) / 1e4)
  inside = jax.tree.map(  # In the span of G, where the cancellation is.
      lambda x: x / 10, jax.jit(lambda: gradients.weighted(
          model, variables, toy, SPLIT.retain, np.ones(13, np.float32)))())
  f = Fisher(model, variables, toy, SPLIT.retain, damping, 4)
  left = [np.linalg.norm(flat(jax.jit(
      lambda v, n=n: _fisher.solve(f, v, n)[1])(inside))) for n in (1, 2)]
  assert left[1] < 0.3 * left[0]
  assert left[1] < 1e-5 * np.linalg.norm(flat(inside))


def test_no_array_is_as_large_as_all_gradients_together(toy, mlp):
  """Memory grows with the chunk: nothing of N · P, by the traced shapes."""
  model, variables = mlp
  trace = jax.make_jaxpr(rum_jax.influence(
      model, chunk=2, batch_size=2))(
      jax.random.key(0), variables, toy, SPLIT)
  largest = max(_sizes(trace.jaxpr))
  kernel = 64 * 3  # The largest leaf.
  assert 2 * kernel <= largest < 4 * kernel < 13 * kernel


def _sizes(trace):
  """Sizes of all float values of a trace, inner ones included."""
  for equation in trace.eqns:
    for variable in equation.outvars:
      if jnp.issubdtype(variable.aval.dtype, jnp.floating):
        yield variable.aval.size
    for value in jax.tree.leaves(
        tuple(equation.params.values()), is_leaf=lambda x: hasattr(x, 'eqns')):
      inside = getattr(value, 'jaxpr', value)
      if hasattr(inside, 'eqns'):
        yield from _sizes(inside)
