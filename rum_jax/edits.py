"""Augmentations: pure functions `(key, images) -> images` of one batch."""

from __future__ import annotations

import jax
from jax import lax
import jax.numpy as jnp

from rum_jax import _checks
from rum_jax.types import Array, Augment, Key


def crop_and_flip(padding: int = 4) -> Augment:
  """Random crops of the padded image, mirrored half of the time.

  Each image gets `padding` black pixels (value 0) on every side, is cropped at
  random back to its own size, and flipped left to right with probability 1/2;
  pixels are those before normalisation.

  Args:
    padding: black pixels on every side; 0 only flips.

  Returns:
    `(key, images [B, H, W, C]) -> images [B, H, W, C]` of the same type.

  Raises:
    ValueError: if `padding` is no whole number of at least 0.

  References:
    He et al., Deep residual learning for image recognition, 2016.
  """
  _checks.check_count('padding', padding)

  def augment(key: Key, images: Array) -> Array:
    b, h, w, c = images.shape
    key_crop, key_flip = jax.random.split(key)
    top, left = jax.random.randint(key_crop, (2, b), 0, 2 * padding + 1)
    flip = jax.random.bernoulli(key_flip, shape=(b,)).astype(top.dtype)
    edge = (padding, padding)
    padded = jnp.pad(images, ((0, 0), edge, edge, (0, 0)))
    # Both directions side by side, so that crop and flip are one slice: on a
    # CPU a flip after the slice is 50 times slower inside scan.
    both = jnp.stack([padded, padded[:, :, ::-1]], axis=1)

    def cut(image: Array, i: Array, y: Array, x: Array) -> Array:
      return lax.dynamic_slice(image, (i, y, x, 0), (1, h, w, c))[0]

    return jax.vmap(cut)(both, flip, top, left)

  return augment
