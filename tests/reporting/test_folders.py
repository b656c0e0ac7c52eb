"""A folder becomes a page, whatever command left its files there."""

from __future__ import annotations

import json
import pathlib
import re
import shutil

import numpy as np
import pytest

from rum_jax import audits, records
from rum_jax.reporting import folders
from tests.audits.simulated import REQUEST, World
from tests.reporting.pages import Page

ROOT = pathlib.Path(__file__).parents[2]
KEPT = {
    'results.json': 'results/digits_mlp.json',
    'difficulty.json': 'results/difficulty_digits_mlp.json',
    'sensitivity.json': 'results/sensitivity_digits_mlp.json',
    'entanglement.json': 'results/entanglement_digits_mlp.json',
    'memorization.json': 'results/memorization_cifar10_5000_mlp.json',
    'proxies.json': 'results/proxies_digits_mlp.json',
    'mine.json': 'rum_jax/recipes/digits_mlp.json'}


def text_of(root: pathlib.Path) -> str:
  text = folders.page_of(root)
  Page(text)
  plain = re.sub('<style>.*?</style>|<script>.*?</script>|<[^>]*>', ' ', text,
                 flags=re.DOTALL)
  assert not re.search(r'\bnan\b|\binf\b|None', plain)
  return text


@pytest.mark.parametrize('name', KEPT)
def test_every_file_becomes_a_page(tmp_path, name):
  shutil.copy(ROOT / KEPT[name], tmp_path / name)
  text = text_of(tmp_path)
  assert '<table' in text and '<h2>' in text


def test_all_files_of_a_folder_stand_on_one_page(tmp_path):
  for name in ('memorization.json', 'proxies.json', 'mine.json'):
    shutil.copy(ROOT / KEPT[name], tmp_path / name)
  (tmp_path / 'recipe.json').write_text('{}')
  heads = re.findall('<h2>(.*?)</h2>', text_of(tmp_path))
  assert [x.split()[0] for x in heads] == ['Memorization', 'Proxies', 'Tuned']


def test_results_of_one_group_make_a_page(tmp_path):
  value = json.loads((ROOT / KEPT['results.json']).read_text())
  for part in (value, value['oracle'], *value['rows']):
    part['groups'] = {'forget': part['groups']['low']}
  (tmp_path / 'results.json').write_text(json.dumps(value))
  text = text_of(tmp_path)
  assert 'by refinement: ' not in text
  assert re.findall('<h2>(.*?)</h2>', text)[-1] == 'What the words mean'


def test_evidence_comes_before_all_others(tmp_path):
  world = World(forget=20, held_out=50)
  found = audits.assemble(
      REQUEST, world.observed(1, 3.0), world.observed(1))
  written = json.dumps(records.as_json(found)).replace('NaN', 'null')
  (tmp_path / 'evidence.json').write_text(written)
  shutil.copy(ROOT / KEPT['results.json'], tmp_path / 'results.json')
  text = text_of(tmp_path)
  assert 'shows of 20 forgotten rows' in text and '<svg' in text


def test_what_is_missing_or_no_file_of_ours_is_named(tmp_path):
  (tmp_path / 'mine.json').write_text('[1]')
  with pytest.raises(OSError, match='evidence.json, results.json'):
    folders.page_of(tmp_path)
  (tmp_path / 'proxies.json').write_text('{}')
  with pytest.raises(ValueError, match='proxies.json'):
    folders.page_of(tmp_path)
  shutil.copy(ROOT / KEPT['results.json'], tmp_path / 'results.json')
  np.savez(tmp_path / 'figures.npz', score=np.zeros(3))
  with pytest.raises(ValueError, match='figures.npz'):
    folders.page_of(tmp_path)
