"""What all tests share: quick compilation, order, small models and data."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# Programs of tests run for milliseconds; what takes time is to compile them.
# Processes that tests start inherit this.
os.environ['XLA_FLAGS'] = ' '.join(dict.fromkeys([
    '--xla_backend_optimization_level=0',
    '--xla_cpu_use_fusion_emitters=false',
    '--xla_cpu_parallel_codegen_split_count=1',
    '--xla_cpu_multi_thread_eigen=false',  # As commands have it: same bits.
    *os.environ.get('XLA_FLAGS', '').split()]))
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0')

import hypothesis
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import models, tasks
from rum_jax.types import Images, Model, Outputs, Variables

ROOT = pathlib.Path(__file__).parents[1]

hypothesis.settings.register_profile(
    'repeatable', derandomize=True, deadline=None, database=None,
    max_examples=50)
hypothesis.settings.load_profile('repeatable')


def pytest_configure(config):
  """All processes of a session share one cache of compiled programs."""
  if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
    cache = tempfile.mkdtemp(prefix='rum_jax_tests_')
    config.add_cleanup(lambda: shutil.rmtree(cache, ignore_errors=True))
    os.environ['JAX_COMPILATION_CACHE_DIR'] = cache
    jax.config.update('jax_compilation_cache_dir', cache)


# Files by the seconds that they take, the slowest first, so that workers end
# together; all others take less. `pytest --durations=25` tells.
SLOWEST = (
    'tests/experiments/test_rum.py', 'tests/algorithms/test_contract.py',
    'tests/experiments/test_binaries.py', 'tests/models/test_networks.py',
    'tests/test_jax_switches.py', 'tests/models/test_layers.py',
    'tests/experiments/test_printed_commands.py',
    'tests/experiments/test_memorize.py',
    'tests/experiments/test_sensitivity.py', 'tests/test_documents.py',
    'tests/test_seeds.py', 'tests/test_parallel.py', 'tests/test_low_rank.py',
    'tests/commands/test_unlearn.py', 'tests/audits/test_verdicts.py',
    'tests/commands/test_evidence.py', 'tests/algorithms/test_algebra.py',
    'tests/experiments/test_proxies.py', 'tests/models/test_torch_weights.py',
    'tests/pipeline/test_fitting.py', 'tests/test_cached_layers.py',
    'tests/algorithms/test_fisher.py', 'tests/models/test_nnx_modules.py',
    'tests/test_plans.py', 'tests/test_own_task.py',
    'tests/experiments/test_entangle.py', 'tests/algorithms/test_goldens.py',
    'tests/pipeline/test_own_data.py', 'tests/algorithms/test_released.py',
    'tests/models/kernels/test_blocks.py', 'tests/test_subspaces.py')


def pytest_collection_modifyitems(config, items):
  """Alone, quick tests run first; among workers, the slowest files do."""
  if hasattr(config, 'workerinput'):
    rank = {name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: rank.get(
        item.path.relative_to(ROOT).as_posix(), len(rank)))
  else:
    items.sort(key=lambda item: item.get_closest_marker('slow') is not None)


@pytest.fixture(scope='session')
def program():
  """Runs a program that needs devices of its own; returns what it prints."""
  root = str(ROOT)

  def run(source: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, '-c', source, *arguments], check=True, text=True,
        timeout=240,  # Devices that do not meet wait for ever.
        env={**os.environ, 'JAX_PLATFORMS': 'cpu', 'PYTHONPATH': root},
        stdout=subprocess.PIPE).stdout

  return run


@pytest.fixture
def float64():
  """Runs a test in double precision, where 1e-12 tells a bug from rounding."""
  with jax.enable_x64(True):
    yield


@pytest.fixture
def plain(monkeypatch):
  """The forms for other platforms, which compile sooner than a CPU's own."""
  monkeypatch.setattr(lax, 'platform_dependent',
                      lambda *args, default, **others: default(*args))


@pytest.fixture(scope='session')
def toy() -> Images:
  """24 random images of 8×8 in 3 classes."""
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (24, 8, 8, 1), dtype=np.uint8)
  return Images(image, rng.integers(0, 3, 24).astype(np.int32))


@pytest.fixture(scope='session')
def float32_cnn() -> tuple[Model, Variables]:
  model = models.from_linen(
      models.SmallCNN(3, (4,)), (8, 8, 1), mean=(0.5,), std=(0.25,))
  return model, model.init(jax.random.key(1))


@pytest.fixture
def cnn(float32_cnn) -> tuple[Model, Variables]:
  """A CNN with batch-norm, and its variables in the precision of the test."""
  model, variables = float32_cnn
  return model, jax.tree.map(lambda x: x.astype(float), variables)


@pytest.fixture
def linear() -> tuple[Model, Variables]:
  """`pixels / 255 @ w + b` of 2×1×1 images in two classes: easy by hand."""

  def apply(variables, examples, *, train, key=None, mask=None):
    images = examples.image
    x = images.reshape(len(images), -1).astype(float) / 255
    w, b = variables.params['w'], variables.params['b']
    return Outputs(x @ w + b, x), variables.stats

  params = {'w': jnp.asarray([[1.0, -1.0], [0.5, 2.0]]), 'b': jnp.zeros(2)}
  start = Variables(params, {})
  return Model(lambda key: start, apply, tasks.classification()), start
