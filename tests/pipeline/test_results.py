"""What stands on disk is not drawn again; what does not is."""

import pytest

from rum_jax import evaluation
from rum_jax.evaluation import Summary
from rum_jax.pipeline import results

NONE = Summary(mean=float('nan'), ci95=float('nan'), values=())
OTHER = evaluation.summary([1.0, 2.0])


def test_a_report_stands_while_it_was_drawn_from_these_results(tmp_path):
  found = NONE
  assert not results.stands(tmp_path, found)
  results.write(tmp_path / 'results.json', found)
  (tmp_path / 'figures.npz').write_bytes(b'1')
  (tmp_path / 'report.html').write_text('a')
  assert not results.stands(tmp_path, found)  # It was killed before the mark.
  results.mark(tmp_path)
  assert results.stands(tmp_path, found)
  assert not results.stands(tmp_path, OTHER)


@pytest.mark.parametrize(
    'name', ['results.json', 'figures.npz', 'report.html', '.drawn.json'])
def test_nothing_that_was_altered_stands(tmp_path, name):
  results.write(tmp_path / 'results.json', OTHER)
  (tmp_path / 'figures.npz').write_bytes(b'1')
  (tmp_path / 'report.html').write_text('a')
  results.mark(tmp_path)
  (tmp_path / name).write_bytes(b'\x8d')
  assert not results.stands(tmp_path, OTHER)
  (tmp_path / name).unlink()
  assert not results.stands(tmp_path, OTHER)
