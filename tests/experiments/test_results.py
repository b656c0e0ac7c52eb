"""What stands on disk is not drawn again; what does not is."""

import os

from experiments import results
from rum_jax import files


def test_a_report_stands_while_it_was_drawn_from_these_results(tmp_path):
  found = {'rows': [{'tow': float('nan')}]}
  assert not results.stands(tmp_path, found)
  files.write_json(tmp_path / 'results.json', found)
  assert not results.stands(tmp_path, found)  # It was killed before it drew.
  (tmp_path / 'report.html').write_text('')
  assert not results.stands(tmp_path, found)  # Its figures are missing.
  (tmp_path / 'figures.npz').write_bytes(b'')
  (tmp_path / 'report.html').write_text('')
  assert results.stands(tmp_path, found)
  assert not results.stands(tmp_path, {'rows': []})
  os.utime(tmp_path / 'report.html', (1, 1))  # Drawn from what was before.
  assert not results.stands(tmp_path, found)
