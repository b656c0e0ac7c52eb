"""Edits: pure functions `(key, batch) -> examples` that change a batch.

Augmentation and relabelling are both edits. These are for `Images`.
"""

from __future__ import annotations

import jax
from jax import lax
import jax.numpy as jnp

from rum_jax import _checks
from rum_jax.labels import random_labels
from rum_jax.types import Array, Batch, Edit, Images, Key


def crop_and_flip(padding: int = 4) -> Edit:
  """Random crops of the padded image, mirrored half of the time.

  Each image gets `padding` black pixels (value 0) on every side, is cropped at
  random back to its own size, and flipped left to right with probability 1/2;
  pixels are those before normalisation.

  Args:
    padding: black pixels on every side; 0 only flips.

  Returns:
    An edit that keeps shape and type of the images.

  Raises:
    ValueError: if `padding` is no whole number of at least 0.

  References:
    He et al., Deep residual learning for image recognition, 2016.
  """
  _checks.check_count('padding', padding)

  def edit(key: Key, batch: Batch) -> Images:
    b, h, w, _ = batch.examples.image.shape
    key_crop, key_flip = jax.random.split(key)
    top, left = jax.random.randint(key_crop, (2, b), 0, 2 * padding + 1)
    flip = jax.random.bernoulli(key_flip, shape=(b,)).astype(top.dtype)
    edge = (padding, padding)
    padded = jnp.pad(batch.examples.image, ((0, 0), edge, edge, (0, 0)))
    return batch.examples._replace(image=_cut(padded, flip, top, left, h, w))

  return edit


def alternating_flip_and_translate(padding: int = 2, seed: int = 0) -> Edit:
  """Mirrors every image in every second epoch, and moves it a little.

  Whether an image is mirrored in even or in odd epochs is drawn once for its
  row, so that two epochs in a row show both of its sides. It is moved by up to
  `padding` pixels in each direction, anew each time; what moves in from beyond
  the edge is the image's own reflection.

  Args:
    padding: pixels, fewer than the image has in either direction; 0 only flips.
    seed: of the draw of the epoch, even or odd, that each row starts with.

  Returns:
    An edit that keeps shape and type of the images.

  Raises:
    ValueError: if `padding` is no whole number of at least 0; when called, if
      the images have no more pixels than that.

  References:
    Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024.
  """
  _checks.check_count('padding', padding)

  def edit(key: Key, batch: Batch) -> Images:
    b, h, w, _ = batch.examples.image.shape
    if padding >= min(h, w):
      raise ValueError(f'Expected padding={padding} to be less than the height '
                       f'and width of the images, {h} and {w}.')
    top, left = jax.random.randint(key, (2, b), 0, 2 * padding + 1)
    draw = lambda row: jax.random.bits(
        jax.random.fold_in(jax.random.key(seed), row))
    start = (jax.vmap(draw)(batch.index) % 2).astype(top.dtype)
    flip = (start + batch.epoch) % 2
    edge = (padding, padding)
    padded = jnp.pad(batch.examples.image, ((0, 0), edge, edge, (0, 0)),
                     mode='reflect')
    return batch.examples._replace(image=_cut(padded, flip, top, left, h, w))

  return edit


def _cut(padded: Array, flip: Array, top: Array, left: Array, height: int,
         width: int) -> Array:
  """Cuts one window out of each padded image, mirrored where `flip` is 1.

  Both directions lie side by side, so that crop and flip are one slice: on a
  CPU a flip after the slice is 50 times slower inside scan.
  """
  both = jnp.stack([padded, padded[:, :, ::-1]], axis=1)
  size = (1, height, width, padded.shape[-1])

  def cut(image: Array, i: Array, y: Array, x: Array) -> Array:
    return lax.dynamic_slice(image, (i, y, x, 0), size)[0]

  return jax.vmap(cut)(both, flip, top, left)


def wrong_labels(key: Key, examples: Images, classes: int, *,
                 exclude_true: bool = True, redraw: bool = False) -> Edit:
  """Gives the rows that are to be forgotten random labels.

  Args:
    key: draws the labels; that of the batch is not used.
    examples: all of them.
    classes: K.
    exclude_true: whether the label must differ from the true one.
    redraw: whether labels are drawn anew each epoch, or once for all rows.

  Returns:
    An edit that keeps the images, and the labels of the other rows.

  Raises:
    ValueError: if there is no other class to draw.
  """

  def drawn(epoch: Array | int, index: Array, label: Array) -> Array:
    return random_labels(jax.random.fold_in(key, epoch), index, label, classes,
                         exclude_true=exclude_true)

  label = jnp.asarray(examples.label)
  table = None if redraw else drawn(0, jnp.arange(len(label)), label)

  def edit(_: Key, batch: Batch) -> Images:
    true = batch.examples.label
    wrong = (drawn(batch.epoch, batch.index, true) if table is None else
             table[batch.index])
    return batch.examples._replace(label=jnp.where(batch.forget, wrong, true))

  return edit
