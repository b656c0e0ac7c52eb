"""Published score files in every format, in right and in wrong orders."""

from __future__ import annotations

import numpy as np
import pytest

from rum_jax.memorization import published
from rum_jax.memorization.published import read

N, CLASSES = 400, 8


@pytest.fixture(scope='module')
def truth():
  """Labels, and scores whose level differs between classes."""
  rng = np.random.default_rng(0)
  label = rng.integers(0, CLASSES, N)
  return label, np.clip(label / CLASSES + 0.2 * rng.random(N), 0, 1)


def write(tmp_path, kind, score, label) -> str:
  path = tmp_path / ('x.npy' if kind == 'array' else 'x.npz')
  if kind == 'array':
    np.save(path, score)
  elif kind == 'Feldman and Zhang':
    np.savez(path, tr_mem=score, tr_labels=label, tt_labels=label[:3],
             infl_matrix_class0=np.zeros((3, 2)))
  elif kind == 'C-scores':
    np.savez(path, scores=1 - score, labels=label)
  else:
    np.savez(path, memorization=score.astype(np.float32),
             influence=np.zeros((5, N), np.float32))
  return str(path)


LABELLED = ('Feldman and Zhang', 'C-scores')
BARE = ('Zhao et al.', 'array')


@pytest.mark.parametrize('kind', LABELLED + BARE)
def test_a_file_in_order_is_read(tmp_path, truth, kind):
  label, score = truth
  path = write(tmp_path, kind, score, label)
  assert published.recognises(path)
  got = read(path, label)
  assert got.kind == kind and got.verified == (kind in LABELLED)
  np.testing.assert_allclose(got.score, score, atol=1e-7)  # One is float32.
  assert got.order.startswith(
      'verified: the labels of all 400' if got.verified else 'plausible, not')


@pytest.mark.parametrize('kind', LABELLED)
def test_labels_in_another_order_name_the_first_row(tmp_path, truth, kind):
  label, score = truth
  order = np.arange(N)
  a, b = 7, 7 + int(np.flatnonzero(label[7:] != label[7])[0])
  order[[a, b]] = order[[b, a]]
  with pytest.raises(ValueError) as error:
    read(write(tmp_path, kind, score[order], label[order]), label)
  assert (f'2 of 400 labels differ, first in row 7: {label[b]} in the file, '
          f'{label[a]} in the data.') in str(error.value)


@pytest.mark.parametrize('kind', BARE)
@pytest.mark.parametrize('given', [False, True])
@pytest.mark.parametrize('wrong', ['shuffled', 'shifted'])
def test_another_order_without_labels_is_implausible(
    tmp_path, truth, kind, given, wrong):
  label, score = truth
  other = (np.roll(score, 1) if wrong == 'shifted'
           else np.random.default_rng(1).permutation(score))
  reference = score + np.random.default_rng(2).normal(size=N) / 4
  options = {'reference': reference} if given else {}
  assert not read(write(tmp_path, kind, score, label), label,
                  **options).verified
  with pytest.raises(ValueError) as error:
    read(write(tmp_path, kind, other, label), label, **options)
  assert 'no labels and its order is not plausible: in rows 0 to 399' in str(
      error.value)
  assert ('Spearman' if given else 'Kruskal') in str(error.value)


def test_a_stretch_in_another_order_is_found(tmp_path):
  rng = np.random.default_rng(0)
  label = rng.integers(0, 10, 20_000)
  score = np.clip(label / 10 + 0.3 * rng.random(20_000), 0, 1)
  path = write(tmp_path, 'array', score, label)
  assert 'each of 4 stretches' in read(path, label).order
  for options in ({}, {'reference': score}):
    other = score.copy()
    other[5000:10_000], other[10_000:15_000] = (
        score[10_000:15_000], score[5000:10_000])
    write(tmp_path, 'array', other, label)
    with pytest.raises(ValueError, match='in rows 5000 to 9999'):
      read(path, label, **options)


def test_agreement_has_to_be_as_high_as_is_asked(tmp_path, truth):
  label, score = truth
  path = write(tmp_path, 'array', score, label)
  reference = score + np.random.default_rng(2).normal(size=N) / 2
  reference[3] = np.nan  # An estimate may lack some.
  assert 'of at least 0.5' in read(path, label, reference=reference).order
  with pytest.raises(ValueError, match='less than 0.6'):
    read(path, label, reference=reference, min_agreement=0.6)
  with pytest.raises(ValueError, match='not plausible'):  # The wrong way up.
    read(path, label, reference=-reference)
  with pytest.raises(ValueError, match=r'reference of shape \(400,\), found'):
    read(path, label, reference=reference[1:])


def test_scores_without_classes_or_spread_are_not_plausible(tmp_path, truth):
  label, score = truth
  path = write(tmp_path, 'array', score, label)
  with pytest.raises(ValueError, match=r'\(Kruskal and Wallis, p = 1\)'):
    read(path, np.zeros(N, int))
  write(tmp_path, 'array', np.zeros(N), label)
  with pytest.raises(ValueError, match='not plausible'):
    read(path, label)


@pytest.mark.parametrize('kind', LABELLED + BARE)
def test_some_rows_of_a_file(tmp_path, truth, kind):
  label, score = truth
  path = write(tmp_path, kind, score, label)
  row = np.random.default_rng(3).permutation(N)[:300]
  got = read(path, label[row], row=row)
  np.testing.assert_allclose(got.score, score[row], atol=1e-7)
  with pytest.raises(ValueError, match='differ|not plausible'):
    read(path, label[row], row=np.sort(row))
  with pytest.raises(ValueError, match='to hold more than 400 scores, found'):
    read(path, label[:2], row=np.array([0, 400]))


@pytest.mark.parametrize('kind', LABELLED + BARE)
def test_another_length_is_refused(tmp_path, truth, kind):
  label, score = truth
  path = write(tmp_path, kind, score, label)
  with pytest.raises(ValueError, match='to hold 399 scores, found 400'):
    read(path, label[1:])


@pytest.mark.parametrize('kind', LABELLED + BARE)
@pytest.mark.parametrize('value', [np.nan, np.inf, 1.5, -1.5])
def test_what_is_no_score_is_refused(tmp_path, truth, kind, value):
  label, score = truth
  score = score.copy()
  score[5] = value
  with pytest.raises(ValueError, match=r', 1\], found .* at row 5'):
    read(write(tmp_path, kind, score, label), label)


def test_what_is_no_score_file_is_refused(tmp_path, truth):
  label, score = truth
  path = tmp_path / 'x.npz'
  with pytest.raises(FileNotFoundError, match='No file scores=.*x.npz'):
    read(str(path), label)
  assert not published.recognises(str(path))
  for contents in (b'', b'PK\x03\x04broken'):
    path.write_bytes(contents)
    with pytest.raises(ValueError, match='none of the formats'):
      read(str(path), label)
  np.savez(path, score=score)
  assert not published.recognises(str(path))
  with pytest.raises(ValueError, match='none of the formats'):
    read(str(path), label)
  np.savez(path, tr_mem=np.array([None, 1]), tr_labels=label)  # A pickle.
  with pytest.raises(ValueError, match='none of the formats'):
    read(str(path), label)
  np.savez(path, scores=score, labels=label[:5])
  with pytest.raises(ValueError, match=r'found \(400,\) and \(5,\)'):
    read(str(path), label)
  np.savez(path, memorization=score[None])
  with pytest.raises(ValueError, match=r'found \(1, 400\) and None'):
    read(str(path), label)
