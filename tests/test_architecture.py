"""Who may import whom, and how large things may grow, read from the source."""

from __future__ import annotations

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FLOORS = {
    'types': 0, 'trees': 0,
    'datasets': 1, 'models': 1, 'plans': 1, 'losses': 1, 'metrics': 1,
    'augmentation': 1, 'checkpoints': 1, 'distances': 1, 'scores': 1,
    'segments': 1, 'search': 1, 'hosts': 1, 'files': 1, 'relabelling': 1,
    'objectives': 1, 'arguments': 0, 'optimizers': 1, 'parallel': 1,
    'training': 2, 'seeds': 2, 'batch_norm': 2, 'gradients': 2, 'modules': 2,
    'fisher': 2, 'runs': 2,
    'algorithms': 3, 'memorization': 3, 'entanglement': 3, 'attacks': 3,
    'audits': 3, 'reliability': 3, 'influence_pairs': 3,
    'published_scores': 3, 'separation': 3, 'transport': 3,
    'learning_events': 3, 'proxies': 3,
    'rum': 4, 'refinement': 4, 'evaluation': 4, 'testing': 4, 'rows': 4,
    'ensembles': 4, 'difficulty': 4, 'sensitivity': 4, 'proxy_report': 4,
    'findings': 4, 'palette': 4, 'plots': 4, 'report_page': 4,
    'report_details': 4, 'reports': 4, 'markdown': 4, 'partitions': 4,
    'entangled_sets': 4, 'observers': 4,
    '__init__': 5}
# What may be imported in one place only; 'rum_jax.models' covers its files.
WALLS = {
    'flax': 'rum_jax.models', 'tensorflow_datasets': 'rum_jax.datasets',
    'sklearn.datasets': 'rum_jax.datasets', 'sklearn.svm': 'rum_jax.attacks',
    'orbax': 'rum_jax.checkpoints', 'matplotlib': 'rum_jax.plots',
    'absl': 'experiments', 'experiments': 'experiments'}
NEVER = ('pickle', 'cPickle', 'dill', 'cloudpickle', 'joblib', 'shelve')
VAGUE = ('utils', 'util', 'common', 'helpers', 'base', 'core', 'misc')


def name_of(path: pathlib.Path) -> str:
  parts = path.relative_to(ROOT).with_suffix('').parts
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


SOURCES = {
    name_of(path): path for package in ('rum_jax', 'experiments')
    for path in sorted((ROOT / package).rglob('*.py'))}
LIBRARY = [name for name in SOURCES if name.split('.')[0] == 'rum_jax']
TREES = {name: ast.parse(path.read_text()) for name, path in SOURCES.items()}


def imports(name: str) -> set[str]:
  """Full names of the modules, ours or not, that a module imports."""
  found = set()
  for node in ast.walk(TREES[name]):
    if isinstance(node, ast.Import):
      found |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f'{name} has a relative import'
      for alias in node.names:
        whole = f'{node.module}.{alias.name}'
        ours = node.module.split('.')[0] in ('rum_jax', 'experiments')
        found.add(whole if whole in SOURCES or not ours else node.module)
  return found


def within(name: str, package: str) -> bool:
  return name == package or name.startswith(f'{package}.')


def floor(name: str) -> int:
  parts = name.split('.')
  assert parts[0] == 'rum_jax'
  part = parts[1] if len(parts) > 1 else '__init__'
  assert part in FLOORS, f'{name} has no floor'
  return FLOORS[part]


@pytest.mark.parametrize('name', LIBRARY)
def test_imports_go_down_and_never_between_siblings_of_floor_3(name):
  for other in (x for x in imports(name) if within(x, 'rum_jax')):
    assert floor(other) <= floor(name), f'{name} imports {other} upwards'
    package = name in ('rum_jax', 'rum_jax.algorithms')
    allowed = (name.endswith('.salun') and other.endswith('.random_label'))
    if floor(name) == floor(other) == 3 and not package:
      assert allowed, f'{name} imports its sibling {other}'
    assert package or not within(other, 'rum_jax.checkpoints'), (
        f'{name} imports {other}, which is for the experiments')


@pytest.mark.parametrize('name', SOURCES)
def test_walls(name):
  for other in imports(name):
    for outside, inside in WALLS.items():
      if within(other, outside):
        assert within(name, inside), f'{name} imports {other}'
    assert other.split('.')[0] not in NEVER, f'{name} imports {other}'
    assert not within('sklearn', other), f'{name} imports all of {other}'


@pytest.mark.parametrize('name', LIBRARY)
def test_library_reads_no_environment_and_no_clock_and_prints_nothing(name):
  assert not imports(name) & {'time', 'datetime', 'logging', 'os.environ'}
  for node in ast.walk(TREES[name]):
    if isinstance(node, ast.Attribute):
      assert node.attr not in ('environ', 'getenv'), f'{name}:{node.lineno}'
    if isinstance(node, ast.Name):
      assert node.id not in ('print', 'input'), f'{name}:{node.lineno}'


@pytest.mark.parametrize('name', SOURCES)
def test_nothing_is_unpickled(name):
  for node in ast.walk(TREES[name]):
    if isinstance(node, ast.keyword) and node.arg == 'allow_pickle':
      assert ast.unparse(node.value) == 'False', f'{name}:{node.value.lineno}'


@pytest.mark.parametrize('name', SOURCES)
def test_no_file_over_250_lines_and_no_function_over_40(name):
  lines = SOURCES[name].read_text().splitlines()
  assert len(lines) <= 250, f'{name} has {len(lines)} lines'
  for node in ast.walk(TREES[name]):
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
      first = node.body[ast.get_docstring(node) is not None:][:1]
      start = first[0].lineno - 1 if first else node.end_lineno
      code = sum(bool(x.strip()) for x in lines[start:node.end_lineno])
      assert code <= 40, f'{name}.{node.name} has {code} lines of code'


def test_experiments_stay_under_a_third_of_the_library():
  size = {'rum_jax': 0, 'experiments': 0}
  for name, path in SOURCES.items():
    size[name.split('.')[0]] += len(path.read_text().splitlines())
  assert 3 * size['experiments'] < size['rum_jax'], size


@pytest.mark.parametrize('name', SOURCES)
def test_names_say_what_is_inside(name):
  assert not set(name.split('.')) & set(VAGUE)
