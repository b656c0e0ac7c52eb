"""The README's example and the notebooks run as they are written."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

from experiments import readme

ROOT = pathlib.Path(__file__).parents[1]

pytestmark = pytest.mark.slow


def test_readme_example_runs(capsys):
  text = (ROOT / 'README.md').read_text()
  block = re.search(r'<!-- example -->\n```python\n(.*?)```', text, re.S)[1]
  statements = [x for x in block.splitlines() if x.strip()]
  assert len(statements) <= 30
  exec(compile(block, 'README.md', 'exec'), {})
  lines = capsys.readouterr().out.splitlines()
  assert [x.split()[0] for x in lines] == ['unlearned', 'oracle', 'ToW']
  figures = [[float(y) for y in re.findall(r'[\d.]+', x)] for x in lines]
  assert [len(x) for x in figures] == [3, 3, 1]
  assert all(0.8 < y <= 1 for x in figures for y in x)


@pytest.mark.parametrize(
    'path', sorted((ROOT / 'colabs').glob('*.ipynb')), ids=lambda p: p.name)
def test_notebook_runs(path, capsys):
  cells = json.loads(path.read_text())['cells']
  code = [''.join(c['source']) for c in cells if c['cell_type'] == 'code']
  assert all(not c['outputs'] for c in cells if c['cell_type'] == 'code')
  space = {}
  for cell in code:
    if not cell.startswith('%'):
      exec(compile(cell, path.name, 'exec'), space)
  tow = dict(re.findall(r'^(.+?) +ToW ([\d.]+)', capsys.readouterr().out, re.M))
  assert float(tow['RUM']) > float(tow['do nothing'])


def test_readme_method_keeps_the_contract():
  text = (ROOT / 'README.md').read_text()
  own, check = (
      re.search(rf'<!-- {name} -->\n```python\n(.*?)```', text, re.S)[1]
      for name in ('own', 'check'))
  assert len([x for x in own.splitlines() if x.strip()]) <= 30
  exec(compile(own + check, 'README.md', 'exec'), {})


NUMPY = """
import jax
import numpy as np
import rum_jax
from rum_jax import entanglement, evaluation, losses, models, refinement
from rum_jax.entanglement import partitions, separation

x = np.zeros((10, 3), np.float32)
groups = np.arange(9).reshape(3, 3)
split, = refinement.stages((groups[0],), 10)
entanglement.entanglement_scores(x, groups)
separation.squared_mmd(x, rum_jax.Split(groups[0], groups[1]), gamma=x[0, 0])
partitions.by_measured_score(x, groups)
losses.cross_entropy(x, np.zeros(10, int))
evaluation.tug_of_war(x[0], 0.1, x[1])
images = rum_jax.Images(np.zeros((10, 8, 8, 1), np.uint8), groups[0])
model = models.from_linen(models.MLP(10), (8, 8, 1), mean=x[0], std=x[1])
train = rum_jax.retrain(model, rum_jax.sgd(0.1), epochs=1)
variables, info = train(jax.random.key(0), None, images, split)
print(info.loss)
unlearn = rum_jax.sequential(rum_jax.identity())
_, infos = unlearn(jax.random.key(1), variables, images, (split,))
print(infos[0].loss)
"""


def test_readme_examples_and_numpy_pass_the_type_checker(tmp_path):
  text = (ROOT / 'README.md').read_text()
  blocks = re.findall(
      r'<!-- (?:example|own|check) -->\n```python\n(.*?)```', text, re.S)
  assert len(blocks) == 3
  path = tmp_path / 'examples.py'
  path.write_text('\n'.join([*blocks, NUMPY]))
  done = subprocess.run(
      [sys.executable, '-m', 'pyrefly', 'check', str(path),
       '--config', str(ROOT / 'pyproject.toml'), '--search-path', str(ROOT),
       '--python-interpreter-path', sys.executable],
      capture_output=True, text=True)
  assert done.returncode == 0, done.stdout + done.stderr


def test_no_comparison_of_results_is_typed_by_hand():
  for name in readme.PAGES:
    text = (ROOT / name).read_text()
    typed = re.sub(r'<!-- ([\w:]+) -->\n.*?<!-- /\1 -->', '', text, flags=re.S)
    claims = re.findall(
        r'.*(?:highest ToW|the best row|shown to be (?:above|better)|'
        r'rows are (?:above|better|not)|the medians are ahead).*', typed)
    assert not claims, (name, claims)


def test_pages_show_what_the_results_hold():
  pages = [(ROOT / name).read_text() for name in readme.PAGES]
  assert [readme.filled(page) for page in pages] == pages
  for name in readme.COMMANDS:
    assert (ROOT / 'results' / f'{name}.json').exists()
  assert not [x for page in pages for x in re.findall(
      r'<!-- ([\w:]+) -->\s*<!-- /\1 -->', page)]
  for path in (ROOT / 'results').glob('*.json'):
    kind, _, rest = path.stem.partition('_')
    block = (kind if kind == 'speed' else
             f'{kind}:{rest}' if kind in readme.OTHERS else
             f'results:{path.stem}')
    assert any(f'<!-- {block} -->' in page for page in pages), block
