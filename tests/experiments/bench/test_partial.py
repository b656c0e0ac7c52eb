"""What it costs to unlearn in a part of the parameters: laid out and told."""

from __future__ import annotations

import jax
import numpy as np

from experiments.bench import partial
from rum_jax import evaluation, models, records
from rum_jax.pipeline import results
from rum_jax.reporting import cost
from rum_jax.types import Images


def test_one_stage_and_three_forget_the_same_and_retain_the_same():
  scores = np.random.default_rng(0).random(40)
  splits = partial.plans_of(partial.groups_of(scores, 12), 40)
  (whole,), three = splits[1], splits[3]
  assert [len(x.forget) for x in three] == [4, 4, 4]
  np.testing.assert_array_equal(
      np.sort(np.concatenate([x.forget for x in three])), whole.forget)
  for stage in three:
    np.testing.assert_array_equal(stage.retain, whole.retain)
  assert scores[three[0].forget].max() < scores[three[2].forget].min()


def test_parameters_of_each_part():
  """Of two blocks of 4 channels: kernels, biases and scales by hand."""
  network = models.ViT(3, 4, 4, 2, 2, 8)
  model = models.from_linen(network, (8, 8, 3))
  variables = jax.eval_shape(model.init, jax.random.key(0))
  data = Images(jax.ShapeDtypeStruct((5, 8, 8, 3), np.uint8),
                jax.ShapeDtypeStruct((5,), np.int32))
  found = {part: partial.trained_by(part, model, variables, data)
           for part in partial.PARTS}
  block = (4 * 12 + 12) + (4 * 4 + 4) + (4 * 8 + 8) + (8 * 4 + 4) + 2 * 8
  assert found['all'] == (4 * 4 * 3 * 4 + 4) + 4 + 5 * 4 + 2 * block + 8 + 15
  assert found['last layers'] == block + 8 + 15
  # Ranks 8 and 4 of inputs; the position embedding has three axes.
  each = 4 * (4 + 12) + 4 * (4 + 4) + 4 * (4 + 8) + 8 * (8 + 4)
  assert found['low rank'] == 8 * (48 + 4) + 2 * each + 4 * (4 + 3)


def test_what_is_written_is_read_and_told(tmp_path):
  network = cost.Network(
      name='ViT', parameters=1234, examples=40, forget=12, batch_size=8,
      epochs=20, unlearning_epochs=3)
  figure = evaluation.summary([0.9, 0.8, 0.7])
  record = cost.Cost(
      environment=results.environment(), command='python -m x', method='scrub',
      rank=8, layers=3, large=network, dataset='digits', rates=(0.1, 1e-3),
      small=network, costs=(cost.PartCost(
          part='low rank', stages=3, trained=56, seconds=2.0,
          processor_seconds=3.0, epochs=1.25, compile_seconds=4.0,
          mebibytes=100.0, weights=2.5),),
      quality=(cost.PartQuality(
          part='nothing', stages=0, learning_rate=None, tow=figure,
          attack_gap=figure, forget=figure, retain=figure, test=figure,
          processor_seconds=0.0),),
      prices=(cost.Price(scores='a proxy', part='low rank', scoring=1.5,
                         stages=0.25),))
  results.write(tmp_path / 'cost.json', record)
  again = records.read(cost.Cost, tmp_path / 'cost.json')
  assert again == record
  text = cost.tables(again, '')
  assert '| low rank | 3 | 56 | 1.25 | 3.0 | 2.0 | 100 | 2.50 | 4 s |' in text
  assert '| nothing |  |  | 0.800 ± ' in text
  assert '| a proxy | low rank | 1.50 | 0.25 | 1.75 |' in text
