"""Exact copies of images within and between the parts of a data set."""

from __future__ import annotations

import numpy as np
import pytest

from rum_jax import datasets

RNG = np.random.default_rng(0)


def source_of(train, test=(), train_label=None, name='mine'
              ) -> datasets.Source:
  """Images by the number of their picture; equal numbers are copies."""
  pictures = np.random.default_rng(1).integers(
      0, 256, (100, 3, 2, 1), dtype=np.uint8)
  label = np.arange(len(train)) % 2 if train_label is None else train_label
  parts = [datasets.from_arrays(pictures[list(train)], label, name, ('a', 'b'))]
  if len(test):
    parts.append(datasets.from_arrays(
        pictures[list(test)], np.arange(len(test)) % 2, name, ('a', 'b')))
  return datasets.joined(*parts) if len(parts) > 1 else parts[0]


def by_part(found):
  return {x.part: (x.rows.tolist(), x.copies.tolist()) for x in found}


@pytest.mark.parametrize('dtype', [np.uint8, np.float32, bool])
def test_ids_are_equal_where_images_are(dtype):
  image = RNG.integers(0, 2, (200, 2, 2, 1)).astype(dtype)
  ids = datasets.pixel_ids(image)
  same = (image[:, None] == image[None]).all((2, 3, 4))
  np.testing.assert_array_equal(ids[:, None] == ids[None], same)
  assert ids[0] == 0 and set(ids) == set(range(ids.max() + 1))
  np.testing.assert_array_equal(
      datasets.pixel_ids(np.asfortranarray(image)), ids)
  one = np.zeros((2, 3, 3, 1), np.uint8)
  one[1, 2, 2] = 1
  assert datasets.pixel_ids(one).tolist() == [0, 1]


def test_copies_are_found_in_retain_and_test():
  source = source_of([0, 1, 2, 0, 1, 0, 5], [7, 1, 8, 1])
  found = datasets.exact_copies([0, 1, 3, 6], source)
  assert by_part(found) == {
      'retain': ([0, 1, 3], [4, 5]), 'test': ([1], [1, 3])}
  alone = datasets.exact_copies([2, 6], source)
  assert by_part(alone) == {'retain': ([], []), 'test': ([], [])}
  assert [datasets.describe_copies(x) for x in alone] == ['', '']


def test_copies_of_rows_to_forget_among_themselves_are_none():
  source = source_of([0, 0, 0, 3, 4])
  assert by_part(datasets.exact_copies([0, 1, 2], source)) == {
      'retain': ([], [])}


def test_copies_in_parts_that_are_set_apart():
  whole = source_of([*range(20), *range(20)], [30, 3])
  reduced = datasets.sampled(datasets.leave_out(whole, 0.25, 0), 20, 1)
  kept = reduced.row[:reduced.num_train]
  parts = {'retain': kept, **dict(reduced.apart)}
  rows = kept[:9]
  found = by_part(datasets.exact_copies(rows, reduced, whole))
  assert list(found) == ['retain', 'validation', 'sample', 'test']
  for part, members in parts.items():
    others = set(members.tolist()) - set(rows.tolist())
    copies = {x for x in others if x % 20 in set((rows % 20).tolist())}
    assert found[part][1] == sorted(copies)
    assert found[part][0] == sorted(
        x for x in rows.tolist() if x % 20 in {y % 20 for y in others})
  assert sum(len(x[1]) for x in found.values()) > 0
  assert found['test'] == (sorted(
      x for x in rows.tolist() if x % 20 == 3), [1] * (3 in rows % 20))


def test_a_held_out_part_has_the_name_that_it_was_set_apart_by():
  whole = source_of([*range(20), *range(20)], [30, 3])
  held = datasets.hold_out(whole, 0.25, 0)
  rows = held.row[:9]
  assert list(by_part(datasets.exact_copies(rows, held))) == [
      'retain', 'validation']
  assert list(by_part(datasets.exact_copies(rows, held, whole))) == [
      'retain', 'validation', 'test']


def test_copies_with_another_label_are_counted():
  source = source_of([0, 0, 0, 4], train_label=np.array([0, 1, 0, 1]))
  found = datasets.exact_copies([0], source)[0]
  assert found.copies.tolist() == [1, 2] and found.other_label == 1
  assert '1 of them with another label' in datasets.describe_copies(found)


def test_what_is_found_is_said_with_counts_and_rows():
  source = source_of([*range(10)] * 4, [50, 3])
  retain, test = datasets.exact_copies([*range(10)], source)
  said = datasets.describe_copies(retain)
  assert '10 of the rows to forget (0, 1, 2, 3, 4 …)' in said
  assert '30 exact copies' in said and '(10, 11, 12, 13, 14 …)' in said
  assert 'cannot be seen' in said
  assert datasets.describe_copies(test) == (
      '1 of the rows to forget (3) has 1 exact copy among the examples of the '
      'test part (1).')


def test_with_copies_adds_all_of_them_after_the_rows_given():
  source = source_of([0, 1, 2, 0, 1, 0, 5])
  assert datasets.with_copies([4, 0], source).tolist() == [4, 0, 1, 3, 5]
  assert datasets.with_copies([6, 2], source).tolist() == [6, 2]
  every = datasets.with_copies([4, 0], source)
  assert not len(datasets.exact_copies(every, source)[0].copies)


def test_with_copies_is_in_published_rows():
  whole = source_of([*range(20), *range(20)], [30])
  reduced = datasets.leave_out(whole, 0.25, 0)
  kept = reduced.row[:reduced.num_train].tolist()
  row = next(x for x in kept if x + 20 in kept)
  assert datasets.with_copies([row], reduced).tolist() == [row, row + 20]


def test_what_cannot_be_forgotten_is_refused():
  source = source_of([0, 1, 0, 1])
  with pytest.raises(datasets.DataError, match='all 4 training') as caught:
    datasets.with_copies([0, 1], source)
  assert caught.value.value == 4
  for function in (datasets.with_copies, datasets.exact_copies):
    with pytest.raises(datasets.DataError, match='Row 9 does not exist'):
      function([9], source)
  other = datasets.from_arrays(np.zeros((2, 5, 5, 1)), [0, 1], 'other')
  with pytest.raises(datasets.DataError, match=r'in whole, \(5, 5, 1\)'):
    datasets.exact_copies([0], source, other)


def test_copies_between_training_and_test():
  source = source_of([0, 1, 2, 0], [2, 9, 0, 2])
  found = datasets.part_copies(source)
  assert (found.part, found.rows.tolist(), found.copies.tolist()) == (
      'test', [0, 2, 3], [0, 2, 3])
  assert 'training examples' in datasets.describe_copies(
      found, 'training examples')
  assert not len(datasets.part_copies(source_of([0, 1, 2])).rows)
  held = datasets.hold_out(source_of([*range(20), *range(20)]), 0.25, 0)
  found = datasets.part_copies(held)
  assert found.part == 'validation'
  assert found.copies.tolist() == [
      x for x in sorted(held.row[held.test]) if (x + 20) % 40 in
      held.row[held.train]]
