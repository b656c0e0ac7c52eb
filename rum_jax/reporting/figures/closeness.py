"""Figures of ToW and of the cost of methods."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np

from rum_jax.evaluation import references, Results, Row
from rum_jax.evaluation.difficulty import FactorRow
from rum_jax.reporting.figures import canvas, palette
from rum_jax.reporting.figures.palette import GREY
from rum_jax.reporting.vocabulary import by_method, called, entries, placed
from rum_jax.types import GROUPS


def tow_by_method(results: Results) -> str:
  """ToW of every row: all seeds, and the mean with its interval."""
  with matplotlib.rc_context(palette.TYPE):
    lines = entries(results.rows)
    figure, axes = canvas.sideways(lines, 'ToW (1: like retraining)')
    seen = [1.0]
    for i, row in enumerate(references(results.rows)):
      mean, ci95 = row.tow.mean, row.tow.ci95
      axes.axvspan(mean - ci95, mean + ci95, color=GREY, alpha=0.25, lw=0)
      canvas.upright(axes, mean, called(row.method).lower(), i)
      seen.append(mean)
    for y, row in placed(lines):
      colour, mark = canvas.style(row)
      seeds = row.tow.values
      lost = np.isin(results.seeds, row.collapsed)
      for chosen, dot, size, edge in (
          (~lost, 'o', 2.6, 0), (lost, 'x', 4, 1.2)):
        axes.plot(np.asarray(seeds)[chosen], np.full(chosen.sum(), y + 0.36),
                  dot, color=colour, alpha=0.6, ms=size, mew=edge)
      mean, ci95 = row.tow.mean, row.tow.ci95
      axes.errorbar(mean, y, xerr=ci95, color=colour, marker=mark, ms=6.5,
                    mew=0, lw=1.4)
      seen += [*seeds, mean - ci95]
    low = np.nanmin(np.asarray(seen))
    axes.set_xlim(low - 0.08 * (1 - low) - 0.01, 1.01)
    return canvas.svg(figure, 'tow_by_method',
                'Dot plot of ToW, a line for each method and variant')


def tow_by_group(rows: Sequence[Row] | Sequence[FactorRow],
                 factor: str = 'memorization') -> str:
  """ToW with one group as the forget set, in a panel for each method."""
  panels = [(heading or called(members[0].method), members)
            for heading, members in by_method(rows)
            if members[0].variant != 'reference']
  idle = [row for row in references(rows) if row.method == 'do_nothing']
  with matplotlib.rc_context(palette.TYPE):
    tall = max(1, -(-len(panels) // 2))
    figure = canvas.figure(45 + 138 * tall)
    grid = figure.subplots(tall, 2, sharey=True, squeeze=False)
    shown = {}
    for axes, (title, members) in zip(grid.flat, panels, strict=False):
      axes.set_title(title, loc='left', weight='bold')
      axes.set_xticks(range(3), GROUPS)
      axes.grid(axis='y')
      for i, row in enumerate([*idle, *members]):
        colour, mark = canvas.style(row)
        tow = [row.groups[x].tow for x in GROUPS]
        shown[called(row.variant) if row not in idle else 'do nothing'] = (
            axes.errorbar(
                np.arange(3) + 0.05 * (i - 2), [x.mean for x in tow],
                [x.ci95 for x in tow], color=colour, marker=mark, ms=5, mew=0,
                lw=1.2, elinewidth=1, ls=':' if row in idle else '-'))
    for axes in grid.flat[len(panels):]:
      axes.axis('off')
    grid[0, 0].set_ylim(-0.04, 1.04)
    figure.supylabel('ToW', fontsize=9.5)
    figure.supxlabel(f'{factor} of the group', fontsize=9.5)
    figure.legend(shown.values(), map(palette.superscript, shown), ncols=3,
                  loc='outside upper center')
    return canvas.svg(figure, 'tow_by_group',
                'ToW on the low, medium and high group, a panel a method')


def cost(results: Results) -> str:
  """Time of one seed of each method in units of retraining.

  Bars are the method alone. Diamonds add what is recorded of compilation,
  shared by the seeds, and of scores and tuning beforehand.
  """
  whole = results.oracle.seconds or float('nan')
  with matplotlib.rc_context(palette.TYPE):
    lines = entries(results.rows)
    figure, axes = canvas.sideways(lines, 'cost / cost of retraining')
    axes.set_xscale('log')
    canvas.upright(axes, 1, 'retraining')
    least, most = 0.5, 1.0
    for y, row in placed(lines):
      share = row.seconds.mean / whole
      if np.isfinite(share) and share > 0:
        colour = canvas.style(row)[0]
        added = np.nansum([row.compile_seconds / len(row.seconds.values),
                           row.beforehand_seconds, row.tuning_seconds])
        in_all = share + added / whole
        axes.barh(y, share, height=0.62, color=colour)
        axes.annotate(f'{share:.2f}', (share, y), (3, 0), va='center',
                      textcoords='offset points', fontsize=8.5)
        if added:
          axes.plot(in_all, y, 'D', color=colour, ms=4.5, mew=0)
        least, most = min(least, share), max(most, in_all)
    axes.set_xlim(least / 2, 2.5 * most)
    return canvas.svg(figure, 'cost',
                      'Bars of the cost of each method and variant')
