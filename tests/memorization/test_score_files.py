"""Score files are read as they were written; other data are refused."""

from __future__ import annotations

import numpy as np
import pytest

from rum_jax.memorization import reliability, score_files
from rum_jax.memorization.estimator import Memorization
from rum_jax.reporting import sentences


@pytest.fixture
def written(tmp_path):
  """A score file of 13 examples of the data set 'abc'."""
  path = tmp_path / 'memorization.npz'
  rng = np.random.default_rng(0)
  found = Memorization(rng.uniform(-1, 1, 13), rng.random(13),
                       rng.integers(0, 9, 13), rng.integers(0, 9, 13))
  score_files.save(path, found, np.arange(13), 'abc')
  return path, found


def test_scores_come_back_as_they_were_written(written):
  path, found = written
  got = score_files.load(str(path), 13, 'abc')
  for a, b in zip(got, found, strict=True):
    np.testing.assert_array_equal(a, b)
  assert [p.name for p in path.parent.iterdir()] == ['memorization.npz']
  with np.load(path) as file:
    np.testing.assert_array_equal(file['row'], np.arange(13))
    assert 'probability_score' not in file


def test_probabilities_stand_beside_correctness_under_their_own_names(written):
  path, found = written
  other = found._replace(score=found.score / 2, standard_error=found.score * 0)
  score_files.save(path, found, np.arange(13), 'abc', other)
  with np.load(path) as file:
    np.testing.assert_array_equal(file['score'], found.score)
    np.testing.assert_array_equal(file['probability_score'], found.score / 2)
    np.testing.assert_array_equal(file['probability_standard_error'], 0)
  np.testing.assert_array_equal(
      score_files.load(str(path), 13, 'abc').score, found.score)


@pytest.mark.parametrize('examples, owner, message', [
    (14, 'abc', 'to hold 14 scores, found 13'),
    (13, 'abd', 'its hash is abc, the hash of the data is abd')])
def test_scores_of_another_data_set_are_refused(
    written, examples, owner, message):
  with pytest.raises(ValueError, match=message):
    score_files.load(str(written[0]), examples, owner)


@pytest.mark.parametrize('contents', [
    b'', b'no', b'PK', b'PK\x03\x04broken'])
def test_a_file_without_scores_is_refused(tmp_path, contents):
  path = tmp_path / 'x.npz'
  with pytest.raises(FileNotFoundError, match='No file scores=.*x.npz'):
    score_files.load(str(path), 13, 'abc')
  path.write_bytes(contents)
  with pytest.raises(ValueError, match=f'scores={path} is not a memorization'):
    score_files.load(str(path), 13, 'abc')
  np.savez(path, score=np.zeros(13))
  with pytest.raises(ValueError, match='is not a memorization.npz'):
    score_files.load(str(path), 13, 'abc')
  np.save(tmp_path / 'y', np.zeros(13))
  with pytest.raises(ValueError, match='is not a memorization.npz'):
    score_files.load(str(tmp_path / 'y.npy'), 13, 'abc')


def test_summary_leaves_out_what_has_no_score():
  found = reliability.summary(Memorization(
      np.array([0.0, 1.0, np.nan, 0.5]), np.array([0.1, 0.3, np.nan, np.nan]),
      *np.zeros((2, 4), int)))
  assert found.quantiles == {
      '0.05': 0.05, '0.25': 0.25, '0.5': 0.5, '0.75': 0.75, '0.95': 0.95}
  assert found.mean_standard_error == 0.2
  assert (found.examples, found.without_score) == (4, 1)
  assert sentences.sentence('scores', found) == (
      'scores: 0.050, 0.250, 0.500, 0.750, 0.950 at 5, 25, 50, 75 and 95 %; '
      'mean standard error 0.2000')


def test_summary_of_nothing_is_nan():
  found = reliability.summary(Memorization(*np.full((4, 3), np.nan)))
  assert np.isnan(found.mean_standard_error)
  assert found.without_score == 3
  assert np.isnan(list(found.quantiles.values())).all()


def test_files_that_come_with_the_package_are_found_by_name():
  assert 'cifar10_5000_mlp' in score_files.names()
  assert score_files.located('elsewhere.npz') == 'elsewhere.npz'
  for name in score_files.names():
    path = score_files.located(name)
    whole = score_files.of_published(path)
    with np.load(path, allow_pickle=False) as file:
      owner = str(file['published_hash' if whole else 'data_hash'])
      row, known = file['row'], np.isfinite(file['score'])
    load = score_files.load_rows if whole else score_files.load
    rows = row if whole else len(row)
    found = load(path, rows, owner)
    assert (np.abs(found.score[known]) <= 1).all() and known.mean() > 0.99
    assert len(set(row.tolist())) == len(row)
    with pytest.raises(ValueError, match='belongs to another data set'):
      load(path, rows, 'abc')


def test_a_name_that_is_not_there_is_answered_with_those_that_are():
  expected = 'with rum_jax are cifar10_5000_mlp'
  with pytest.raises(FileNotFoundError, match=expected):
    score_files.load('cifar10_all', 3, 'abc')
