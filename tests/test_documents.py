"""The README, the documentation and a notebook run as they are written."""

import functools
import json
import pathlib
import re
import subprocess
import sys
import types

import jax
import pytest
from safetensors import numpy as safetensors

from docs import pictures
from experiments import readme
from rum_jax import models
from tests import notebooks

ROOT = pathlib.Path(__file__).parents[1]
DOCS = [name for name in readme.PAGES if name.startswith('docs/')]
# Modules that guides import and the tests do not have.
TORCH = ('torch', 'safetensors.torch')

pytestmark = pytest.mark.slow


def blocks(name: str, language: str = 'python') -> list[str]:
  """The fenced blocks of a page."""
  text = (ROOT / name).read_text()
  return re.findall(rf'```{language}\n(.*?)```', text, re.S)


def shell(name: str) -> list[str]:
  """The commands of a page: indented lines, joined where they go on."""
  text = re.sub(r'```.*?```', '', (ROOT / name).read_text(), flags=re.S)
  lines = re.findall(r'^    (\S.*(?:\\\n.*)*)', text, re.M)
  return [re.sub(r'\\\n\s*', '', x).split('  #')[0].strip() for x in lines]


@functools.cache
def torch_stand_ins() -> dict[str, types.ModuleType]:
  """Modules that hand over arrays as PyTorch hands over tensors."""
  class Tensor:
    def contiguous(self):
      return self

  torch, files = (types.ModuleType(name) for name in TORCH)
  torch.Tensor = Tensor  # Others look for it.
  torch.load = lambda path, *, map_location, weights_only: {
      'state_dict': {'fc.weight': Tensor()}}
  files.save_file = lambda state, path: pathlib.Path(path).write_text(
      ','.join(state))
  return dict(zip(TORCH, (torch, files)))


def ran(name: str, monkeypatch, tmp_path, space: dict | None = None) -> dict:
  """Runs the blocks of a page in one namespace, in a folder of its own."""
  monkeypatch.chdir(tmp_path)
  if any('import torch' in x for x in blocks(name)):
    for module, stand_in in torch_stand_ins().items():
      monkeypatch.setitem(sys.modules, module, stand_in)
  (tmp_path / 'results').symlink_to(ROOT / 'results')
  space = {} if space is None else space
  for block in blocks(name):
    exec(compile(block, name, 'exec'), space)
  return space


@pytest.mark.parametrize('name', [x for x in DOCS if blocks(x)])
def test_blocks_of_the_documentation_run(name, monkeypatch, tmp_path):
  ran(name, monkeypatch, tmp_path)


def test_readme_runs(monkeypatch, tmp_path, capsys):
  text = (ROOT / 'README.md').read_text()
  assert len(text.split()) <= 900
  example, mine = blocks('README.md')
  statements = [x for x in example.splitlines() if x.strip()]
  assert len(statements) <= 25
  network = models.ResNet(10, (1, 1), (4, 8))
  model = models.from_linen(network, (8, 8, 1))
  state = models.to_torch(
      model.init(jax.random.key(0)), model, network.torch_names())
  safetensors.save_file(state, tmp_path / 'model.safetensors')
  ran('README.md', monkeypatch, tmp_path)
  lines = capsys.readouterr().out.splitlines()
  figures = {name: [float(x) for x in rest] for name, *rest in (
      line.split() for line in lines)}
  assert list(figures) == ['original', 'unlearned', 'oracle']
  forget = {name: x[0] for name, x in figures.items()}
  assert forget['original'] > 0.9 > 0.2 > forget['unlearned']
  assert forget['oracle'] < 0.1
  assert all(x > 0.9 for row in figures.values() for x in row[1:])
  forgotten = safetensors.load_file(tmp_path / 'forgotten.safetensors')
  assert {x: y.shape for x, y in forgotten.items()} == {
      x: y.shape for x, y in state.items()}


def test_method_of_the_guide_keeps_the_contract():
  space = {}
  own, *_ = blocks('docs/guides/method.md')
  exec(compile(own, 'method.md', 'exec'), space)
  from rum_jax import testing
  testing.check_unlearner(lambda model, tx, epochs=2: space['flatten'](
      model, tx, epochs=epochs, batch_size=4))


def test_links_lead_somewhere():
  for name in readme.PAGES:
    page = ROOT / name
    text = re.sub(r'```.*?```', '', page.read_text(), flags=re.S)
    for link in re.findall(r'\]\(([^)#\s]+)', text):
      made = link.startswith('notebooks/')  # By the build.
      if not made and '://' not in link:
        assert (page.parent / link).exists(), f'{name}: {link}'


@pytest.mark.parametrize('name', [x for x in readme.PAGES if shell(x)])
def test_flags_of_commands_exist(name):
  from rum_jax.commands import _flags, _main
  for line in shell(name):
    words = line.split()
    flags = {x[2:].split('=')[0] for x in words if x.startswith('--')}
    if words[0] == 'rum-jax':
      known = _flags.Flags()
      _main.command_of(words[1]).define(known)
      assert flags <= {*known._values}, line
    elif 'experiments' in line and '-m' in words:
      module = words[words.index('-m') + 1].replace('.', '/')
      source = (ROOT / f'{module}.py').read_text()
      source += (ROOT / 'rum_jax/commands/app.py').read_text()
      source += (ROOT / 'rum_jax/recipes/__init__.py').read_text()
      missing = [x for x in flags - {'flagfile', 'help'} if not re.search(
          rf"'{x}'|^  {x}:", source, re.M)]
      assert not missing, (line, missing)


def test_a_notebook_runs(tmp_path, capsys):
  """The longest; `make notebooks` runs the others, too."""
  notebooks.run(ROOT / 'colabs' / 'compare_methods.ipynb', tmp_path)
  tow = dict(re.findall(r'^(.+?) +ToW ([\d.]+)', capsys.readouterr().out, re.M))
  assert float(tow['RUM']) > float(tow['do nothing'])


def test_notebooks_can_be_opened_in_colab():
  index = (ROOT / 'colabs' / 'index.md').read_text()
  for path in notebooks.ALL:
    content = json.loads(path.read_text())
    cells = [''.join(x['source']) for x in content['cells']]
    assert f'/colabs/{path.name})' in cells[0], path.name  # The badge.
    assert 'google.colab' in cells[1] and path.stem in index, path.name


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


def test_examples_and_numpy_pass_the_type_checker(tmp_path):
  pages = {'readme': blocks('README.md'), 'numpy': [NUMPY]}
  pages |= {pathlib.Path(name).stem: blocks(name) for name in DOCS}
  for name, code in pages.items():
    if code and 'import torch' not in '\n'.join(code):
      (tmp_path / f'{name}.py').write_text('\n'.join(code))
  done = subprocess.run(
      [sys.executable, '-m', 'pyrefly', 'check', *map(
          str, sorted(tmp_path.glob('*.py'))),
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
    block = (kind if kind in ('auto', 'speed') else
             f'{kind}:{rest}' if kind in readme.OTHERS else
             f'results:{path.stem}')
    assert any(f'<!-- {block} -->' in page for page in pages), block


def test_pictures_of_the_pages_are_drawn_from_the_results():
  for name, svg in pictures.drawn().items():
    assert (ROOT / 'docs' / 'pictures' / name).read_text() == svg, name
