"""Rows to forget in all forms that a person may use."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

from rum_jax import datasets


def whole(classes=('ant', 'bee', 'cat'), **changes) -> datasets.Source:
  """60 training and 12 test images that carry their row; class = row % 3."""

  def part(first, count):
    rows = np.arange(first, first + count)
    image = np.repeat(rows.astype(np.uint8), 2).reshape(count, 1, 1, 2)
    return datasets.from_arrays(image, rows % len(classes), 'mine', classes)

  return datasets.joined(part(0, 60), part(60, 12))._replace(**changes)


def with_files(prefix: str = '') -> datasets.Source:
  return whole(files=tuple(
      f'{prefix}{("ant", "bee", "cat")[i // 20]}/{i % 20}{"x" * (i > 40)}.png'
      for i in range(60)))


REDUCED = datasets.sampled(datasets.leave_out(whole(), 0.2, 1), 30, 5)


def refused(spec, source=None, **words):
  with pytest.raises(datasets.DataError) as caught:
    datasets.read_rows(spec, source or whole(), **words)
  assert caught.value.name == words.get('name', 'rows')
  assert '\n' not in str(caught.value)
  return caught.value


def test_a_row_is_the_published_row_whatever_was_set_apart():
  rows = REDUCED.row[[3, 17, 8]]
  read = datasets.read_rows(rows.tolist(), REDUCED)
  assert read.tolist() == rows.tolist() and read.dtype == np.int64
  place = datasets.positions(read, REDUCED)
  assert place.tolist() == [3, 17, 8] and place.dtype == np.int32
  # The images carry their row.
  assert REDUCED.dataset.image[place][:, 0, 0, 0].tolist() == rows.tolist()


def test_every_published_row_is_found_or_refused_with_its_part():
  parts = dict(REDUCED.apart)
  assert list(parts) == ['validation', 'sample']
  kept = REDUCED.row[:REDUCED.num_train].tolist()
  assert sorted([*kept, *parts['validation'], *parts['sample']]) == [
      *range(60)]
  for row in range(60):
    if row in kept:
      assert REDUCED.row[datasets.positions([row], REDUCED)] == [row]
    else:
      error = refused([row], REDUCED)
      assert error.value == row and f'Row {row} ' in str(error)
      part = 'validation' if row in parts['validation'] else 'sample'
      assert part in str(error)
  for row in (60, -1, 2**40):
    error = refused([kept[0], row], REDUCED)
    assert error.value == row
    assert f'Row {row} does not exist' in str(error) and '0 to 59' in str(error)


def test_rows_of_a_held_out_part_are_refused_with_its_name():
  held = datasets.hold_out(whole(), 0.2, 1)
  row = int(held.row[held.test][0])
  assert f'Row {row} is in the validation part' in str(refused([row], held))
  digits = datasets.digits()
  row = int(digits.row[digits.test][0])
  assert f'Row {row} is in the test part' in str(refused([row], digits))


def test_how_many_rows_are_refused_is_said():
  apart = dict(REDUCED.apart)['validation']
  error = refused([*apart[:3].tolist(), 99], REDUCED)
  assert '(3 rows in all' in str(error) and '99' not in str(error)


def test_a_sample_is_the_draw_of_leave_out():
  kept = datasets.sampled(whole(), 30, 5)
  left = datasets.leave_out(whole(), 0.5, 5)
  np.testing.assert_array_equal(kept.row, left.row)
  assert kept.apart[0][0] == 'sample' and left.apart[0][0] == 'validation'
  for count in (0, 60, 2.5):
    with pytest.raises(ValueError, match=f'{count}'):
      datasets.sampled(whole(), count, 5)


ROWS = [7, 0, 41]
FORMS = {
    'rows.json': '[7, 0, 41]', 'rows.txt': '7\n0\n\n# the last one\n41  # x\n',
    'spaces.txt': '7 0, 41', 'rows': '\ufeff7\n0\n41\n',
    'plain.csv': '7\n0\n41\n', 'line.csv': '7,0,41\n',
    'table.csv': 'score,row\n0.5,7\n0.1,0\n0.9,41\n',
    'upper.CSV': 'Row\n7\n0\n41\n'}


@pytest.mark.parametrize('name', FORMS)
def test_rows_are_read_from_files(tmp_path, name):
  path = tmp_path / name
  path.write_text(FORMS[name], encoding='utf-8')
  for spec in (path, str(path)):
    assert datasets.read_rows(spec, whole()).tolist() == ROWS


@pytest.mark.parametrize('dtype', [np.int64, np.uint8, np.int32])
def test_rows_are_read_from_arrays(tmp_path, dtype):
  np.save(tmp_path / 'rows.npy', np.array(ROWS, dtype))
  for spec in (tmp_path / 'rows.npy', np.array(ROWS, dtype), ROWS, tuple(ROWS),
               list(np.array(ROWS, dtype)), (x for x in ROWS)):
    assert datasets.read_rows(spec, whole()).tolist() == ROWS


@pytest.mark.parametrize('spec, want', [
    ('class=bee', 1), ('class=1', 1), ('class=0', 0)])
def test_a_class_is_all_its_training_examples(spec, want):
  assert datasets.read_rows(spec, whole()).tolist() == [*range(want, 60, 3)]
  rows = datasets.read_rows(spec, REDUCED)
  assert (rows % 3 == want).all()
  assert len(rows) == (REDUCED.dataset.label[REDUCED.train] == want).sum()


def test_where_names_are_numbers_a_class_is_its_name():
  source = whole(('1', '2', '3'))
  assert datasets.read_rows('class=1', source).tolist() == [*range(0, 60, 3)]
  assert 'There is no class 0' in str(refused('class=0', source))


@pytest.mark.parametrize('spec', ['class=dog', 'class=3', 'class=', 'class=-1'])
def test_a_class_that_is_not_there_is_refused(spec):
  error = refused(spec)
  assert error.value == spec[6:] and 'ant, bee, cat' in str(error)


def test_a_class_without_training_examples_is_refused():
  source = whole(classes=tuple('abcd'))
  source.dataset.label[source.dataset.label == 3] = 0
  assert 'No training example is of class d' in str(refused('class=d', source))


NAMED = ['ant/7.png', 'cat/1x.png', 'bee/0.png']


@pytest.mark.parametrize('prefix', ['', 'train/'])
@pytest.mark.parametrize('suffix', ['json', 'txt', 'csv', 'npy'])
def test_names_of_files_are_rows(tmp_path, prefix, suffix):
  source, path = with_files(prefix), tmp_path / f'rows.{suffix}'
  names = [f'{prefix}ant/7.png', *NAMED[1:]]
  if suffix == 'json':
    path.write_text(json.dumps(names))
  elif suffix == 'npy':
    np.save(path, names)
  else:
    path.write_text('\n'.join(['file'] * (suffix == 'csv') + names))
  for spec in (path, names, [f'./{x}' for x in names],
               [x.replace('/', '\\') for x in names]):
    assert datasets.read_rows(spec, source).tolist() == [7, 41, 20]
  assert datasets.read_rows(['cat/1x.png', '2x.png'], source).tolist() == [
      41, 42]


def test_whole_paths_are_names_if_they_name_the_folder():
  source = with_files('train/')
  path = '/home/me/mine/train/cat/1x.png'
  assert datasets.read_rows([path], source).tolist() == [41]
  assert datasets.read_rows(['mine/train/ant/3.png'], source).tolist() == [3]
  for other in ('/home/me/mine/test/cat/1x.png', '/home/me/mine/1x.png',
                '/home/me/other/train/cat/1x.png', '/mine/mine/test/1x.png'):
    with pytest.raises(datasets.DataError, match='no training image') as caught:
      datasets.read_rows([path, other], source)
    assert caught.value.value == other


def test_names_may_hold_blanks_and_signs(tmp_path):
  source = whole(files=('ant/my cat, 1.png', 'ant/a #2.png', *map(
      str, range(58))))
  (tmp_path / 'rows.txt').write_text('ant/my cat, 1.png\nant/a #2.png\n')
  assert datasets.read_rows(tmp_path / 'rows.txt', source).tolist() == [0, 1]


@pytest.mark.parametrize('name, message', [
    ('dog/1.png', 'no training image has this name; .* ant/0.png'),
    ('test/ant/7.png', 'no training image'),
    ('7.png', '2 files have this name'),
    ('', 'no training image')])
def test_a_name_of_no_file_or_of_several_is_refused(name, message):
  with pytest.raises(datasets.DataError, match=message) as caught:
    datasets.read_rows(['ant/3.png', name], with_files())
  assert caught.value.value == name


def test_names_where_there_are_no_files_are_refused():
  assert refused(['ant/1.png']).value == 'ant/1.png'
  assert 'found both' in str(refused(['ant/1.png', 3], with_files()))


@pytest.mark.parametrize('mask', [
    np.arange(60) < 5, (np.arange(60) < 5).tolist(), (np.arange(72) < 5) * 1,
    (np.arange(60) < 5).astype(np.uint8).tolist(), [True, False],
    (np.arange(60) < 5).astype(float)])
def test_a_mask_is_refused(mask, tmp_path):
  assert 'flatnonzero' in str(refused(mask)) or 'whole numb' in str(
      refused(mask))
  np.save(tmp_path / 'rows.npy', np.asarray(mask))
  assert f'mask of {len(mask)}' in str(refused(tmp_path / 'rows.npy'))


def test_a_mask_is_known_by_the_size_before_parts_were_set_apart():
  for count in (60, REDUCED.num_train, len(REDUCED.row)):
    assert 'mask' in str(refused(np.arange(count) % 2, REDUCED))


@pytest.mark.parametrize('values, value', [
    ([3, 4, 3, 3], 3), ([], 0), ([*range(60)], 60), ([1, 2.5], 2.5),
    ([1, None], None), ([[1, 2]], [1, 2]), ([True, 3], True), (5, 5), ({}, {}),
    (np.zeros((2, 2), int), (2, 2)), (np.array([1.0, 2.0]), 1.0),
    (np.array([]), 0), ([10**30], None)])
def test_lists_that_are_none_are_refused_with_the_value(values, value):
  assert refused(values).value == value or value is None


def test_a_row_that_is_there_twice_is_counted():
  assert 'Row 3 occurs 3 times' in str(refused([3, 4, 3, 3]))


@pytest.mark.parametrize('name, contents, message', [
    ('x.json', '{"a": 1}', 'JSON list, found dict'),
    ('x.json', '[1', 'be JSON'),
    ('x.json', '[1, "2x"]', 'found both'), ('x.csv', '1,2\n3,4', '2 columns'),
    ('x.csv', '', 'empty'), ('x.txt', '# none', 'empty'),
    ('x.json', '[]', 'empty'),
    ('x.csv', 'score,row\n0.5,3\n0.1\n', 'an empty one'),
    ('x.txt', '1\n3.5\n', 'both'), ('x.txt', '3.5\n', "found '3.5'"),
    ('x.npy', 'no array', 'np.save'), ('x.txt', b'\xff\xfe\xfa', 'UTF-8'),
    ('x.json', 'null', 'found NoneType'), ('x.txt', '-1', 'Row -1 does not')])
def test_a_file_that_is_wrong_is_named(tmp_path, name, contents, message):
  path: pathlib.Path = tmp_path / name
  if isinstance(contents, bytes):
    path.write_bytes(contents)
  else:
    path.write_text(contents)
  error = refused(path, name='forget')
  assert str(error).startswith(f'forget={path}: ') and message in str(error)


def test_arrays_of_another_kind_are_refused(tmp_path):
  np.savez(tmp_path / 'x.npz', rows=[1])
  assert 'np.savez' in str(refused(tmp_path / 'x.npz'))
  np.save(tmp_path / 'x.npy', np.array([{}], object), allow_pickle=True)
  assert 'allow_pickle=False' in str(refused(tmp_path / 'x.npy'))
  for read, name in ((datasets.read_rows, 'rows'),
                     (datasets.read_groups, 'groups')):
    with pytest.raises(OSError, match=f'Cannot read {name}=.*nowhere.txt'):
      read(tmp_path / 'nowhere.txt', whole())


def groups_file(tmp_path, groups):
  path = tmp_path / 'groups.json'
  path.write_text(json.dumps(groups))
  return path


def test_groups_are_published_rows_too(tmp_path):
  kept = REDUCED.row[:REDUCED.num_train].tolist()
  path = groups_file(tmp_path, {
      'high': kept[:2], 'low': kept[5:3:-1], 'medium': kept[8:9]})
  low, medium, high = datasets.read_groups(path, REDUCED)
  assert [low.tolist(), medium.tolist(), high.tolist()] == [
      kept[5:3:-1], kept[8:9], kept[:2]]


@pytest.mark.parametrize('groups, message', [
    ({'low': [1], 'medium': [2]}, 'low, medium, high'), ([1], 'found list'),
    ({'low': [1], 'medium': [2], 'high': [3], 'x': [4]}, "'x'"),
    ({'low': [1], 'medium': [], 'high': [3]}, 'medium: .* empty'),
    ({'low': [1], 'medium': [2], 'high': [1]}, 'Row 1 occurs 2 times'),
    ({'low': [1], 'medium': [99], 'high': [3]},
     'medium: Row 99 does not exist'),
    ({'low': [1], 'medium': 'class', 'high': [3]}, "medium: .* found 'class'"),
    ({'low': [1], 'medium': [1.5], 'high': [3]}, 'medium: .* found 1.5'),
    ({'low': [1], 'medium': 7, 'high': [3]}, 'medium: .* found 7'),
    ({'low': [*range(20)], 'medium': [*range(20, 40)],
      'high': [*range(40, 60)]}, 'all 60 training')])
def test_groups_that_cannot_be_forgotten_are_refused(
    tmp_path, groups, message):
  path = groups_file(tmp_path, groups)
  with pytest.raises(datasets.DataError, match=f'groups={path}.*{message}'
                     ) as caught:
    datasets.read_groups(path, whole())
  assert caught.value.name == 'groups'


def test_what_is_forgotten_is_described():
  found = datasets.describe_rows([7, 1, 0, 4, 10, 13, 16], whole())
  assert found.count == 7 and found.of == 60 and found.first == (7, 1, 0, 4, 10)
  assert found.classes == (('ant', 1, 20), ('bee', 6, 20))
  assert found.whole == () and found.files == ()
  assert str(found) == (
      '7 of 60 training examples; rows 7, 1, 0, 4, 10 …; classes: ant 1 of 20, '
      'bee 6 of 20.')
  files = datasets.describe_rows([7, 41], with_files())
  assert files.files == ('ant/7.png', 'cat/1x.png')
  assert '; files: ant/7.png, cat/1x.png.' in str(files)


def test_a_whole_class_is_described_as_one():
  rows = datasets.read_rows('class=bee', REDUCED)
  found = datasets.describe_rows(rows, REDUCED)
  assert found.whole == ('bee',)
  assert datasets.describe_rows(rows[:-1], REDUCED).whole == ()
  with pytest.raises(datasets.DataError, match='Row 60'):
    datasets.describe_rows([60], whole())
