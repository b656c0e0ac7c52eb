"""Functions of all figures: sizes, axes with named lines, SVG."""

from __future__ import annotations

from collections.abc import Sequence
import io
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np

from rum_jax.evaluation.results import Named
from rum_jax.reporting.figures import palette
from rum_jax.reporting.figures.palette import GREY
from rum_jax.reporting.vocabulary import Entry

WIDTH = 360  # Points; about what a phone is wide.


def upright(axes: Axes, x: float, name: str, level: int = 0) -> None:
  """Draws a vertical line with its name above it."""
  if np.isfinite(x):
    axes.axvline(x, color=GREY, lw=1)
    axes.text(x, -0.8 - level, name, ha='center', va='bottom', fontsize=8.5)


def style(row: Named) -> tuple[str, str]:
  """The colour and the marker of a row's variant."""
  return palette.VARIANTS.get(row.variant, palette.OTHER)


def figure(height: float, layout: Literal['constrained'] | None = 'constrained'
           ) -> Figure:
  """A figure as wide as a phone, `height` points high."""
  return Figure(figsize=(WIDTH / 72, height / 72), layout=layout)


def sideways(lines: Sequence[Entry], label: str) -> tuple[Figure, Axes]:
  """Axes with a horizontal line for each entry, from top to bottom."""
  whole = figure(48 + 14.5 * len(lines))
  axes = whole.subplots()
  axes.set_yticks(range(len(lines)),
                  [palette.superscript(name) for name, _ in lines])
  for tick, (_, row) in zip(axes.get_yticklabels(), lines, strict=True):
    tick.set_fontweight('bold' if row is None or row.method == 'rum'
                        else 'normal')
  axes.tick_params(axis='y', length=0)
  axes.spines['left'].set_visible(False)
  axes.set_ylim(len(lines) - 0.4, -0.7)
  axes.set_xlabel(label)
  axes.grid(axis='x')
  axes.set_axisbelow(True)
  return whole, axes


def show(axes: Axes, image: np.ndarray, x: float, y: float) -> None:
  """Draws an image `[H, W, C]`, 44 points wide, its top left at x and y."""
  axes.imshow(image.squeeze(-1) if image.shape[-1] == 1 else image, 'gray',
              vmin=0, vmax=255, interpolation='none',
              extent=(x, x + 44, y - 44, y), aspect='auto')


def svg(drawn: Figure, name: str, description: str) -> str:
  """Renders a figure; its ids cannot clash with those of another."""
  buffer = io.StringIO()
  with matplotlib.rc_context({'svg.hashsalt': name}):
    drawn.savefig(buffer, format='svg', transparent=True, dpi=200,
                   metadata={'Date': None})
  return palette.blended(buffer.getvalue(), description)
