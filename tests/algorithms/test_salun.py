"""SalUn's mask: it has the right size and weights, and it holds the others."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import rum_jax
from rum_jax.algorithms import released
from rum_jax.algorithms._salun import forget_gradient, saliency_mask
from rum_jax.types import Split

SPLIT = Split(np.arange(7, dtype=np.int32), np.arange(7, 20, dtype=np.int32))
GRADIENT = {'a': np.asarray([[3.0, -1.0], [0.5, -4.0]]),
            'b': np.asarray([2.0, -0.1, 0.2, 0.0, 5.0, -6.0])}


def count(mask):
  return sum(int(np.sum(x)) for x in jax.tree.leaves(mask))


@pytest.mark.parametrize('density', [0.0, 0.1, 0.3, 0.5, 0.7, 1.0])
def test_mask_keeps_the_largest_and_exactly_its_share(density):
  mask = saliency_mask(GRADIENT, density)
  assert count(mask) == round(10 * density)
  sizes = np.abs(np.concatenate([g.ravel() for g in GRADIENT.values()]))
  kept = np.concatenate([np.ravel(x) for x in mask.values()])
  assert sizes[kept].min(initial=9) > sizes[~kept].max(initial=-1)
  smallest = released.saliency_mask(GRADIENT, density)
  flipped = saliency_mask(GRADIENT, 1 - density)
  jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, ~b), smallest,
               flipped)


def test_mask_of_each_leaf_keeps_the_share_in_each():
  mask = saliency_mask(GRADIENT, 0.5, per_leaf=True)
  np.testing.assert_array_equal(mask['a'], [[True, False], [False, True]])
  np.testing.assert_array_equal(
      mask['b'], [True, False, False, False, True, True])


def test_ties_go_to_the_earlier_weight():
  mask = saliency_mask({'a': np.asarray([1.0, -1.0, 1.0, 1.0])}, 0.5)
  np.testing.assert_array_equal(mask['a'], [True, True, False, False])


def test_gradient_is_the_mean_over_the_forget_set_whatever_the_batch(
    float64, toy, cnn):
  model, variables = cnn
  whole, parts = (jax.jit(lambda v, n=n: forget_gradient(
      model, v, toy, SPLIT, n))(variables) for n in (7, 3))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(
      a, b, rtol=1e-11, atol=1e-14), whole, parts)


@pytest.mark.parametrize('per_leaf', [False, True])
def test_masked_weights_stay_bit_identical(toy, cnn, per_leaf):
  """Through four steps with momentum and weight decay, batch-norm included."""
  model, variables = cnn
  tx = rum_jax.sgd(0.1, momentum=0.9, weight_decay=0.1, nesterov=True)
  run = jax.jit(rum_jax.salun(
      model, tx, density=0.4, per_leaf=per_leaf, epochs=2, batch_size=10))
  found, info = run(jax.random.key(0), variables, toy, SPLIT)
  mask = jax.jit(lambda v: saliency_mask(
      forget_gradient(model, v, toy, SPLIT, 10), 0.4, per_leaf=per_leaf))(
          variables)
  assert 0 < count(mask) < sum(x.size for x in jax.tree.leaves(mask))

  def check(old, new, moves):
    old, new, moves = map(np.asarray, (old, new, moves))
    assert old[~moves].tobytes() == new[~moves].tobytes()
    assert (old[moves] != new[moves]).all()

  jax.tree.map(check, variables.params, found.params, mask)
  jax.tree.map(lambda share, m: np.testing.assert_allclose(share, np.mean(m)),
               info.probes['density'], mask)
