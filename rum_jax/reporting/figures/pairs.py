"""Pictures of pairs of images: influence, and what is memorized."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np

from rum_jax.reporting.figures import canvas, palette
from rum_jax.reporting.figures.canvas import WIDTH
from rum_jax.reporting.figures.palette import shortened
from rum_jax.types import AnyArray


def influence(image: AnyArray, label: AnyArray, classes: Sequence[str],
              figure: np.ndarray, error: np.ndarray) -> str:
  """Pairs of a training and a held-out image, three in a row.

  Args:
    image: `[P, 2, H, W, C]` uint8, C is 1 or 3, the training one first.
    label: `[P, 2]`.
    classes: names of the K classes.
    figure: `[P]` influence.
    error: `[P]` its standard error.

  Returns:
    SVG.
  """
  columns, cell, head = 3, 86, 26
  height = head + -(-len(image) // columns) * cell
  with matplotlib.rc_context(palette.TYPE):
    drawn = canvas.figure(height, layout=None)
    axes = drawn.add_axes((0, 0, 1, 1))
    axes.text(0, height - 14, 'trained on, and held out', weight='bold')
    for i, (pair, names) in enumerate(zip(image, label, strict=True)):
      x = i % columns * WIDTH / columns
      y = height - head - i // columns * cell
      for k in range(2):
        canvas.show(axes, pair[k], x + 50 * k, y)
        axes.text(x + 50 * k, y - 54, shortened(classes[names[k]]), fontsize=8)
      axes.text(x, y - 64, f'{figure[i]:.2f} ± {error[i]:.2f}', fontsize=8,
                alpha=0.7)
    axes.axis('off')
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    return canvas.svg(drawn, 'influence', 'Pairs of a training and a held-out '
                      'image, with influence and its standard error')


def memorized(image: AnyArray, label: AnyArray, row: np.ndarray,
              classes: Sequence[str], score: np.ndarray, error: np.ndarray
              ) -> str:
  """Pairs of images, three in a line: a memorized one and its nearest.

  Args:
    image: `[P, 2, H, W, C]` uint8, C is 1 or 3; the memorized one comes first.
    label: `[P, 2]`.
    row: `[P, 2]`, the row in the published training part.
    classes: names of the K classes.
    score: `[P]` memorization of the first of each pair.
    error: `[P]` its standard error; NaN where it is not known.

  Returns:
    SVG.
  """
  columns, cell, head = 3, 98, 26
  height = head + -(-len(image) // columns) * cell
  with matplotlib.rc_context(
      {**palette.TYPE, 'image.composite_image': False}):
    drawn = canvas.figure(height, layout=None)
    axes = drawn.add_axes((0, 0, 1, 1))
    axes.text(0, height - 14, 'memorized, and the nearest other image',
              weight='bold')
    for i, (pair, names) in enumerate(zip(image, label, strict=True)):
      x = i % columns * WIDTH / columns
      y = height - head - i // columns * cell
      for k in range(2):
        canvas.show(axes, pair[k], x + 56 * k, y)
        axes.text(x + 56 * k, y - 54, shortened(classes[names[k]]),
                  fontsize=8, weight='normal' if k else 'bold')
        axes.text(x + 56 * k, y - 63, f'row {row[i, k]}', fontsize=7,
                  alpha=0.7)
      spread = f' ± {error[i]:.2f}' if np.isfinite(error[i]) else ''
      axes.text(x, y - 73, f'{score[i]:.2f}{spread}', fontsize=8, alpha=0.7)
    axes.axis('off')
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    return canvas.svg(drawn, 'memorized', 'The most memorized images, each '
                      'beside the nearest other image')


def ranked(image: AnyArray, label: AnyArray, row: AnyArray,
           classes: Sequence[str], score: AnyArray) -> str:
  """Images with their labels, rows and memorization, in the order given.

  Args:
    image: `[P, H, W, C]` uint8, C is 1 or 3.
    label: `[P]`.
    row: `[P]`, the row in the published training part.
    classes: names of the K classes.
    score: `[P]` memorization.

  Returns:
    SVG.
  """
  columns, cell = 6, 84
  height = -(-len(image) // columns) * cell
  with matplotlib.rc_context(
      {**palette.TYPE, 'image.composite_image': False}):
    drawn = canvas.figure(height, layout=None)
    axes = drawn.add_axes((0, 0, 1, 1))
    for i, one in enumerate(np.asarray(image)):
      x, y = i % columns * WIDTH / columns, height - i // columns * cell
      canvas.show(axes, one, x, y)
      lines = (shortened(classes[int(label[i])]), f'row {int(row[i])}',
               f'{float(score[i]):.2f}')
      for k, text in enumerate(lines):
        axes.text(x, y - 54 - 9 * k, text, fontsize=8 if k != 1 else 7,
                  alpha=0.7 if k else 1)
    axes.axis('off')
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    return canvas.svg(drawn, 'ranked', 'Images with their memorization')
