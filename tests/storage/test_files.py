"""Files are written whole, and only by the first process."""

import json

import numpy as np
import pytest

from rum_jax.storage import files, hosts


def test_json_has_no_nan_and_text_is_utf_8(tmp_path):
  files.write_json(tmp_path / 'a.json', {'x': [1.5, float('nan')], 'y': {
      'z': (float('inf'), 'ToW ± 0.1')}})
  assert json.loads((tmp_path / 'a.json').read_text('utf-8')) == {
      'x': [1.5, None], 'y': {'z': [None, 'ToW ± 0.1']}}
  assert [p.name for p in tmp_path.iterdir()] == ['a.json']


def test_arrays_come_back(tmp_path):
  files.write_arrays(tmp_path / 'a.npz', {'x': np.arange(3), 'name': 'digits'})
  with np.load(tmp_path / 'a.npz', allow_pickle=False) as file:
    assert file['x'].tolist() == [0, 1, 2] and str(file['name']) == 'digits'


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
  path = tmp_path / 'a.json'
  files.write_json(path, {'old': 1})
  with pytest.raises(TypeError):
    files.write_json(path, {'new': object()})
  assert json.loads(path.read_text()) == {'old': 1}
  with pytest.raises(OSError):
    files.write_text(tmp_path / 'nowhere' / 'a.txt', 'text')
  assert [p.name for p in tmp_path.iterdir()] == ['a.json']


@pytest.fixture
def full_disk():
  """No file of this process may grow beyond 4 kB, but those already open."""
  resource = pytest.importorskip(
      'resource', reason='Windows cannot limit the size of a file.')
  old = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
  yield
  resource.setrlimit(resource.RLIMIT_FSIZE, old)


@pytest.mark.parametrize('name, write', [
    ('a.txt', lambda path: files.write_text(path, 'text' * 5000)),
    ('a.json', lambda path: files.write_json(path, list(range(5000)))),
    ('a.npz', lambda path: files.write_arrays(path, {
        'x': np.random.default_rng(0).normal(size=5000)}))])
def test_a_full_disk_is_one_line_and_leaves_the_old_file(
    tmp_path, full_disk, name, write):
  path = tmp_path / name
  path.write_text('old')
  with pytest.raises(OSError) as error:
    write(path)
  assert str(error.value) == f'Cannot write {path}: File too large.'
  assert path.read_text() == 'old'
  assert [p.name for p in tmp_path.iterdir()] == [name]


def test_what_a_kill_left_is_written_over(tmp_path):
  (tmp_path / '.a.txt.partial').mkdir()
  (tmp_path / '.a.txt.partial' / 'half').write_text('ha')
  files.write_text(tmp_path / 'a.txt', 'text')
  assert [p.name for p in tmp_path.iterdir()] == ['a.txt']


def test_other_processes_write_nothing(tmp_path, monkeypatch):
  monkeypatch.setattr(hosts, 'first', lambda: False)
  files.write_text(tmp_path / 'a.txt', 'text')
  assert not list(tmp_path.iterdir())
