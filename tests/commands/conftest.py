"""A small trained network in a file, its data, and `rum-jax` in process."""

from __future__ import annotations

from collections.abc import Callable
import json
import pathlib

import jax
import numpy as np
import pytest

import rum_jax
from rum_jax import models
from rum_jax.commands import _main
from rum_jax.types import Images, Split

CLASSES, SIDE, TRAIN, TEST = 3, 8, 48, 24
ROWS = (3, 5, 8, 11, 17, 20)


def images(rng: np.random.Generator, count: int) -> Images:
  """Noise around a brightness that depends on the class."""
  label = np.arange(count, dtype=np.int32) % CLASSES
  image = rng.integers(0, 120, (count, SIDE, SIDE, 3)) + (
      60 * label.reshape(-1, 1, 1, 1))
  return Images(image.astype(np.uint8), label)


@pytest.fixture(scope='session')
def trained() -> tuple[models.ViT, dict[str, np.ndarray], Images, Images]:
  """A ViT of one block, its tensors by timm's names, and what it learned."""
  rng = np.random.default_rng(0)
  train, test = images(rng, TRAIN), images(rng, TEST)
  module = models.ViT(CLASSES, 4, 64, 1, 1, 16)
  model = models.from_linen(module, (SIDE, SIDE, 3), mean=(0.5,), std=(0.3,))
  split = Split(np.zeros(0, np.int32), np.arange(TRAIN, dtype=np.int32))
  fit = rum_jax.retrain(model, rum_jax.sgd(0.05), epochs=15, batch_size=16)
  variables, _ = jax.jit(fit)(jax.random.key(0), None, train, split)
  state = models.to_torch(variables, model, module.torch_names())
  return module, state, train, test


@pytest.fixture
def place(trained, tmp_path: pathlib.Path, monkeypatch) -> pathlib.Path:
  """A folder to work in: `model.safetensors`, `mine.npz`, `rows.txt`."""
  _, state, train, test = trained
  models.write_safetensors(tmp_path / 'model.safetensors', state)
  np.savez(tmp_path / 'mine.npz', x_train=train.image, y_train=train.label,
           x_test=test.image, y_test=test.label)
  (tmp_path / 'rows.txt').write_text('\n'.join(map(str, ROWS)))
  monkeypatch.chdir(tmp_path)
  return tmp_path


@pytest.fixture
def rum(capsys) -> Callable[..., tuple[int, str, str]]:
  """`(*arguments)` to exit code, output and error output."""

  def run(*arguments: str) -> tuple[int, str, str]:
    code = _main.main(arguments, devices=False)
    return code, *capsys.readouterr()

  return run


FEEDING = ('--mean=0.5', '--std=0.3')
GIVEN = ('--weights=model.safetensors', *FEEDING, '--data=mine.npz',
         '--rows=rows.txt')


def card(path: pathlib.Path) -> dict:
  """The card beside a file of weights."""
  return json.loads(path.with_name(f'{path.name}.card.json').read_text())
