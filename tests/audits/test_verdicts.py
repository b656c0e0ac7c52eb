"""The rule, on signals whose truth is known and on models that were trained."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest

import rum_jax
from rum_jax import audits, models, records
from rum_jax.audits import verdicts
from rum_jax.types import Images, Split
from tests.audits.simulated import REQUEST, World


def judged(unlearned, retrained=None, original=None, **rest):
  return audits.assemble(REQUEST, original or unlearned, unlearned, retrained,
                         **rest)


@pytest.fixture(scope='module')
def world():
  return World()


def test_retrained_models_put_in_get_yes(world):
  found = judged(world.observed(8), world.observed(8),
                 world.observed(1, shift=3.0))
  assert found.verdict.answer == 'yes'
  assert not found.verdict.cautions
  assert 'certificate' in found.verdict.caveat


def test_the_original_put_in_gets_no(world):
  original = world.observed(4, shift=3.0)
  verdict = judged(original, world.observed(8)).verdict
  assert verdict.answer == 'no'
  outside = {x.name for x in verdict.checks if x.outcome == 'outside'}
  assert any('AUC' in name for name in outside)


def test_too_much_forgotten_gets_no(world):
  verdict = judged(world.observed(4, shift=-3.0), world.observed(8)).verdict
  assert verdict.answer == 'no' and 'too low' in verdict.reason


@pytest.mark.parametrize('shift', [0.0, 0.3])
def test_three_rows_get_cannot_tell(shift):
  world = World(forget=3)
  verdict = judged(world.observed(8, shift), world.observed(8)).verdict
  assert verdict.answer == 'cannot tell'
  unsure = [x for x in verdict.checks if x.outcome == 'overlaps']
  assert unsure and all(x.smallest > x.expected[1] for x in unsure)


def test_three_rows_that_all_models_agree_on_get_cannot_tell():
  world = World(forget=3)
  world.hard['forget'][:] = 9.0
  verdict = judged(world.observed(8), world.observed(8)).verdict
  assert verdict.answer == 'cannot tell'


def test_one_retrained_model_does_not_tell(world):
  verdict = judged(world.observed(4), world.observed(1)).verdict
  assert verdict.answer == 'cannot tell'


def test_one_unlearned_model_can_be_judged(world):
  retrained = world.observed(8)
  wide = audits.Margins(forget_accuracy=0.1, held_out_accuracy=0.1, auc=0.1)
  assert judged(world.observed(1), retrained,
                margins=wide).verdict.answer == 'yes'
  original = world.observed(1, shift=3.0)
  assert judged(original, retrained).verdict.answer == 'no'


def test_yes_says_that_the_original_would_get_it_too(world):
  verdict = judged(world.observed(8), world.observed(8),
                   world.observed(8)).verdict
  assert verdict.answer == 'yes' and 'original' in verdict.cautions[0]


def test_knowledge_that_comes_back_gets_no(world):
  verdict = judged(world.observed(4, relearned=3.0),
                   world.observed(8, relearned=0.0)).verdict
  assert verdict.answer == 'no' and 'fine-tuning' in verdict.reason


def test_without_held_out_examples_it_is_never_yes(world):
  verdict = judged(world.observed(8, held_out=False),
                   world.observed(8, held_out=False)).verdict
  assert verdict.answer == 'cannot tell' and verdict.cautions
  verdict = judged(world.observed(8, held_out=False)).verdict
  assert verdict.answer == 'cannot tell' and not verdict.checks


@pytest.mark.parametrize('count', [1, 4])
@pytest.mark.parametrize('shift,answer', [
    (0.0, 'no trace found'), (1.0, 'traces found'), (-1.0, 'traces found')])
def test_without_retrained_models(world, count, shift, answer):
  verdict = judged(world.observed(count, shift)).verdict
  assert verdict.answer == answer
  assert bool(verdict.cautions) == (shift < 0)
  if answer == 'no trace found':
    assert 'would have shown a shift of' in verdict.reason


def test_three_rows_without_a_trace_get_cannot_tell():
  verdict = judged(World(forget=3).observed(4)).verdict
  assert verdict.answer == 'cannot tell' and 'too few' in verdict.reason


@pytest.mark.parametrize('check', ['relearned', 'recalibrated'])
def test_what_a_check_brings_back_is_a_trace(world, check):
  clean = judged(world.observed(2, **{check: 0.0})).verdict
  dormant = judged(world.observed(2, **{check: 2.0})).verdict
  assert clean.answer == 'no trace found'
  assert dormant.answer == 'traces found'
  assert verdicts._AFTER[check] in dormant.reason


def test_a_check_alone_finds_traces_without_held_out_examples(world):
  dormant = world.observed(2, held_out=False, relearned=2.0)
  assert judged(dormant).verdict.answer == 'traces found'
  still = world.observed(2, held_out=False)
  still = still._replace(relearned=still.models)
  assert judged(still).verdict.answer == 'no trace found'


def test_three_rows_whose_accuracy_does_not_rise_get_cannot_tell():
  still = World(forget=3).observed(4, held_out=False)
  verdict = judged(still._replace(relearned=still.models)).verdict
  assert [x.outcome for x in verdict.checks] == ['none']
  assert verdict.checks[0].smallest > verdicts.BLIND
  assert verdict.answer == 'cannot tell' and 'too few' in verdict.reason


def test_a_check_in_which_all_models_diverge_says_nothing(world):
  seen = world.observed(2, relearned=0.0)
  seen.relearned.forget.loss[:] = np.nan
  verdict = judged(seen).verdict
  assert len(verdict.checks) == 1 and 'nan' not in verdict.reason
  assert verdict.answer == 'no trace found'
  assert 'diverged after fine-tuning' in verdict.cautions[0]
  retrained = world.observed(8, relearned=0.0)
  verdict = judged(seen, retrained).verdict
  assert all(np.isfinite(x.value) for x in verdict.checks)
  assert 'diverged after fine-tuning' in verdict.cautions[0]


def test_models_that_diverged_or_collapsed_are_named(world):
  models = world.observed(3)
  models.models.forget.loss[0] = np.nan
  models.models.retain.score[1] = 0.1
  verdict = judged(models, chance=0.1).verdict
  assert [x[:4] for x in verdict.cautions[:2]] == ['1 of', '1 of']
  models.models.forget.loss[:] = np.nan
  assert judged(models).verdict.answer == 'cannot tell'


def test_the_same_models_as_both_inputs_are_refused(world):
  both = world.observed(2)
  with pytest.raises(ValueError, match='the same loss'):
    judged(both, both)


def test_classes_that_no_held_out_example_has_are_left_out():
  world = World(forget=40, held_out=80)
  label, other = np.arange(40) % 4, np.arange(80) % 2
  known = world.observed(2)
  known.models.forget.loss[:, label > 1] = 0.0  # All of these are known.
  found = judged(known, forget_label=label, held_out_label=other,
                 classes=('a', 'b', 'c', 'd')).parts[0]
  assert found.classes == {'a': 10, 'b': 10, 'c': 10, 'd': 10}
  assert found.without_held_out == ('c', 'd')
  assert found.unlearned.attack.forget == 20
  none = judged(known, forget_label=label, held_out_label=other + 4).parts[0]
  assert none.unlearned.attack is None and not none.histogram.held_out


def test_held_out_examples_count_by_the_classes_of_the_forget_set():
  world = World(forget=40, held_out=80)
  known = world.observed(2)
  label = np.zeros(40, int)
  other = np.repeat([0, 1], 40)
  known.models.held_out.loss[:, 40:] = 0.0  # Another class: known by heart.
  attack = judged(known, forget_label=label,
                  held_out_label=other).parts[0].unlearned.attack
  want = audits.beside_held_out(known.models.forget.loss,
                                known.models.held_out.loss[:, :40])
  assert attack.auc.mean == pytest.approx(want.auc.mean, abs=1e-6)
  assert attack.held_out == 40


def test_new_rows_and_the_union_are_both_judged(world):
  models = world.observed(2)
  models.models.forget.loss[:, :50] *= 1e-3  # The first 50 are still known.
  found = judged(models, new=np.arange(50),
                 same_prediction=np.ones((2, 150), bool))
  new, union = found.parts
  assert (new.name, new.size, union.name, union.size) == ('new', 50, 'all', 150)
  assert new.unlearned.attack.auc.mean > union.unlearned.attack.auc.mean > 0.5
  assert new.same_prediction.mean == 1


@pytest.mark.parametrize('held_out', [True, False])
@pytest.mark.parametrize('retrained', [True, False])
def test_the_record_is_read_as_it_was_written(world, held_out, retrained):
  found = judged(
      world.observed(1, held_out=held_out, relearned=0.0),
      world.observed(3, held_out=held_out) if retrained else None)
  text = json.dumps(records.as_json(found)).replace('NaN', 'null')
  again = records.from_json(audits.Evidence, json.loads(text))
  assert repr(again) == repr(found)
  assert again.parts[0].histogram.forget['unlearned']


@pytest.fixture(scope='module')
def trained():
  """Four MLPs that know 60 images of noise by heart, and six without 20."""
  rng = np.random.default_rng(0)
  images = Images(rng.integers(0, 256, (160, 4, 4, 1), dtype=np.uint8),
                  rng.integers(0, 2, 160).astype(np.int32))
  model = models.from_linen(
      models.MLP(2, (64,)), (4, 4, 1), mean=(0.5,), std=(0.3,))
  split = Split(np.arange(20), np.arange(20, 60))
  train = rum_jax.retrain(model, rum_jax.sgd(0.3), epochs=60, batch_size=20)

  @jax.jit
  def run(keys, rows):
    none = Split(rows[:0], rows)
    return jax.vmap(lambda key: train(key, None, images, none)[0])(keys)

  keys = jax.random.split(jax.random.key(0), 10)
  held_out = np.arange(60, 160)
  seen = lambda k, v: audits.observe(
      model, k, v, images, split, held_out,
      relearn=audits.relearning(model, rum_jax.sgd(0.1), steps=4,
                                batch_size=20))
  return (seen(keys[:4], run(keys[:4], np.arange(60))),
          seen(keys[4:], run(keys[4:], np.arange(20, 60))))


def test_trained_models_are_told_from_retrained_ones(trained):
  original, retrained = trained
  assert judged(original, retrained).verdict.answer == 'no'
  assert judged(original).verdict.answer == 'traces found'
  half = lambda first: jax.tree.map(
      lambda x: x[:3] if first else x[3:], retrained)
  assert judged(half(True), half(False)).verdict.answer != 'no'


def test_the_batch_norm_check_is_run_where_there_is_batch_norm(
    float32_cnn, toy):
  model, start = float32_cnn
  split = Split(np.arange(6), np.arange(6, 18))
  assert audits.has_batch_norm(model, start, toy)
  one = lambda tree: jax.tree.map(lambda x: x[None], tree)
  seen = audits.observe(model, jax.random.key(0)[None], one(start), toy, split,
                        np.arange(18, 24), batch_size=6)
  assert seen.recalibrated.forget.loss.shape == (1, 6)
  assert (seen.recalibrated.forget.loss != seen.models.forget.loss).any()
