"""What is left of forgotten rows in the folder of a run."""

from __future__ import annotations

import pathlib

import pytest

from rum_jax import records
from rum_jax.pipeline import leftovers, runs


def test_images_and_weights_are_found_and_nothing_else(tmp_path: pathlib.Path):
  runs.files.write_json(tmp_path / 'recipe.json', records.as_json(runs.Run(
      command='rum', recipe={'dataset': 'digits'}, versions={})))
  for folder in ('originals-1/tree', 'oracles-1/tree', 'proxies/el2n-1/tree',
                 'proxies/loss-1', 'models/00000-1', 'models/.00064.epoch00003',
                 'oracles-1.damaged0'):
    (tmp_path / folder).mkdir(parents=True)
  for name, text in (('report.html', '<svg><image/></svg>'), ('other.html', ''),
                     ('figures.npz', ''), ('memorization.npz', '')):
    (tmp_path / name).write_text(text)
  found = leftovers.of_run(tmp_path)
  assert {x.path.relative_to(tmp_path).as_posix() for x in found} == {
      'originals-1', 'proxies/el2n-1', 'models/.00064.epoch00003',
      'oracles-1.damaged0', 'report.html', 'figures.npz'}
  assert all(x.ours for x in found)
  leftovers.remove(found)
  assert leftovers.of_run(tmp_path) == []
  assert (tmp_path / 'oracles-1').exists()


@pytest.mark.parametrize('command', ['unlearn', 'audit', 'compare'])
def test_decoded_images_are_found_whatever_request_decoded_them(
    tmp_path: pathlib.Path, command):
  run = tmp_path / 'run'
  run.mkdir()
  runs.files.write_json(run / 'recipe.json', records.as_json(runs.Run(
      command=command, versions={}, recipe={
          'weights': str(tmp_path / 'a.safetensors'), 'data_dir': 'data',
          'data': str(tmp_path / 'photos')})))
  (tmp_path / 'photos').mkdir()
  (tmp_path / 'photos.decoded').write_text('')
  found = leftovers.of_run(run)
  assert [(x.path.name, x.ours) for x in found] == [
      ('photos.decoded', True), ('photos', False)]
