"""Colours, marks and type of all pictures, and how they blend into a page.

The same colours and marks stand for the same groups and variants everywhere.
They differ in lightness and in shape too, so that nobody has to tell them apart
by hue, and can be seen on a light and on a dark page.
"""

from __future__ import annotations

import html
import re

INK = '#010203'  # Stands for the colour of the text around a picture.
GREY = '#8a8f98'
GROUPS = {
    'low': ('#1f7fc0', 'o'), 'medium': ('#d08c00', 's'),
    'high': ('#d55e00', '^')}
VARIANTS = {
    'vanilla': (GREY, 'o'), 'matched': ('#3d9bd6', 's'),
    'shuffle': ('#cc79a7', '^'), 'rum_f': ('#009e73', 'D'), 'rum': (INK, 'X')}
OTHER = (GREY, '.')
# For matplotlib.rc_context.
TYPE = {
    'svg.fonttype': 'none', 'image.composite_image': False, 'font.size': 9.5,
    'text.color': INK, 'axes.labelcolor': INK, 'axes.edgecolor': INK,
    'axes.linewidth': 0.6, 'axes.spines.top': False,
    'axes.spines.right': False, 'axes.titlesize': 10, 'axes.facecolor': 'none',
    'xtick.color': INK, 'ytick.color': INK, 'xtick.major.width': 0.6,
    'ytick.major.width': 0.6, 'legend.frameon': False, 'grid.color': INK,
    'grid.alpha': 0.15, 'grid.linewidth': 0.6, 'mathtext.default': 'regular'}


def blended(svg: str, description: str) -> str:
  """One `<svg>` element that takes colour and letters from its page.

  Args:
    svg: a file that matplotlib wrote in `INK` on nothing.
    description: is read out where the picture cannot be seen.

  Returns:
    The element, without what would reach beyond it: style sheets, metadata and
    the ids that nothing in it refers to.
  """
  svg = svg[svg.index('<svg'):]
  svg = re.sub(r'<metadata>.*?</metadata>|<style.*?</style>', '', svg,
               flags=re.DOTALL)
  used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
  svg = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else '', svg)
  svg = re.sub(r"font-family: [^;\"]*;? ?", '', svg)
  return svg.replace(INK, 'currentColor').replace(
      '<svg ', f'<svg role="img" aria-label="{html.escape(description)}" '
      'font-family="system-ui, sans-serif" stroke-linejoin="round" ', 1)


def superscript(name: str) -> str:
  """F set high in RUM^F."""
  return name.replace('RUM^F', 'RUM$^F$')


def shortened(name: str, longest: int = 10) -> str:
  """A name that fits under a small image."""
  return name if len(name) <= longest else f'{name[:longest - 1]}…'
