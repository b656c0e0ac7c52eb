"""Figures of the forget set: scores, images and embedding of the groups."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np

from rum_jax.reporting.figures import canvas, palette
from rum_jax.reporting.figures.canvas import WIDTH
from rum_jax.reporting.figures.palette import GREY, shortened
from rum_jax.types import GROUPS

_SHARP = 400  # More points than this are drawn as an image.


def memorization_histogram(score: np.ndarray, group: np.ndarray,
                           measure: str = 'memorization') -> str:
  """Histogram of memorization, with the groups that are there.

  Args:
    score: `[N]` memorization, or a proxy of it; NaN is left out.
    group: `[N]`; 0, 1 and 2 are low, medium and high, -1 is none of them.
    measure: the name of the score.

  Returns:
    SVG.
  """
  with matplotlib.rc_context(palette.TYPE):
    figure = canvas.figure(220)
    axes = figure.subplots()
    finite = score[np.isfinite(score)]
    bins = np.linspace(
        finite.min(initial=0), finite.max(initial=1), 41).tolist()
    axes.hist(finite, bins, color=GREY, alpha=0.45, label='all')
    there = [g for g in range(len(GROUPS)) if (group == g).any()]
    for g in there:
      axes.hist(score[(group == g) & np.isfinite(score)], bins,
                color=palette.GROUPS[GROUPS[g]][0], label=GROUPS[g])
    axes.set_yscale('function', functions=(
        lambda count: np.sqrt(np.maximum(count, 0)), np.square))
    axes.set_yticks(_round(axes.get_ylim()[1] * np.linspace(0, 1, 6)**2))
    axes.set_xlabel(measure)
    axes.set_ylabel('examples (square-root scale)')
    if there:
      axes.legend(title='group', handlelength=1, handleheight=1)
    return canvas.svg(
        figure, 'memorization_histogram', 'Histogram of memorization'
        + ' with the three groups marked' * bool(there))


def _round(count: np.ndarray) -> np.ndarray:
  """Counts with one digit other than 0."""
  return np.array([float(f'{x:.0e}') for x in count])


def examples(image: np.ndarray, label: np.ndarray, true_label: np.ndarray,
             classes: Sequence[str], score: np.ndarray) -> str:
  """Some images of each group with their labels and memorization.

  Args:
    image: `[3, n, H, W, C]` uint8, C is 1 or 3.
    label: `[3, n]` that was trained on.
    true_label: `[3, n]`.
    classes: names of the K classes.
    score: `[3, n]` memorization, NaN where it is not known.

  Returns:
    SVG.
  """
  count, columns, cell, head = image.shape[1], 6, 82, 24
  block = head + -(-count // columns) * cell
  height = len(image) * block
  pixelated = {'image.composite_image': False}
  with matplotlib.rc_context({**palette.TYPE, **pixelated}):
    figure = canvas.figure(height, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))  # One for all: axes are slow to make.
    for g, i in np.ndindex(*label.shape):
      x = i % columns * WIDTH / columns
      y = height - g * block - head - i // columns * cell
      if i == 0:
        axes.text(0, y + 9, f'{GROUPS[g]} memorization', weight='bold',
                  color=palette.GROUPS[GROUPS[g]][0])
      canvas.show(axes, image[g, i], x, y)
      wrong = label[g, i] != true_label[g, i]
      true = f'is {shortened(classes[true_label[g, i]])}'
      lines = [shortened(classes[label[g, i]]), *([true] if wrong else []),
               f'{score[g, i]:.2f}' if np.isfinite(score[g, i]) else '']
      for k, text in enumerate(lines):
        axes.text(x, y - 54 - 9.5 * k, text, fontsize=8,
                  weight='bold' if wrong and k == 0 else 'normal',
                  alpha=0.7 if text is lines[-1] else 1)
    axes.axis('off')
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    return canvas.svg(figure, 'examples',
                      'Images of each group with their labels')


def embedding(plane: np.ndarray, group: np.ndarray) -> str:
  """The groups among the retained examples in the embedding.

  Args:
    plane: `[N, 2]` first two principal components of the features.
    group: `[N]`; 0, 1 and 2 are low, medium and high, -1 is none of them.

  Returns:
    SVG with a panel for each group; many points become an image.
  """
  with matplotlib.rc_context(palette.TYPE):
    figure = canvas.figure(165)
    for g, axes in enumerate(figure.subplots(1, 3, sharex=True, sharey=True)):
      colour, mark = palette.GROUPS[GROUPS[g]]
      inside = plane[group == g]
      axes.plot(*plane[group < 0].T, '.', color=GREY, alpha=0.35, ms=2.5,
                mew=0, rasterized=True)
      many = len(inside) > _SHARP
      axes.plot(*inside.T, mark, color=colour, ms=2 if many else 4, mew=0,
                alpha=0.85, rasterized=many)
      axes.set_title(GROUPS[g], color=colour, weight='bold')
      axes.set_xticks([])
      axes.set_yticks([])
    figure.supxlabel('first principal component', fontsize=9.5)
    figure.supylabel('second', fontsize=9.5)
    return canvas.svg(figure, 'embedding',
                'Three scatter plots of features on two principal components')
