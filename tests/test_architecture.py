"""Who may import whom, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
import graphlib
import pathlib

import rum_jax

ROOT = pathlib.Path(__file__).parents[1]
# Wing to the wings that it may import. 'root' are the modules that lie in
# rum_jax itself, all but those that have a name here; 'face' is its __init__.
MAY_IMPORT = {
    'root': set(),
    'storage': {'root'},
    'search': {'root', 'evaluation', 'audits'},
    'datasets': {'root', 'storage'},
    'kernels': {'root'},
    'subspaces': {'root'},
    'tasks': {'root'},
    'models': {'root', 'kernels', 'storage', 'tasks'},
    'algorithms': {'root', 'subspaces'},
    'evaluation': {'root'},
    'audits': {'root', 'algorithms', 'evaluation'},
    'entanglement': {'root', 'evaluation'},
    'memorization': {'root', 'storage', 'evaluation'},
    'testing': {'root', 'models'},
    'face': {'root', 'algorithms'},
    'recipes': {'root', 'face', 'models', 'algorithms', 'memorization'},
    'pipeline': {'root', 'face', 'storage', 'search', 'datasets', 'models',
                 'tasks', 'algorithms', 'evaluation', 'audits', 'entanglement',
                 'memorization', 'recipes'},
    'reporting': {'root', 'evaluation', 'audits', 'entanglement',
                  'memorization', 'recipes'},
    'commands': {'root', 'face', 'storage', 'search', 'datasets', 'models',
                 'tasks', 'algorithms', 'evaluation', 'audits', 'entanglement',
                 'memorization', 'recipes', 'pipeline', 'reporting'},
    'experiments': {'root', 'face', 'storage', 'search', 'subspaces',
                    'datasets', 'models',
                    'kernels', 'tasks', 'algorithms', 'evaluation', 'audits',
                    'entanglement', 'memorization', 'recipes', 'pipeline',
                    'reporting', 'commands'}}
# What may be imported in these wings only.
WALLS = {
    'flax': {'models'}, 'tensorflow_datasets': {'datasets'},
    'sklearn.datasets': {'datasets'}, 'sklearn.svm': {'evaluation'},
    'orbax': {'storage'}, 'matplotlib': {'reporting'},
    'absl': {'commands', 'experiments'}}
# These may read the environment and the clock, and print.
MAY_TALK = {'pipeline', 'commands', 'experiments'}
NEVER = ('pickle', 'cPickle', 'dill', 'cloudpickle', 'joblib', 'shelve')
VAGUE = ('utils', 'util', 'common', 'helpers', 'base', 'core', 'misc')


def name_of(path: pathlib.Path) -> str:
  parts = path.relative_to(ROOT).with_suffix('').parts
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


SOURCES = {
    name_of(path): path for package in ('rum_jax', 'experiments')
    for path in sorted((ROOT / package).rglob('*.py'))}
TREES = {name: ast.parse(path.read_text()) for name, path in SOURCES.items()}


def wing_of(name: str) -> str:
  """The wing of a module of ours."""
  first, *rest = name.split('.')
  if first == 'experiments':
    return first
  if rest[:2] == ['models', 'kernels']:
    return 'kernels'
  package = SOURCES.get(f'rum_jax.{rest[0]}') if rest else None
  if package and (package.name == '__init__.py' or rest[0] in MAY_IMPORT):
    return rest[0]
  return 'root' if rest else 'face'


def imports(name: str) -> Iterator[tuple[int, str]]:
  """Line and full name of the modules, ours or not, that a module imports."""
  for node in ast.walk(TREES[name]):
    if isinstance(node, ast.Import):
      for alias in node.names:
        yield node.lineno, alias.name
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f'{name} has a relative import'
      for alias in node.names:
        whole = f'{node.module}.{alias.name}'
        ours = node.module.split('.')[0] in ('rum_jax', 'experiments')
        yield node.lineno, (
            whole if whole in SOURCES or not ours else node.module)


def within(name: str, package: str) -> bool:
  return name == package or name.startswith(f'{package}.')


def test_the_wings_form_a_graph_without_circles():
  assert set().union(*MAY_IMPORT.values()) <= set(MAY_IMPORT)
  tuple(graphlib.TopologicalSorter(MAY_IMPORT).static_order())


def test_every_wing_is_in_the_table():
  assert {wing_of(name) for name in SOURCES} == set(MAY_IMPORT)


def test_wings_import_what_the_table_allows():
  wrong = []
  for name in SOURCES:
    wing = wing_of(name)
    for line, other in imports(name):
      if within(other, 'rum_jax') or within(other, 'experiments'):
        theirs = wing_of(other)
        if theirs != wing and theirs not in MAY_IMPORT[wing]:
          wrong.append(f'{name}:{line} imports {other}: {wing} may not import '
                       f'{theirs}')
  assert not wrong, '\n'.join(wrong)


def test_nobody_imports_an_algorithm_past_its_package():
  """Algorithms are siblings, but for those that are made of another one."""
  wrong = []
  for name in SOURCES:
    for line, other in imports(name):
      if not within(other, 'rum_jax.algorithms.' + other.split('.')[-1]):
        continue
      shared = other.endswith('._fisher') and within(name, 'rum_jax.algorithms')
      made_of = name == 'rum_jax.algorithms.released' or (
          name.split('.')[-1], other.split('.')[-1]) in (
              ('_salun', '_random_label'), ('_cf_k', '_finetune'),
              ('_eu_k', '_retrain'))
      if name != 'rum_jax.algorithms' and not shared and not made_of:
        wrong.append(f'{name}:{line} imports {other}')
  assert not wrong, '\n'.join(wrong)


def test_walls():
  wrong = []
  for name in SOURCES:
    for line, other in imports(name):
      for outside, wings in WALLS.items():
        if within(other, outside) and wing_of(name) not in wings:
          wrong.append(f'{name}:{line} imports {other}')
      if other.split('.')[0] in NEVER:
        wrong.append(f'{name}:{line} imports {other}')
      if within('sklearn', other):
        wrong.append(f'{name}:{line} imports all of {other}')
  assert not wrong, '\n'.join(wrong)


def test_library_reads_no_environment_and_no_clock_and_prints_nothing():
  wrong = []
  for name in SOURCES:
    if wing_of(name) in MAY_TALK:
      continue
    for line, other in imports(name):
      if other in ('time', 'datetime', 'logging', 'os.environ'):
        wrong.append(f'{name}:{line} imports {other}')
    for node in ast.walk(TREES[name]):
      said = getattr(node, 'attr', getattr(node, 'id', None))
      kind = {ast.Attribute: ('environ', 'getenv'),
              ast.Name: ('print', 'input')}.get(type(node), ())
      if said in kind:
        wrong.append(f'{name}:{node.lineno} uses {said}')
  assert not wrong, '\n'.join(wrong)


def test_commands_of_the_console_compute_nothing():
  """They read flags and print; the work is in the pipeline and the library."""
  wrong = []
  for name in SOURCES:
    if wing_of(name) == 'commands' and name.split('.')[-1].startswith('_'):
      wrong += [f'{name}:{line} imports {other}'
                for line, other in imports(name)
                if other.split('.')[0] in ('jax', 'numpy', 'optax', 'scipy')]
  assert not wrong, '\n'.join(wrong)


def test_nothing_is_unpickled():
  wrong = []
  for name in SOURCES:
    for node in ast.walk(TREES[name]):
      if isinstance(node, ast.keyword) and node.arg == 'allow_pickle':
        if ast.unparse(node.value) != 'False':
          wrong.append(f'{name}:{node.value.lineno}')
  assert not wrong, '\n'.join(wrong)


def test_names_say_what_is_inside():
  wrong = [name for name in SOURCES if set(name.split('.')) & set(VAGUE)]
  assert not wrong, '\n'.join(wrong)


def test_every_module_can_be_reached_from_the_package():
  wrong = []
  for name in SOURCES:
    parts = name.split('.')[1:]
    if name.split('.')[0] == 'rum_jax' and not any(
        part.startswith('_') for part in parts):
      found = rum_jax
      for part in parts:
        found = getattr(found, part, None)
      if getattr(found, '__name__', None) != name:
        wrong.append(f'{name} is {found!r}')
  assert not wrong, '\n'.join(wrong)


def test_the_package_alone_loads_nothing_heavy(program):
  loaded = program('''
import sys, rum_jax
rum_jax.memorization.estimate
heavy = ('flax', 'sklearn', 'matplotlib', 'orbax', 'tensorflow_datasets')
print(*(name for name in heavy if name in sys.modules))
''')
  assert loaded.split() == []
