"""Data sets keep the original order, and the source of every example."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets as bundled

from rum_jax import datasets


def small(count: int = 30, classes: int = 3) -> datasets.Source:
  """Images that carry their own row."""
  image = np.zeros((count, 2, 2, 1), np.uint8)
  image[..., 0] = np.arange(count)[:, None, None]
  return datasets.from_arrays(image, np.arange(count) % classes, 'small')


def rows_of(source: datasets.Source) -> np.ndarray:
  return source.dataset.image[:, 0, 0, 0].astype(int)


def test_digits_are_those_of_scikit_learn():
  source, whole = datasets.digits(), bundled.load_digits()
  image, label = source.dataset
  assert image.shape == (1797, 8, 8, 1) and image.dtype == np.uint8
  assert image.min() == 0 and image.max() == 255 and label.dtype == np.int32
  assert source.name == 'digits' and source.classes == tuple('0123456789')
  assert len(source.train) == 1438 and len(source.test) == 359
  assert sorted(source.row) == list(range(1797))
  np.testing.assert_array_equal(label, whole.target[source.row])
  # 16 grey values of 17 at least 15 apart: rounding loses nothing.
  np.testing.assert_array_equal(
      np.round(image[..., 0] * (16 / 255)), whole.images[source.row])


def test_digits_hold_out_a_fifth_of_each_class_the_same_each_time():
  source = datasets.digits()
  counts = [np.bincount(source.dataset.label[part], minlength=10)
            for part in (source.train, source.test)]
  whole = sum(counts)
  np.testing.assert_array_equal(counts[1], np.round(whole / 5).astype(int))
  np.testing.assert_array_equal(source.row, datasets.digits().row)
  other = datasets.digits(seed=1)
  assert set(other.row[other.test]) != set(source.row[source.test])
  assert len(datasets.digits(test_share=0.5).test) > 890


@pytest.mark.parametrize('share', [0.2, 0.5])
def test_hold_out_takes_a_share_of_each_class_and_keeps_order(share):
  source = datasets.hold_out(small(), share, seed=0)
  count = round(share * 10)
  for part, want in ((source.test, count), (source.train, 10 - count)):
    label = source.dataset.label[part]
    assert np.bincount(label).tolist() == [want] * 3
    assert (np.diff(source.row[part]) > 0).all()
  np.testing.assert_array_equal(rows_of(source), source.row)
  np.testing.assert_array_equal(source.dataset.label, source.row % 3)
  assert sorted(source.row) == list(range(30))


def test_hold_out_again_drops_what_was_held_out_before():
  once = datasets.hold_out(small(), 0.2, seed=0)
  twice = datasets.hold_out(once, 0.25, seed=1)
  assert sorted(twice.row) == sorted(once.row[once.train])
  assert twice.num_train == 18 and len(twice.test) == 6
  np.testing.assert_array_equal(rows_of(twice), twice.row)


@pytest.mark.parametrize('share, message', [
    (0.0, r'Expected share=0.0 in \(0, 1\]'), (1.5, 'Expected share=1.5'),
    (1.0, 'share=1.0 of 30 examples'), (0.01, 'share=0.01 of 30 examples')])
def test_hold_out_leaves_no_part_empty(share, message):
  with pytest.raises(ValueError, match=message):
    datasets.hold_out(small(), share, seed=0)


@pytest.mark.parametrize('share', [0.0, 0.1, 1.0])
def test_corrupted_labels_are_wrong_and_the_others_are_not(share):
  clean = datasets.hold_out(small(60), 0.5, seed=0)
  source, rows = datasets.corrupted(clean, share, seed=0)
  changed = np.flatnonzero(source.dataset.label != clean.dataset.label)
  np.testing.assert_array_equal(changed, rows)
  assert len(rows) == round(share * 30) and (rows < clean.num_train).all()
  assert set(source.dataset.label.tolist()) <= {0, 1, 2}
  np.testing.assert_array_equal(source.dataset.image, clean.dataset.image)
  np.testing.assert_array_equal(clean.dataset.label, clean.row % 3)


def test_corruption_is_drawn_from_the_seed():
  draws = [datasets.corrupted(small(), 0.5, seed=s) for s in (0, 0, 1)]
  labels = [source.dataset.label.tolist() for source, _ in draws]
  assert labels[0] == labels[1] != labels[2]
  assert draws[0][1].tolist() == draws[1][1].tolist() != draws[2][1].tolist()


def test_wrong_labels_are_uniform_over_the_other_classes():
  # 9,000 examples of class 0, and one each of 1–4: the wrong label is each of
  # four with probability ¼. Chi-square at 1e-4 with 3 degrees of freedom: 21.1.
  label = np.zeros(9004, int)
  label[-4:] = range(1, 5)
  source = datasets.from_arrays(np.zeros((9004, 1, 1, 1)), label, 'zeros')
  wrong, _ = datasets.corrupted(source, 1.0, seed=0)
  counts = np.bincount(wrong.dataset.label[:9000], minlength=5)
  assert counts[0] == 0
  assert ((counts[1:] - 2250)**2 / 2250).sum() < 21.1


@pytest.mark.parametrize('share, message', [
    (1.5, r'Expected corrupt=1.5 in \[0, 1\]'), (-0.1, 'corrupt=-0.1')])
def test_corrupted_refuses_a_share_out_of_range(share, message):
  with pytest.raises(ValueError, match=message):
    datasets.corrupted(small(), share, seed=0)


def test_one_class_cannot_be_confused():
  with pytest.raises(ValueError, match='two classes for wrong labels, found 1'):
    datasets.corrupted(small(classes=1), 0.5, seed=0)


def test_from_arrays_keeps_what_it_is_given():
  image = np.arange(24.0).reshape(2, 2, 2, 3)
  source = datasets.from_arrays(image, [1.0, 0.0], 'two', ('cat', 'dog'))
  np.testing.assert_array_equal(source.dataset.image, image)
  assert source.dataset.image.dtype == np.uint8
  assert source.dataset.label.tolist() == [1, 0]
  assert source.dataset.label.dtype == np.int32
  assert source.classes == ('cat', 'dog') and source.row.tolist() == [0, 1]
  assert source.num_train == 2 and len(source.test) == 0
  assert small(classes=2).classes == ('0', '1')


@pytest.mark.parametrize('change, message', [
    ({'image': np.nan}, 'finite pixels, found nan in row 3'),
    ({'image': np.inf}, 'finite pixels, found inf in row 3'),
    ({'image': 256}, r'in \[0, 255\], found 256.0 in row 3'),
    ({'image': -1}, 'found -1.0 in row 3'),
    ({'image': 0.5}, 'whole numbers .* found 0.5 in row 3'),
    ({'label': -1}, r'in \[0, 3\), found -1.0 in row 3'),
    ({'label': 3}, r'in \[0, 3\), found 3.0 in row 3'),
    ({'label': 1.5}, 'found 1.5 in row 3'),
    ({'label': np.nan}, 'found nan in row 3')])
@pytest.mark.parametrize('named', [True, False])
def test_from_arrays_names_the_row_that_is_wrong(change, message, named):
  arrays = {'image': np.zeros((5, 2, 2, 1)),
            'label': np.array([2.0, 0, 1, 1, 1])}
  for name, value in change.items():
    arrays[name][3] = value
  if not named and change == {'label': 3}:
    message = '^$'  # Without names the largest label is the last class.
    assert datasets.from_arrays(**arrays, name='x').classes[-1] == '3'
    return
  with pytest.raises(ValueError, match=message):
    datasets.from_arrays(
        **arrays, name='x', classes=('a', 'b', 'c') if named else ())


@pytest.mark.parametrize('image, label, message', [
    ((5, 2, 2), (5,), r'found \(5, 2, 2\) and \(5,\)'),
    ((5, 2, 2, 1), (4,), r'and \(4,\)'), ((5, 2, 2, 1), (5, 1), r'\(5, 1\)'),
    ((0, 2, 2, 1), (0,), 'data set x to hold examples')])
def test_from_arrays_names_shapes_that_do_not_fit(image, label, message):
  with pytest.raises(ValueError, match=message):
    datasets.from_arrays(np.zeros(image), np.zeros(label), 'x')


def test_joined_puts_training_examples_first():
  test = small(6)._replace(row=np.arange(100, 106))
  source = datasets.joined(small(9), test)
  assert rows_of(source).tolist() == [*range(9), *range(6)]
  assert source.row.tolist() == [*range(9), *range(100, 106)]
  assert source.train.tolist() == list(range(9))
  assert source.test.tolist() == list(range(9, 15))


def test_joined_refuses_what_does_not_fit():
  wide = datasets.from_arrays(np.zeros((3, 2, 4, 1)), np.arange(3), 'wide')
  with pytest.raises(ValueError, match=r'found \(2, 2, 1\) .* \(2, 4, 1\)'):
    datasets.joined(small(), wide)
  with pytest.raises(ValueError, match='classes'):
    datasets.joined(small(classes=3), small(classes=4))


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
  train, test = small(9).dataset, small(6).dataset
  return {'x_train': train.image, 'y_train': train.label,
          'x_test': test.image, 'y_test': test.label}


def read(tmp_path, arrays) -> datasets.Source:
  np.savez(tmp_path / 'x.npz', **arrays)
  return datasets.from_npz(str(tmp_path / 'x.npz'), 'x')


def test_from_npz_reads_both_parts_and_maybe_names(tmp_path, arrays):
  source = read(tmp_path, arrays)
  assert source.num_train == 9 and len(source.test) == 6
  assert rows_of(source).tolist() == [*range(9), *range(6)]
  assert source.classes == ('0', '1', '2')
  named = read(tmp_path, {**arrays, 'class_names': ['a', 'b', 'c', 'd']})
  assert named.classes == ('a', 'b', 'c', 'd')


@pytest.mark.parametrize('name', ['x_train', 'y_train', 'x_test', 'y_test'])
def test_from_npz_names_what_is_missing(tmp_path, arrays, name):
  del arrays[name]
  with pytest.raises(ValueError, match=f'x.npz to hold {name}'):
    read(tmp_path, arrays)


@pytest.mark.parametrize('name, value, message', [
    ('y_test', 3, r'labels .* \[0, 3\), found 3.* in row 4'),
    ('y_train', -1, 'found -1.* in row 4'),
    ('y_train', np.nan, 'found nan in row 4'),
    ('x_test', np.nan, 'finite pixels, found nan in row 4')])
def test_from_npz_names_the_row_that_is_wrong(
    tmp_path, arrays, name, value, message):
  arrays[name] = arrays[name].astype(float)
  arrays[name][4] = value
  with pytest.raises(ValueError, match=message):
    read(tmp_path, arrays)


def test_from_npz_unpickles_nothing(tmp_path, arrays):
  with pytest.raises(ValueError, match='x.npz .* allow_pickle=False'):
    read(tmp_path, {**arrays, 'x_train': np.array([{}, []], object)})


@pytest.mark.parametrize('contents', [
    b'', b'no', b'PK\x03\x04broken', b'array'])
def test_from_npz_names_a_file_of_another_kind(tmp_path, contents):
  path = tmp_path / 'x.npz'
  path.write_bytes(contents)
  if contents == b'array':
    with path.open('wb') as file:
      np.save(file, np.zeros(3))
  with pytest.raises(ValueError, match=f'Expected {path} to be an npz file'):
    datasets.from_npz(str(path), 'x')


def test_from_npz_names_a_file_that_is_not_there(tmp_path):
  with pytest.raises(FileNotFoundError, match='nowhere.npz'):
    datasets.from_npz(str(tmp_path / 'nowhere.npz'), 'x')
