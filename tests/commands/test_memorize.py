"""`rum-jax memorize`: scores, likely wrong labels, and a page."""

from __future__ import annotations

import numpy as np

from rum_jax.pipeline import memorize_data
from tests.commands.conftest import TRAIN


def test_wrong_labels_of_own_data_are_found(rum, place):
  with np.load('mine.npz') as file:
    data = dict(file)
  data['y_train'] = data['y_train'].copy()
  wrong = [7, 30]
  data['y_train'][wrong] = (data['y_train'][wrong] + 1) % 3
  np.savez('mine.npz', **data)
  code, out, err = rum(
      'memorize', '--data=mine.npz', '--network=mlp', '--models=8',
      '--epochs=30', '--learning_rate=0.05', '--batch_size=16',
      '--workdir=scores')
  assert code == 0, err
  assert '8 models for 30 epochs' in out
  lines = (place / 'scores' / 'suspects.csv').read_text().splitlines()
  assert lines[0] == 'row,file,label,memorization'
  with np.load('scores/memorization.npz') as file:
    score = file['score']
  assert score.shape == (TRAIN,)
  assert np.nanmean(score[wrong]) > np.nanmean(score) + 0.3
  page = (place / 'scores' / 'report.html').read_text()
  assert 'Labels that are likely wrong' in page and page.count('<svg') >= 2


def test_suspects_are_memorized_and_unknown_to_others():
  score, outside = np.array([0.6, 0.9, 0.9, np.nan]), np.array([0, 0, 0.5, 0])
  assert memorize_data.suspicious(score, outside).tolist() == [1, 0]
