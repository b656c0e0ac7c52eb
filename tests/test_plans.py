"""Every draw visits what it should, exactly once an epoch."""

from __future__ import annotations

import functools

import chex
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import plans, trees
from rum_jax.types import Plan, Split

DRAWS = {'retain': plans.over_retain, 'forget': plans.over_forget,
         'both': plans.over_both}
# Forget, retain, first and second batch size: each is compiled once. They go
# round several times, are cut in the middle, fit exactly, or are all padding
# but one row.
LAYOUTS = st.sampled_from(
    [(3, 12, 2, 2), (4, 11, 3, 3), (12, 5, 3, 5), (7, 8, 9, 2), (1, 1, 4, 1)])
seeds = st.integers(0, 2**31 - 1)


def split_of(forget: int, retain: int) -> Split:
  """Rows that are not their own positions, forget and retain interleaved."""
  rows = np.random.default_rng(forget).permutation(100 + forget + retain)
  rows = rows.astype(np.int32) + 7
  return Split(rows[:forget], rows[forget:forget + retain])


def visited(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
  """Rows of weight 1, in order, and whether they are to be forgotten."""
  weight = np.asarray(plan.weight)
  assert set(np.unique(weight)) <= {0.0, 1.0}
  kept = weight == 1
  return np.asarray(plan.index)[kept], np.asarray(plan.forget)[kept]


def wanted(name: str, split: Split) -> dict[int, bool]:
  rows = {}
  if name != 'forget':
    rows |= {int(i): False for i in split.retain}
  if name != 'retain':
    rows |= {int(i): True for i in split.forget}
  return rows


@functools.cache
def compiled(*parts):
  """The draw of one name and batch size, or two put together."""
  if len(parts) == 2:
    return jax.jit(DRAWS[parts[0]](parts[1]))
  combine, *both = parts
  return jax.jit(combine(*(DRAWS[name](batch) for name, batch in both)))


@hypothesis.given(st.sampled_from(list(DRAWS)), LAYOUTS, seeds)
def test_a_draw_visits_its_subset_exactly_once(name, layout, seed):
  forget, retain, batch, _ = layout
  split = split_of(forget, retain)
  plan = compiled(name, batch)(jax.random.key(seed), split)
  rows = wanted(name, split)
  index, flag = visited(plan)
  assert sorted(index) == sorted(rows)
  assert all(rows[int(i)] == f for i, f in zip(index, flag, strict=True))
  # Padding fills only the end of the last batch, with rows of the subset.
  width = min(batch, len(rows))
  shape = (-(-len(rows) // width), width)
  chex.assert_shape(plan, shape)
  chex.assert_type(plan, [jnp.int32, bool, jnp.float32])
  np.testing.assert_array_equal(
      plan.weight.ravel(), np.arange(shape[0] * shape[1]) < len(rows))
  assert set(np.asarray(plan.index).ravel().tolist()) <= set(rows)


@hypothesis.given(LAYOUTS, seeds)
def test_pair_cycles_the_second_beside_the_first(layout, seed):
  forget, retain, a, b = layout
  split = split_of(forget, retain)
  draw = compiled(plans.pair, ('retain', a), ('forget', b))
  plan = draw(jax.random.key(seed), split)
  width = min(a, retain)
  left = jax.tree.map(lambda x: x[:, :width], plan)
  right = jax.tree.map(lambda x: x[:, width:], plan)
  steps, period = -(-retain // width), -(-forget // min(b, forget))
  chex.assert_shape(plan, (steps, width + min(b, forget)))
  index, flag = visited(left)
  assert sorted(index) == sorted(split.retain) and not flag.any()
  for first in range(0, steps, period):
    part = trees.take(right, slice(first, first + period))
    index, flag = visited(part)
    assert flag.all() and len(set(index)) == len(index)
    if first + period <= steps:
      assert sorted(index) == sorted(split.forget)


@hypothesis.given(LAYOUTS, seeds)
def test_then_runs_the_first_and_pads_the_narrower(layout, seed):
  forget, retain, a, b = layout
  split = split_of(forget, retain)
  draw = compiled(plans.then, ('forget', a), ('retain', b))
  plan = draw(jax.random.key(seed), split)
  widths = min(a, forget), min(b, retain)
  steps = -(-forget // widths[0]), -(-retain // widths[1])
  chex.assert_shape(plan, (sum(steps), max(widths)))
  first = trees.take(plan, slice(None, steps[0]))
  second = trees.take(plan, slice(steps[0], None))
  for part, rows, flagged in ((first, split.forget, True),
                              (second, split.retain, False)):
    index, flag = visited(part)
    assert sorted(index) == sorted(rows) and (flag == flagged).all()
  assert set(np.asarray(plan.index).ravel()) <= set(
      np.concatenate(split).tolist())


@pytest.mark.parametrize('draw', [
    plans.over_retain(8), plans.over_forget(8), plans.over_both(8),
    plans.pair(plans.over_retain(8), plans.over_forget(8)),
    plans.then(plans.over_forget(8), plans.over_retain(8))])
def test_keys_decide_the_order(draw):
  split = split_of(40, 40)  # Two orders of 40 agree once in 40! draws.
  draw = jax.jit(draw)
  a, again, b = (draw(jax.random.key(k), split) for k in (0, 0, 1))
  chex.assert_trees_all_equal(a, again)
  assert visited(a)[0].tolist() != visited(b)[0].tolist()


@pytest.mark.parametrize('fresh', [True, False])
def test_pair_draws_the_second_anew_each_time_round_or_repeats_it(fresh):
  split = split_of(40, 80)
  plan = plans.pair(plans.over_retain(40), plans.over_forget(40), fresh=fresh)(
      jax.random.key(0), split)
  first, second = np.asarray(plan.index)[:, 40:].tolist()
  assert sorted(first) == sorted(second) and (first != second) == fresh


def test_every_order_is_equally_likely():
  # Chi-square of the 24 orders of 4 rows over 24,000 draws, at 1e-4: 60.1 is
  # the 0.9999 quantile of 23 degrees of freedom.
  split = Split(jnp.zeros((0,), jnp.int32), jnp.arange(4, dtype=jnp.int32))
  keys = jax.random.split(jax.random.key(3), 24_000)
  orders = jax.vmap(plans.over_retain(4), in_axes=(0, None))(keys, split).index
  counts = np.unique(orders[:, 0] @ np.array([64, 16, 4, 1]),
                     return_counts=True)[1]
  assert len(counts) == 24
  assert ((counts - 1000)**2 / 1000).sum() < 60.1


def test_a_draw_is_static_and_maps_over_seeds():
  split = split_of(5, 9)
  draw = plans.pair(plans.over_both(4), plans.over_forget(2))
  keys = jax.random.split(jax.random.key(0), 3)
  mapped = jax.jit(jax.vmap(draw, in_axes=(0, None)))(keys, split)
  for i, key in enumerate(keys):
    chex.assert_trees_all_equal(
        trees.take(mapped, i), jax.jit(draw)(key, split))


def test_nothing_to_visit_is_no_step():
  split = Split(jnp.zeros((0,), jnp.int32), jnp.arange(3))
  plan = plans.over_forget(4)(jax.random.key(0), split)
  assert plan.index.shape[0] == plan.weight.shape[0] == 0
  with pytest.raises(ValueError, match='examples to pair with, found none'):
    plans.pair(plans.over_retain(4), plans.over_forget(4))(
        jax.random.key(0), split)


@pytest.mark.parametrize('factory', DRAWS.values())
@pytest.mark.parametrize('value, message', [
    (0, 'Expected batch_size=0 to be at least 1'),
    (-3, 'Expected batch_size=-3'), (2.5, 'batch_size, found 2.5'),
    (True, 'batch_size, found True')])
def test_batch_size_is_checked_at_once(factory, value, message):
  with pytest.raises(ValueError, match=message):
    factory(value)
