"""The figure of the sensitivity of findings to choices."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib

from rum_jax.evaluation.difficulty import Variation, WHOLE
from rum_jax.reporting import difficulty_findings
from rum_jax.reporting.figures import canvas, palette
from rum_jax.reporting.figures.palette import GREY
from rum_jax.reporting.vocabulary import called

_METHODS = (*palette.GROUPS.values(), *list(palette.VARIANTS.values())[2:])


def sensitivity_of_entanglement(variations: Sequence[Variation]) -> str:
  """A line for each variation: its overlap with the reference, its findings.

  Args:
    variations: the reference first.

  Returns:
    SVG.
  """
  with matplotlib.rc_context(palette.TYPE):
    figure = canvas.figure(100 + 34 * len(variations))
    shares, falls = figure.subplots(1, 2, sharey=True, width_ratios=(2, 3))
    falls.axvline(0, color=GREY, lw=1)
    marks = {}
    for y, x in enumerate(variations):
      for level in ('low', 'high') if x.axis else ():
        colour, mark = palette.GROUPS[level]
        marks[f'{level} set'] = shares.plot(
            x.shares[level].share, y, mark, color=colour, ms=5, mew=0)[0]
        marks['by chance'] = shares.plot(
            x.shares[level].chance, y, '|', color=GREY, ms=9)[0]
      rows = x.rows
      for i, row in enumerate(rows):
        colour, mark = ((palette.INK, 'X') if row.method == 'do_nothing'
                        else _METHODS[i % len(_METHODS)])
        fall = row.falls.tow[WHOLE]
        marks[called(row.method)] = falls.errorbar(
            fall.mean, y + 0.7 * ((i + 0.5) / len(rows) - 0.5), xerr=fall.ci95,
            color=colour, marker=mark, ms=4, mew=0, lw=1)
    shares.set_yticks(range(len(variations)), map(difficulty_findings.label,
                                                 variations))
    shares.set_ylim(len(variations) - 0.4, -0.6)
    shares.set_xlim(-0.05, 1.05)
    shares.set_xlabel('share of the\nreference')
    falls.set_xlabel('change of ToW from\nlow to high ES')
    for axes in (shares, falls):
      axes.tick_params(axis='y', length=0)
      axes.grid(axis='x')
      axes.set_axisbelow(True)
    figure.legend(marks.values(), marks, ncols=3, loc='outside upper center')
    return canvas.svg(
        figure, 'sensitivity', 'Share of examples that a variation picks as '
        'the reference does, and its change of ToW from low to high ES')
