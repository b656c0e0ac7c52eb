"""Crops and flips against a loop over images, and what is random in them."""

from __future__ import annotations

import jax
from jax import lax
import numpy as np
import pytest

from rum_jax import edits, objectives, tasks
from rum_jax.types import Batch, Images, Model, Outputs, Variables


@pytest.fixture
def images() -> np.ndarray:
  rng = np.random.default_rng(0)  # No black pixel: those are the padding's.
  return rng.integers(1, 256, (64, 6, 5, 3), dtype=np.uint8)


def batch_of(images, epoch=0) -> Batch:
  rows, zero = np.arange(len(images)), np.zeros(len(images))
  return Batch(Images(images, rows % 3), rows, zero > 0, zero + 1, 0.0, epoch)


def edited(edit, key, images, epoch=0):
  """The images that an edit makes of a batch."""
  examples = edit(key, batch_of(images, epoch))
  np.testing.assert_array_equal(examples.label, np.arange(len(images)) % 3)
  return examples.image


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
  out = np.asarray(edited(edits.crop_and_flip(padding), key, images))
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
      np.asarray(edited(augment, jax.random.key(k), images)) for k in (0, 0, 1))
  np.testing.assert_array_equal(first, second)
  assert (first != other).any()


@pytest.mark.parametrize('factory', [
    edits.crop_and_flip, edits.alternating_flip_and_translate])
def test_jit_scan_and_vmap_are_a_loop(images, factory):
  edit = factory()
  augment = lambda key, images: edit(key, batch_of(images)).image
  keys = jax.random.split(jax.random.key(0), 3)
  loop = np.stack([augment(key, images) for key in keys])
  np.testing.assert_array_equal(jax.jit(augment)(keys[0], images), loop[0])
  np.testing.assert_array_equal(
      jax.jit(jax.vmap(augment))(keys, np.stack([images] * 3)), loop)
  scanned = jax.jit(lambda keys: lax.scan(
      lambda carry, key: (carry, augment(key, images)), 0, keys)[1])
  np.testing.assert_array_equal(scanned(keys), loop)


def test_without_padding_an_image_is_whole(images):
  out = np.asarray(edited(edits.crop_and_flip(0), jax.random.key(0), images))
  same = (out == images).all((1, 2, 3))
  mirrored = (out == images[:, :, ::-1]).all((1, 2, 3))
  assert (same ^ mirrored).all() and 0 < same.sum() < len(images)


def test_an_objective_sees_augmented_images(images):

  def apply(variables, examples, *, train, key=None, mask=None):
    corner = examples.image[:, 0, 0].astype(float) / 255  # Is the logits.
    return Outputs(corner, corner), variables.stats

  model = Model(lambda key: Variables({}, {}), apply, tasks.classification())
  augment, key = edits.crop_and_flip(2), jax.random.key(7)

  def loss(image, augment):
    return float(objectives.supervised(model, augment)(
        {}, {}, batch_of(image), key)[0])

  by_hand = loss(edited(augment, key, images), None)
  assert loss(images, augment) == by_hand != loss(images, None)


@pytest.mark.parametrize('padding', [-1, 1.5, True])
def test_padding_is_a_whole_number(padding):
  for factory in (edits.crop_and_flip, edits.alternating_flip_and_translate):
    with pytest.raises(ValueError, match=f'padding.*{padding}'):
      factory(padding)


def test_every_image_is_flipped_in_every_second_epoch(images):
  edit, flipped = edits.alternating_flip_and_translate(0), []
  for epoch in range(4):  # Whatever the step's key.
    out = np.asarray(edited(edit, jax.random.key(epoch), images, epoch))
    same = (out == images).all((1, 2, 3))
    mirrored = (out == images[:, :, ::-1]).all((1, 2, 3))
    assert (same ^ mirrored).all()
    flipped.append(mirrored)
  np.testing.assert_array_equal(flipped[0], ~flipped[1])
  np.testing.assert_array_equal(flipped[::2], [flipped[0]] * 2)
  np.testing.assert_array_equal(flipped[1::2], [flipped[1]] * 2)
  # A fair coin for each of 64 images: 32 ± 4 standard deviations of 4.
  assert 16 <= flipped[0].sum() <= 48
  other = edits.alternating_flip_and_translate(0, seed=1)
  assert (edited(other, jax.random.key(0), images) != edited(
      edit, jax.random.key(0), images)).any()


def test_the_start_of_an_image_is_that_of_its_row(images):
  edit = edits.alternating_flip_and_translate(0)
  whole, some = batch_of(images), np.asarray([9, 3, 60])
  part = jax.tree.map(lambda x: x[some] if np.ndim(x) else x, whole)
  np.testing.assert_array_equal(
      edit(jax.random.key(3), part).image,
      np.asarray(edit(jax.random.key(0), whole).image)[some])


def test_translation_is_a_crop_of_the_reflected_image(images):
  edit = edits.alternating_flip_and_translate(2)
  out = np.concatenate([edited(edit, jax.random.key(k), images)
                        for k in range(8)])
  padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode='reflect')
  offsets = []
  for i, image in enumerate(out):
    found = {(top, left) for top in range(5) for left in range(5)
             for crop in [padded[i % 64, top:top + 6, left:left + 5]]
             if (image == crop).all() or (image == crop[:, ::-1]).all()}
    assert found
    offsets += found
  assert set(offsets) == {(i, j) for i in range(5) for j in range(5)}


def test_reflections_must_fit(images):
  with pytest.raises(ValueError, match='padding=5 to be less than .* 6 and 5'):
    edited(edits.alternating_flip_and_translate(5), jax.random.key(0), images)
