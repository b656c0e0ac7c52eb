"""What the search judges by, and the plans that it makes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rum_jax
from rum_jax import search, testing
from rum_jax.search import automatic
from rum_jax.types import Signals, Split

FORGET, RETAIN, HELD_OUT = (np.arange(10 * i, 10 * i + 10) for i in range(3))


def signals(forget: float, retain: float = 1.0, held_out: float = 0.5
            ) -> Signals:
  """Losses and scores that are equal in the three parts."""
  score = np.repeat([forget, retain, held_out], 10)
  return Signals(1 - score, score)


def judge(**more) -> search.Judge:
  return search.Judge(FORGET, RETAIN, HELD_OUT, signals(1.0), **more)


def test_as_good_as_retrained_where_nothing_differs():
  figures = judge()(signals(0.5))
  assert (figures.auc, figures.score) == (0.5, 1.0)
  assert np.isnan(figures.relearned_auc)


@pytest.mark.parametrize('forget', [1.0, 0.0])
def test_both_sides_of_the_attack_count(forget):
  # The AUC is off by a half, and the accuracy by a half.
  assert judge()(signals(forget)).score == pytest.approx(0.25)


def test_what_fine_tuning_brings_back_counts():
  found = judge()(signals(0.5), signals(1.0))
  assert found.score == pytest.approx(0.5) and found.relearned_auc == 1


def test_lost_accuracy_counts_and_a_gain_does_not():
  assert judge()(signals(0.5, 0.75)).score == pytest.approx(0.75)
  assert judge()(signals(0.4, 1.0, 0.4)).score == pytest.approx(0.9)
  assert judge()(signals(0.6, 1.0, 0.6)).score == pytest.approx(1.0)


def test_an_ensemble_takes_the_place_of_held_out_examples():
  assert judge(expected=0.9)(signals(0.8)).score == pytest.approx(0.9)


def test_a_model_that_diverged_scores_nothing():
  bad = signals(0.5)
  bad.loss[3] = np.nan
  assert judge()(bad).score == 0


def test_held_out_examples_of_the_same_classes_are_compared():
  label = np.zeros(30, int)
  label[25:] = 1  # The forget set has none of them, and they are easy.
  found = signals(0.5)
  found.loss[25:] = 0
  assert judge(label=label)(found).auc == 0.5
  assert judge()(found).auc == 0.25


def test_two_stages_are_a_sequence_of_groups():
  model, tx, (key, variables, examples, split) = testing.example()
  build = lambda method, setting: (
      rum_jax.identity() if method == 'identity' else
      getattr(rum_jax, method)(model, tx, batch_size=4, **setting))
  stages = [automatic.Stage('identity', {}),
            automatic.Stage('neggrad_plus', {'epochs': 1})]
  found, info = automatic.unlearner_of(build, stages)(
      key, variables, examples, split)
  splits = [Split(x, split.retain) for x in (split.forget[:2],
                                             split.forget[2:])]
  wanted, _ = rum_jax.sequential(*(build(*stage) for stage in stages))(
      key, variables, examples, splits)
  jax.tree.map(np.testing.assert_array_equal, found, wanted)
  assert len(info.loss) == 2


def test_too_little_is_named():
  with pytest.raises(ValueError, match='budget=10 .* at least 22.75'):
    automatic.size_of(10)
  model, _, (key, variables, examples, split) = testing.example()
  with pytest.raises(ValueError, match='split.forget .* found 4'):
    automatic.choose(
        key, variables, examples, split, np.arange(2), model=model,
        build=lambda *x: rum_jax.identity(), relearn=rum_jax.identity(),
        budget=30)


def test_the_search_takes_no_more_than_its_budget_and_finds_what_forgets():
  """Unlearners that only set how well the forget set is known."""
  rows = {'forget': np.arange(20), 'retain': np.arange(20, 40),
          'held_out': np.arange(40, 60)}
  examples = jnp.arange(60)
  model = testing.example()[0]

  def apply(variables, batch, *, train, key=None, mask=None):
    known = batch % 20 / 10 + jnp.where(
        batch < 20, variables.params, jnp.where(batch < 40, 4, 1))
    return rum_jax.Outputs(known, known), {}

  task = rum_jax.Task(loss=lambda out, x: jnp.exp(-out.prediction),
                      score=lambda out, x: 1.0 * (out.prediction > 2),
                      divergence=lambda *x: 0.0)
  model = model._replace(apply=apply, task=task)
  passes = []

  def build(method, setting):
    def unlearn(key, variables, data, split):
      passes.append(method)
      value = 4.0 if method != 'salun' else 40 * setting['learning_rate']
      share = split.forget.shape[0] / 20  # A plan changes a part of it.
      return (rum_jax.Variables(
          variables.params + share * (value - variables.params), {}),
          rum_jax.Info(jnp.zeros(1), {}))
    return unlearn

  choice = automatic.choose(
      jax.random.key(0), rum_jax.Variables(jnp.float32(4), {}), examples,
      Split(rows['forget'], rows['retain']), rows['held_out'], model=model,
      build=build, relearn=rum_jax.identity(), budget=60)
  assert choice.epochs <= 60 and choice.stages[0].method == 'salun'
  assert set(passes) == set(automatic.METHODS)
  assert choice.before.auc == 1 and abs(choice.reported.auc - 0.5) < 0.3
  assert choice.tried[0].score == max(
      x.score for x in choice.tried if x.second)
  assert sorted(choice.forget) == rows['forget'].tolist()
  assert 'salun' in choice.reason
  # Half of the rows are reported on.
  for name, seen in (('forget', choice.unseen),
                     ('held_out', choice.unseen_held_out)):
    assert len(set(seen)) == 10 and set(seen) < set(rows[name].tolist())
