"""What stands on disk is not drawn again; what does not is."""

import pytest

from rum_jax.pipeline import results
from rum_jax.storage import files


def test_a_report_stands_while_it_was_drawn_from_these_results(tmp_path):
  found = {'rows': [{'tow': float('nan')}]}
  assert not results.stands(tmp_path, found)
  files.write_json(tmp_path / 'results.json', found)
  (tmp_path / 'figures.npz').write_bytes(b'1')
  (tmp_path / 'report.html').write_text('a')
  assert not results.stands(tmp_path, found)  # It was killed before the mark.
  results.mark(tmp_path)
  assert results.stands(tmp_path, found)
  assert not results.stands(tmp_path, {'rows': []})


@pytest.mark.parametrize(
    'name', ['results.json', 'figures.npz', 'report.html', '.drawn.json'])
def test_nothing_that_was_altered_stands(tmp_path, name):
  files.write_json(tmp_path / 'results.json', {'rows': []})
  (tmp_path / 'figures.npz').write_bytes(b'1')
  (tmp_path / 'report.html').write_text('a')
  results.mark(tmp_path)
  (tmp_path / name).write_bytes(b'\x8d')
  assert not results.stands(tmp_path, {'rows': []})
  (tmp_path / name).unlink()
  assert not results.stands(tmp_path, {'rows': []})
