"""The two ways to set validation examples apart draw the same examples."""

from __future__ import annotations

import numpy as np
import pytest

from rum_jax import datasets


def whole(train: int = 300, test: int = 60, classes: int = 3
          ) -> datasets.Source:
  """Images that carry their row; row of a test example: 1,000 and up."""

  def part(first, count):
    rows = np.arange(first, first + count)
    image = np.zeros((count, 1, 1, 2), np.uint8)
    image[:, 0, 0] = np.stack(np.divmod(rows, 256), 1)
    return datasets.from_arrays(
        image, rows % classes, 'whole', tuple('abcdefghij'[:classes])
        )._replace(row=rows)

  return datasets.joined(part(0, train), part(1000, test))


def rows_of(source: datasets.Source, part: np.ndarray) -> list[int]:
  """Rows of a part, by the images; labels and `row` have to agree."""
  image = source.dataset.image[part][:, 0, 0].astype(int)
  rows = image[:, 0] * 256 + image[:, 1]
  np.testing.assert_array_equal(source.row[part], rows)
  np.testing.assert_array_equal(
      source.dataset.label[part], rows % len(source.classes))
  return rows.tolist()


@pytest.mark.parametrize('share', [0.1, 0.37])
@pytest.mark.parametrize('seed', [0, 5])
def test_both_train_on_the_same_examples(share, seed):
  held, left = (f(whole(), share, seed)
                for f in (datasets.hold_out, datasets.leave_out))
  train = rows_of(held, held.train)
  assert train == rows_of(left, left.train) == sorted(train)
  validation = rows_of(held, held.test)
  assert sorted(train + validation) == list(range(300))
  count = np.bincount(np.array(validation) % 3)
  assert count.tolist() == [round(share * 100)] * 3
  assert rows_of(left, left.test) == list(range(1000, 1060))


def test_the_split_of_the_paper():
  source = whole(500, 100, 10)
  held, left = (f(source, 0.1, 0)
                for f in (datasets.hold_out, datasets.leave_out))
  assert [held.num_train, len(held.test), len(left.test)] == [450, 50, 100]
  assert left.num_train == 450


def test_the_draw_is_that_of_the_seed():
  rows = [datasets.leave_out(whole(), 0.1, seed).row.tolist()
          for seed in (0, 0, 1)]
  assert rows[0] == rows[1] != rows[2]


@pytest.mark.parametrize('share, message', [
    (0.0, r'Expected share=0.0 in \(0, 1\]'), (1.5, 'Expected share=1.5'),
    (1.0, 'share=1.0 of 300 examples'), (0.001, 'share=0.001 of 300')])
def test_leave_out_leaves_no_part_empty(share, message):
  with pytest.raises(ValueError, match=message):
    datasets.leave_out(whole(), share, seed=0)


def test_leave_out_wants_a_test_part():
  alone = datasets.from_arrays(
      np.zeros((20, 1, 1, 1)), np.arange(20) % 2, 'alone')
  with pytest.raises(ValueError, match='data set alone to have a test part'):
    datasets.leave_out(alone, 0.1, seed=0)
