"""Arrays of images and labels are converted with a note, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from rum_jax import datasets

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (12, 6, 8, 3), dtype=np.uint8)
LABEL = np.arange(12) % 3


def read(x=IMAGE, y=LABEL, x_test=None, y_test=None, names=()
         ) -> datasets.Source:
  """The test part is the first six examples unless it is given."""
  return datasets.from_parts(
      x, y, x[:6] if x_test is None else x_test,
      y[:6] if y_test is None else y_test, 'mine', names)


def test_what_is_as_it_should_be_is_not_remarked_on():
  source = read()
  np.testing.assert_array_equal(source.dataset.image[:12], IMAGE)
  assert source.dataset.label.tolist() == [*LABEL, *LABEL[:6]]
  assert source.notes == () and source.classes == ('0', '1', '2')
  assert source.row.tolist() == [*range(12), *range(6)]


@pytest.mark.parametrize('change, said', [
    (lambda x: np.moveaxis(x, -1, 1), 'channels first'),
    (lambda x: x.astype(np.float32), 'floats'),
    (lambda x: x.astype(np.int64), ''),
    (lambda x: np.moveaxis(x, -1, 1).astype(float), 'channels first')])
def test_images_in_other_forms_become_the_same_images(change, said):
  source = read(change(IMAGE))
  np.testing.assert_array_equal(source.dataset.image[:12], IMAGE)
  assert source.dataset.image.dtype == np.uint8
  assert source.dataset.image.flags.c_contiguous
  assert said in ' '.join(source.notes)
  assert bool(source.notes) == bool(said)
  assert all(x in ' '.join(source.notes) for x in ('x_train', 'x_test') if said)


@pytest.mark.parametrize('shape', [(12, 6, 8), (12, 1, 6, 8), (12, 6, 8, 1)])
def test_grey_images_have_one_channel(shape):
  grey = IMAGE[..., 0]
  source = read(grey.reshape(shape))
  np.testing.assert_array_equal(source.dataset.image[:12], grey[..., None])
  assert bool(source.notes) == (shape != (12, 6, 8, 1))


def test_booleans_become_black_and_white():
  source = read(IMAGE > 100)
  np.testing.assert_array_equal(
      source.dataset.image[:12], 255 * (IMAGE > 100))
  assert 'booleans' in source.notes[0]


def with_value(value, dtype=float):
  image = IMAGE.astype(dtype)
  image[4, 1, 2, 0] = value
  return image


@pytest.mark.parametrize('x, value, message', [
    (IMAGE / 255, None, 'Multiply images in .* by 255'),
    (with_value(-1.5), -1.5, 'row 4 of x_train.* normalisation'),
    (with_value(np.inf), np.inf, 'finite .* row 4 of x_train'),
    (with_value(4000, np.uint16), 4000, 'found 4000 in row 4 of x_train'),
    (IMAGE.reshape(12, -1), (12, 144), r'x_train \[N, H, W, C\]'),
    (IMAGE[None], (1, 12, 6, 8, 3), r'found shape \(1, 12'),
    (IMAGE.astype(object), 'object', 'x_train .* Python objects'),
    (IMAGE.astype(str), '<U3', 'x_train to hold numbers'),
    (IMAGE.astype(complex), 'complex128', 'x_train to hold numbers'),
    ([[[1, 2]], [[1]]], None, 'x_train to be an array')])
def test_images_that_would_be_guesswork_are_refused(x, value, message):
  with pytest.raises(datasets.DataError, match=message) as caught:
    read(x, x_test=IMAGE)
  assert caught.value.name == 'x_train'
  if value is not None:
    assert caught.value.value == value


def test_from_arrays_refuses_channels_first_too():
  for channels in (1, 3):
    with pytest.raises(datasets.DataError, match=r'looks like \[N, C, H, W\]'):
      datasets.from_arrays(np.zeros((2, channels, 5, 5)), [0, 1], 'mine')
  wide = datasets.from_arrays(np.zeros((2, 1, 1, 64)), [0, 1], 'features')
  assert wide.dataset.image.shape == (2, 1, 1, 64)


ANIMALS = np.array(['cat', 'dog', 'ant'])[LABEL]


@pytest.mark.parametrize('y, classes, want, said', [
    (LABEL[:, None], '012', LABEL, 'column'),
    (np.eye(3)[LABEL], '012', LABEL, 'one-hot'),
    (np.eye(3, dtype=bool)[LABEL], '012', LABEL, 'one-hot'),
    (np.eye(5, dtype=int)[LABEL], '01234', LABEL, 'one-hot'),
    (LABEL.astype(np.float32), '012', LABEL, 'floats'),
    (LABEL + 1, '123', LABEL, 'starts at 1'),
    (LABEL * 10 + 5, ('5', '15', '25'), LABEL, '15 → 1'),
    (2 * LABEL, '01234', 2 * LABEL, '2 of 5 classes'),
    (LABEL * 10**9, ('0', '1000000000', '2000000000'), LABEL, 'up to 2000000'),
    (ANIMALS, ('ant', 'cat', 'dog'), (LABEL + 1) % 3, 'ant → 0, cat → 1'),
    (ANIMALS.astype('S'), ('ant', 'cat', 'dog'), (LABEL + 1) % 3, 'ant → 0'),
    (np.array(['10', '9', '2'])[LABEL], ('2', '9', '10'), 2 - LABEL,
     '2 → 0, 9 → 1, 10 → 2'),
    (LABEL > 0, '01', LABEL > 0, 'booleans')])
def test_labels_in_other_forms_are_understood_and_said(
    y, classes, want, said):
  source = read(y=y)
  assert source.classes == tuple(classes)
  assert source.dataset.label.tolist() == [*want, *want[:6]]
  assert source.dataset.label.dtype == np.int32
  assert said in ' '.join(source.notes)


@pytest.mark.parametrize('y, value, message', [
    (LABEL - 1, -1, 'found -1 in row 0 of y_train'),
    (LABEL * 1e300, 1e300, 'below'),
    (LABEL + 0.5, 0.5, 'found 0.5 in row 0 of y_train'),
    (np.where(LABEL, LABEL, np.nan), None, 'finite labels, found nan'),
    (np.full((12, 3), 1 / 3), [1 / 3] * 3, 'row 0. Soft labels'),
    (np.ones((12, 2), int), [1, 1], 'one 1 in each row'),
    (LABEL.astype(object), 'object', 'Python objects'),
    (LABEL.astype(complex), 'complex128', 'type complex128'),
    (np.zeros((12, 1, 1)), (12, 1, 1), r'found shape \(12, 1, 1\)'),
    (np.array(['', 'cat', 'dog'])[LABEL], '', 'labels to be words')])
def test_labels_that_would_be_guesswork_are_refused(y, value, message):
  with pytest.raises(datasets.DataError, match=message) as caught:
    read(y=y, y_test=LABEL[:6])
  assert caught.value.name == 'y_train'
  if value is not None:
    assert caught.value.value == value


@pytest.mark.parametrize('y, y_test, value', [
    (LABEL, [0, 0, 1, 2, 3, 0], 3), (LABEL + 1, [1, 2, 3, 0, 1, 1], 0),
    (ANIMALS, ['cat', 'dog', 'ant', 'cow', 'ant', 'ant'], 'cow'),
    (LABEL, ['cat'] * 6, 'cat'), (ANIMALS, [0] * 6, 0)])
def test_a_label_that_is_only_in_the_test_part_is_refused(y, y_test, value):
  with pytest.raises(datasets.DataError, match=f'found {value} in row . of '
                     'y_test') as caught:
    read(y=y, y_test=np.array(y_test))
  assert (caught.value.name, caught.value.value) == ('y_test', value)


@pytest.mark.parametrize('y', [LABEL, LABEL + 1, ANIMALS])
def test_classes_may_be_missing_from_the_test_part(y):
  source = read(y=y, y_test=np.repeat(y[1:2], 6))
  assert len(source.classes) == 3
  assert len(set(source.dataset.label[source.test].tolist())) == 1
  assert source.dataset.label[12] == source.dataset.label[1]


def test_names_of_classes_give_their_order():
  assert read(y=LABEL, names=['a', 'b', 'c']).classes == ('a', 'b', 'c')
  words = read(y=ANIMALS, names=np.array(['dog', 'cat', 'ant'], 'S'))
  assert words.classes == ('dog', 'cat', 'ant')
  assert words.dataset.label[:3].tolist() == [1, 0, 2] and not words.notes
  shifted = read(y=LABEL + 1, names=['a', 'b', 'c'])
  assert shifted.classes == ('a', 'b', 'c') and '1 → 0' in shifted.notes[0]
  assert shifted.dataset.label[:3].tolist() == [0, 1, 2]


@pytest.mark.parametrize('y, names, value', [
    (LABEL, ['a', 'b'], 2), (LABEL * 9, list('abcd'), 9),
    (ANIMALS, ['cat', 'dog'], 'ant'), (LABEL, ['a', 'b', 'a'], 'a'),
    (np.eye(3)[LABEL], ['a', 'b'], 3), (LABEL, 'abc', ())])
def test_labels_without_a_name_are_refused(y, names, value):
  with pytest.raises(datasets.DataError) as caught:
    read(y=y, names=names)
  assert caught.value.value == value and str(value) in str(caught.value)


def test_numbers_that_names_reach_are_the_classes_themselves():
  source = read(y=LABEL + 1, names=list('abcde'))
  assert source.dataset.label[:3].tolist() == [1, 2, 3]
  assert source.notes == ('2 of 5 classes have no training example: a, e.',)


def test_a_part_without_images_is_refused():
  for part, given in (('train', {'x': IMAGE[:0], 'y': LABEL[:0]}),
                      ('test', {'x_test': IMAGE[:0], 'y_test': LABEL[:0]})):
    with pytest.raises(datasets.DataError, match=f'x_{part} to hold images'):
      read(**{'x_test': IMAGE, 'y_test': LABEL, **given})


@pytest.mark.parametrize('part', ['train', 'test'])
def test_as_many_images_as_labels(part):
  given = {'train': {'x': IMAGE[:11], 'x_test': IMAGE[:6]},
           'test': {'x_test': IMAGE[:5]}}[part]
  with pytest.raises(datasets.DataError,
                     match=f'found {len(given.get("x", IMAGE[:5]))} in '
                     f'x_{part} and .* in y_{part}') as caught:
    read(**given)
  assert caught.value.name == f'y_{part}'


def test_an_npz_file_is_understood_and_its_name_is_in_errors(tmp_path):
  path = str(tmp_path / 'mine.npz')
  arrays = {'x_train': np.moveaxis(IMAGE, -1, 1), 'y_train': ANIMALS,
            'x_test': IMAGE[:6], 'y_test': ANIMALS[:6]}
  np.savez(path, **arrays)
  source = datasets.from_npz(path, 'mine')
  np.testing.assert_array_equal(source.dataset.image[:12], IMAGE)
  assert source.classes == ('ant', 'cat', 'dog') and len(source.notes) == 2
  np.savez(path, **{**arrays, 'y_train': LABEL - 1})
  with pytest.raises(datasets.DataError, match=f'^{path}: .*-1') as caught:
    datasets.from_npz(path, 'mine')
  assert (caught.value.name, caught.value.value) == ('y_train', -1)
  np.savez(path, **{**arrays, 'y_test': np.array([{}], object)})
  with pytest.raises(datasets.DataError, match='y_test') as caught:
    datasets.from_npz(path, 'mine')
  assert caught.value.name == 'y_test'


def test_an_altered_npz_file_is_refused(tmp_path):
  path = tmp_path / 'mine.npz'
  np.savez_compressed(path, x_train=IMAGE, y_train=LABEL, x_test=IMAGE,
                      y_test=LABEL)
  contents = bytearray(path.read_bytes())
  contents[200:260] = bytes(60)
  path.write_bytes(contents)
  with pytest.raises(ValueError, match=f'Expected {path} to be an npz file'):
    datasets.from_npz(str(path), 'mine')
