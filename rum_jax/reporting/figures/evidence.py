"""What an unlearned model shows: confidences, checks, and rows if asked."""

from __future__ import annotations

from collections.abc import Sequence
import textwrap

import matplotlib
from matplotlib.axes import Axes
import numpy as np

from rum_jax.audits.evidence import Part
from rum_jax.audits.measures import Histogram
from rum_jax.reporting.figures import canvas, palette
from rum_jax.reporting.figures.canvas import WIDTH
from rum_jax.reporting.figures.palette import GREY, shortened
from rum_jax.types import AnyArray

_FORGET = palette.GROUPS['high'][0]
_SHARES = 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999
_LETTERS = 62  # Of a name on one line.
_WITHIN = 0.002  # Share of a bin that is drawn.


def all_of(parts: Sequence[Part]) -> dict[str, str]:
  """The pictures of all parts, as `reporting.evidence_page` takes them.

  Args:
    parts: of `Evidence.worst_first`.
  """
  first, *others = parts
  return {'confidences': confidences(first), 'checks': checks(first), **{
      f'{part.name}.confidences': confidences(part) for part in others}}


def confidences(part: Part) -> str:
  """Forget beside held-out examples, before, after, and retrained.

  Args:
    part: its histogram.

  Returns:
    SVG with a panel for each kind of models.
  """
  histogram = part.histogram
  kinds = [(kind, title) for kind, title in (
      ('original', 'before'), ('unlearned', 'after'),
      ('retrained', 'retrained without these rows'))
           if kind in histogram.forget]
  with matplotlib.rc_context(palette.TYPE):
    drawn = canvas.figure(50 + 78 * len(kinds))
    panels = drawn.subplots(len(kinds), 1, sharex=True, sharey=True,
                            squeeze=False)[:, 0]
    for axes, (kind, title) in zip(panels, kinds, strict=True):
      _steps(axes, histogram, kind)
      axes.set_title(title, loc='left', weight='bold')
      axes.set_yticks([])
      axes.spines['left'].set_visible(False)
    last = panels[-1]
    last.set_xlim(*_range(histogram))
    ticks = np.log(_SHARES) - np.log1p(-np.asarray(_SHARES))
    low, high = last.get_xlim()
    kept = [(t, x) for t, x in zip(ticks, _SHARES, strict=True)
            if low <= t <= high]
    last.set_xticks([t for t, _ in kept], [f'{100 * x:g} %' for _, x in kept])
    last.set_xlabel('confidence in the true label')
    drawn.legend(*last.get_legend_handles_labels(),
                 loc='outside upper right', ncols=2, handlelength=1.2)
    return canvas.svg(drawn, 'confidences', 'Histograms of the confidence in '
                      'forgotten rows and in held-out examples, before and '
                      'after')


def _steps(axes: Axes, histogram: Histogram, kind: str) -> None:
  edges = np.asarray(histogram.edges)
  if kind in histogram.held_out:
    axes.stairs(histogram.held_out[kind], edges, fill=True, color=GREY,
                alpha=0.45, label='held-out examples')
  axes.stairs(histogram.forget[kind], edges, color=_FORGET, lw=1.6,
              label='forgotten rows')


def _range(histogram: Histogram) -> tuple[float, float]:
  """Where the bins hold something."""
  height = np.max([*histogram.forget.values(), *histogram.held_out.values()],
                  axis=0)
  edges = np.asarray(histogram.edges)
  full = np.flatnonzero(height > _WITHIN)
  if not len(full):
    return float(edges[0]), float(edges[-1])
  return (float(max(edges[full[0]] - 0.6, edges[0])),
          float(min(edges[full[-1] + 1] + 0.6, edges[-1])))


def checks(part: Part) -> str:
  """Every difference or search for a trace, beside what is expected.

  Args:
    part: its verdict; one without checks gives no picture.

  Returns:
    SVG, or nothing.
  """
  found = part.verdict.checks
  if not found:
    return ''
  colours = {'outside': _FORGET, 'found': _FORGET, 'overlaps': '#b88600',
             'inside': '#009e73', 'none': palette.INK}
  with matplotlib.rc_context(palette.TYPE):
    names = ['\n'.join(textwrap.wrap(x.name, _LETTERS)) for x in found]
    tall = [1.6 + name.count('\n') for name in names]  # In lines of text.
    places = np.cumsum(tall) - 0.4
    drawn = canvas.figure(40 + 13 * sum(tall))
    axes = drawn.subplots()
    for y, name, check in zip(places, names, found, strict=True):
      centre = sum(check.expected) / 2
      half = max(check.expected[1] - centre, 0.002)
      axes.barh(y, 2 * half, left=-half, height=0.6, color=GREY, alpha=0.4,
                lw=0)
      axes.plot([0, 0], [y - 0.3, y + 0.3], color=GREY, lw=1)
      low, high = check.low - centre, check.high - centre
      axes.plot([low, high], [y, y], color=colours[check.outcome], lw=2)
      axes.plot(check.value - centre, y, 'o', color=colours[check.outcome],
                ms=5)
      axes.annotate(
          name, (0, y - 0.35), fontsize=8, va='bottom', in_layout=False,
          xycoords=axes.get_yaxis_transform(), linespacing=1.1)
    axes.set_ylim(sum(tall) + 0.3, 0)
    axes.set_yticks([])
    axes.spines['left'].set_visible(False)
    axes.grid(axis='x')
    axes.set_xlabel('distance from what is expected')
    return canvas.svg(drawn, 'checks', 'Intervals of every check, and the '
                      'range where each is expected')


def forgotten(image: AnyArray, label: AnyArray, row: AnyArray,
              classes: Sequence[str]) -> str:
  """Pictures of forgotten rows, for a reader who asked for them.

  Args:
    image: `[n, H, W, C]` uint8, C is 1 or 3.
    label: `[n]`.
    row: `[n]` in the published data.
    classes: names of the K classes.

  Returns:
    SVG.
  """
  columns, cell = 6, 74
  height = -(-len(image) // columns) * cell
  with matplotlib.rc_context(palette.TYPE):
    drawn = canvas.figure(height, layout=None)
    axes = drawn.add_axes((0, 0, 1, 1))
    for i, one in enumerate(np.asarray(image)):
      x, y = i % columns * WIDTH / columns, height - i // columns * cell
      canvas.show(axes, one, x, y)
      axes.text(x, y - 54, shortened(classes[int(label[i])]), fontsize=8)
      axes.text(x, y - 63, f'row {int(row[i])}', fontsize=7, alpha=0.7)
    axes.axis('off')
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    return canvas.svg(drawn, 'forgotten', 'Images of forgotten rows')
