"""Crops and flips against a loop over images, and what is random in them."""

from __future__ import annotations

import jax
from jax import lax
import numpy as np
import pytest

from rum_jax import edits, objectives
from rum_jax.types import Batch, Model, Outputs, Variables


@pytest.fixture
def images() -> np.ndarray:
  rng = np.random.default_rng(0)  # No black pixel: those are the padding's.
  return rng.integers(1, 256, (64, 6, 5, 3), dtype=np.uint8)


def crops(image: np.ndarray, padding: int) -> dict[bytes, tuple[int, int, int]]:
  """All that may come of an image: contents to (top, left, flipped)."""
  h, w, c = image.shape
  padded = np.zeros((h + 2 * padding, w + 2 * padding, c), np.uint8)
  padded[padding:padding + h, padding:padding + w] = image
  found = {}
  for top in range(2 * padding + 1):
    for left in range(2 * padding + 1):
      crop = padded[top:top + h, left:left + w]
      for flip in (0, 1):
        found[(crop[:, ::-1] if flip else crop).tobytes()] = (top, left, flip)
  assert len(found) == 2 * (2 * padding + 1)**2
  return found


def drawn(key, images, padding) -> np.ndarray:
  """`[B, 3]` the (top, left, flipped) of every image."""
  out = np.asarray(edits.crop_and_flip(padding)(key, images))
  assert out.shape == images.shape and out.dtype == images.dtype
  return np.array([crops(x, padding)[y.tobytes()]
                   for x, y in zip(images, out)])


@pytest.mark.parametrize('padding', [0, 1, 2, 4])
def test_every_result_is_a_crop_of_its_own_image(images, padding):
  draws = drawn(jax.random.key(0), images, padding)
  assert set(draws[:, 2]) == {0, 1}
  if padding:
    assert len({tuple(x) for x in draws}) > 8


def test_offsets_and_flips_are_uniform_and_independent(images):
  # 18 cells of (top, left, flip) at padding 1. Chi-square of 17 degrees of
  # freedom at 1e-4: 46.
  keys = jax.random.split(jax.random.key(1), 50)
  draws = np.concatenate([drawn(key, images, 1) for key in keys])
  cells = np.bincount(draws @ [6, 2, 1], minlength=18)
  expected = len(draws) / 18
  assert len(cells) == 18
  assert ((cells - expected)**2 / expected).sum() < 46


def test_the_same_key_gives_the_same_images(images):
  augment = edits.crop_and_flip()
  first, second, other = (
      np.asarray(augment(jax.random.key(k), images)) for k in (0, 0, 1))
  np.testing.assert_array_equal(first, second)
  assert (first != other).any()


def test_jit_scan_and_vmap_are_a_loop(images):
  augment = edits.crop_and_flip()
  keys = jax.random.split(jax.random.key(0), 3)
  loop = np.stack([augment(key, images) for key in keys])
  np.testing.assert_array_equal(jax.jit(augment)(keys[0], images), loop[0])
  np.testing.assert_array_equal(
      jax.jit(jax.vmap(augment))(keys, np.stack([images] * 3)), loop)
  scanned = jax.jit(lambda keys: lax.scan(
      lambda carry, key: (carry, augment(key, images)), 0, keys)[1])
  np.testing.assert_array_equal(scanned(keys), loop)


def test_without_padding_an_image_is_whole(images):
  out = np.asarray(edits.crop_and_flip(0)(jax.random.key(0), images))
  same = (out == images).all((1, 2, 3))
  mirrored = (out == images[:, :, ::-1]).all((1, 2, 3))
  assert (same ^ mirrored).all() and 0 < same.sum() < len(images)


def test_an_objective_sees_augmented_images(images):

  def apply(variables, images, *, train, mask=None):  # A corner is the logits.
    corner = images[:, 0, 0].astype(float) / 255
    return Outputs(corner, corner), variables.stats

  model = Model(lambda key: Variables({}, {}), apply)
  augment, key = edits.crop_and_flip(2), jax.random.key(7)
  label = np.arange(64, dtype=np.int32) % 3

  def loss(image, augment):
    zero = np.zeros(64)
    batch = Batch(image, label, label, zero > 0, zero + 1, 0.0, 0)
    return float(objectives.supervised(model, augment)({}, {}, batch, key)[0])

  by_hand = loss(augment(key, images), None)
  assert loss(images, augment) == by_hand != loss(images, None)


@pytest.mark.parametrize('padding', [-1, 1.5, True])
def test_padding_is_a_whole_number(padding):
  with pytest.raises(ValueError, match=f'padding.*{padding}'):
    edits.crop_and_flip(padding)
