"""Pictures of a run, as SVG to stand inside a page, light or dark.

`results` is what `results.json` holds; its figures may be NaN or `None`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import io
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np

from rum_jax import palette
from rum_jax.palette import GREY, shortened
from rum_jax.rows import by_method, called, entries, Entry, GROUPS, interval
from rum_jax.rows import placed, references, Row, values

_WIDTH = 360  # Points; about what a phone is wide.
_SHARP = 400  # More points than this are drawn as an image.


def tow_by_method(results: Mapping[str, Any]) -> str:
  """ToW of every row: each seed, and the mean with its interval."""
  with matplotlib.rc_context(palette.TYPE):
    lines = entries(results)
    figure, axes = _sideways(lines, 'ToW (1: like retraining)')
    seen = [1.0]
    for i, row in enumerate(references(results)):
      mean, ci95 = interval(row['tow'])
      axes.axvspan(mean - ci95, mean + ci95, color=GREY, alpha=0.25, lw=0)
      _upright(axes, mean, called(row['method']).lower(), i)
      seen.append(mean)
    for y, row in placed(lines):
      colour, mark = _style(row)
      seeds = values(row['tow'])
      axes.plot(seeds, np.full(len(seeds), y + 0.36), 'o', color=colour,
                alpha=0.6, ms=2.6, mew=0)
      mean, ci95 = interval(row['tow'])
      axes.errorbar(mean, y, xerr=ci95, color=colour, marker=mark, ms=6.5,
                    mew=0, lw=1.4)
      seen += [*seeds, mean - ci95]
    low = np.nanmin(np.asarray(seen))
    axes.set_xlim(low - 0.08 * (1 - low) - 0.01, 1.01)
    return _svg(figure, 'tow_by_method',
                'Dot plot of ToW, a line for each method and variant')


def memorization_histogram(score: np.ndarray, group: np.ndarray,
                           measure: str = 'memorization') -> str:
  """How many examples are memorized how much, and where the groups lie.

  Args:
    score: `[N]` memorization, or a proxy of it; NaN is left out.
    group: `[N]`; 0, 1 and 2 are low, medium and high, -1 is none of them.
    measure: what `score` is.

  Returns:
    SVG.
  """
  with matplotlib.rc_context(palette.TYPE):
    figure = _figure(220)
    axes = figure.subplots()
    finite = score[np.isfinite(score)]
    bins = np.linspace(finite.min(initial=0), finite.max(initial=1), 41)
    axes.hist(finite, bins, color=GREY, alpha=0.45, label='all')
    for g, name in enumerate(GROUPS):
      axes.hist(score[(group == g) & np.isfinite(score)], bins,
                color=palette.GROUPS[name][0], label=name)
    axes.set_yscale('function', functions=(
        lambda count: np.sqrt(np.maximum(count, 0)), np.square))
    axes.set_yticks(_round(axes.get_ylim()[1] * np.linspace(0, 1, 6)**2))
    axes.set_xlabel(measure)
    axes.set_ylabel('examples (square-root scale)')
    axes.legend(title='group', handlelength=1, handleheight=1)
    return _svg(figure, 'memorization_histogram',
                'Histogram of memorization with the three groups marked')


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
    score: `[3, n]` memorization.

  Returns:
    SVG.
  """
  count, columns, cell, head = image.shape[1], 6, 82, 24
  block = head + -(-count // columns) * cell
  height = len(image) * block
  with matplotlib.rc_context(palette.TYPE):
    figure = _figure(height, layout=None)
    for g, i in np.ndindex(*label.shape):
      x = i % columns * _WIDTH / columns
      y = height - g * block - head - i // columns * cell
      if i == 0:
        figure.text(0, (y + 9) / height, f'{GROUPS[g]} memorization',
                    color=palette.GROUPS[GROUPS[g]][0], weight='bold')
      axes = figure.add_axes((x / _WIDTH, (y - 44) / height, 44 / _WIDTH,
                              44 / height))
      axes.axis('off')
      axes.imshow(image[g, i].squeeze(-1) if image.shape[-1] == 1 else
                  image[g, i], 'gray', vmin=0, vmax=255, interpolation='none')
      wrong = label[g, i] != true_label[g, i]
      true = f'is {shortened(classes[true_label[g, i]])}'
      lines = [shortened(classes[label[g, i]]), *([true] if wrong else []),
               f'{score[g, i]:.2f}']
      for k, text in enumerate(lines):
        figure.text(x / _WIDTH, (y - 54 - 9.5 * k) / height, text, fontsize=8,
                    weight='bold' if wrong and k == 0 else 'normal',
                    alpha=0.7 if text is lines[-1] else 1)
    return _svg(figure, 'examples', 'Images of each group with their labels')


def tow_by_group(results: Mapping[str, Any], factor: str = 'memorization'
                 ) -> str:
  """ToW with one group as the forget set, a panel a method."""
  panels = [(heading or called(rows[0]['method']), rows)
            for heading, rows in by_method(results['rows'])
            if rows[0]['variant'] != 'reference']
  idle = [row for row in references(results) if row['method'] == 'do_nothing']
  with matplotlib.rc_context(palette.TYPE):
    tall = max(1, -(-len(panels) // 2))
    figure = _figure(45 + 138 * tall)
    grid = figure.subplots(tall, 2, sharey=True, squeeze=False)
    shown = {}
    for axes, (title, rows) in zip(grid.flat, panels, strict=False):
      axes.set_title(title, loc='left', weight='bold')
      axes.set_xticks(range(3), GROUPS)
      axes.grid(axis='y')
      for i, row in enumerate([*idle, *rows]):
        colour, mark = _style(row)
        mean, ci95 = np.array(
            [interval(row['groups'][x]['tow']) for x in GROUPS]).T
        shown[called(row['variant']) if row not in idle else 'do nothing'] = (
            axes.errorbar(
                np.arange(3) + 0.05 * (i - 2), mean, ci95, color=colour,
                marker=mark, ms=5, mew=0, lw=1.2, elinewidth=1,
                ls=':' if row in idle else '-'))
    for axes in grid.flat[len(panels):]:
      axes.axis('off')
    grid[0, 0].set_ylim(-0.04, 1.04)
    figure.supylabel('ToW', fontsize=9.5)
    figure.supxlabel(f'{factor} of the group', fontsize=9.5)
    figure.legend(shown.values(), map(palette.superscript, shown), ncols=3,
                  loc='outside upper center')
    return _svg(figure, 'tow_by_group',
                'ToW on the low, medium and high group, a panel a method')


def embedding(plane: np.ndarray, group: np.ndarray) -> str:
  """Where each group lies among the retained examples.

  Args:
    plane: `[N, 2]` first two principal components of the features.
    group: `[N]`; 0, 1 and 2 are low, medium and high, -1 is none of them.

  Returns:
    SVG with a panel for each group; many points become an image.
  """
  with matplotlib.rc_context(palette.TYPE):
    figure = _figure(165)
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
    return _svg(figure, 'embedding',
                'Three scatter plots of features on two principal components')


def cost(results: Mapping[str, Any]) -> str:
  """Seconds of each method over those of retraining."""
  whole = results['oracle']['seconds'] or float('nan')
  with matplotlib.rc_context(palette.TYPE):
    lines = entries(results)
    figure, axes = _sideways(lines, 'seconds / seconds of retraining')
    _upright(axes, 1, 'retraining')
    most = 1.0
    for y, row in placed(lines):
      share = interval(row['seconds']).mean / whole
      if np.isfinite(share):
        axes.barh(y, share, height=0.62, color=_style(row)[0])
        axes.annotate(f'{share:.2f}', (share, y), (3, 0), va='center',
                      textcoords='offset points', fontsize=8.5)
        most = max(most, share)
    axes.set_xlim(0, 1.14 * most)
    return _svg(figure, 'cost', 'Bars of the cost of each method and variant')


def _upright(axes: Axes, x: float, name: str, level: int = 0) -> None:
  if np.isfinite(x):
    axes.axvline(x, color=GREY, lw=1)
    axes.text(x, -0.8 - level, name, ha='center', va='bottom', fontsize=8.5)


def _style(row: Row) -> tuple[str, str]:
  return palette.VARIANTS.get(row['variant'], palette.OTHER)


def _figure(height: float, layout: str | None = 'constrained') -> Figure:
  return Figure(figsize=(_WIDTH / 72, height / 72), layout=layout)


def _sideways(lines: Sequence[Entry], label: str) -> tuple[Figure, Axes]:
  """Axes with a line for each entry, from top to bottom."""
  figure = _figure(48 + 14.5 * len(lines))
  axes = figure.subplots()
  axes.set_yticks(range(len(lines)),
                  [palette.superscript(name) for name, _ in lines])
  for tick, (_, row) in zip(axes.get_yticklabels(), lines, strict=True):
    tick.set_weight('bold' if row is None or row['method'] == 'rum'
                    else 'normal')
  axes.tick_params(axis='y', length=0)
  axes.spines['left'].set_visible(False)
  axes.set_ylim(len(lines) - 0.4, -0.7)
  axes.set_xlabel(label)
  axes.grid(axis='x')
  axes.set_axisbelow(True)
  return figure, axes


def _svg(figure: Figure, name: str, description: str) -> str:
  """Renders a figure; its ids cannot clash with those of another."""
  buffer = io.StringIO()
  with matplotlib.rc_context({'svg.hashsalt': name}):
    figure.savefig(buffer, format='svg', transparent=True, dpi=200,
                   metadata={'Date': None})
  return palette.blended(buffer.getvalue(), description)
