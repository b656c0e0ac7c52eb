"""Draws the pictures of the README and of the concepts.

    python docs/pictures.py

The README's picture is drawn from `results/digits_mlp.json`. The others explain
a notion; their points are drawn from a fixed seed. A test compares the files
with what this script draws.
"""

from __future__ import annotations

from collections.abc import Sequence
import html
import math
import pathlib

import numpy as np

from rum_jax import records
from rum_jax.evaluation import Results
from rum_jax.reporting import vocabulary
from rum_jax.reporting.figures.palette import GREY, GROUPS

HERE = pathlib.Path(__file__).parent
INK, PALE = '#1f2933', '#eef1f5'
FORGET, RETAIN, OTHER = GROUPS['high'][0], GROUPS['low'][0], '#009e73'


def text(x: float, y: float, words: str, *, size: float = 14,
         anchor: str = 'start', colour: str = INK, weight: str = 'normal',
         ) -> str:
  """Words whose baseline is at y."""
  return (f'<text x="{x:.5g}" y="{y:.5g}" font-size="{size:g}" fill="{colour}" '
          f'text-anchor="{anchor}" font-weight="{weight}">'
          f'{html.escape(words)}</text>')


def rect(x: float, y: float, width: float, height: float, fill: str,
         *, opacity: float = 1, stroke: str = 'none', radius: float = 3) -> str:
  """A rectangle with its upper left corner at (x, y)."""
  return (f'<rect x="{x:.5g}" y="{y:.5g}" width="{width:.5g}" '
          f'height="{height:.5g}" rx="{radius:g}" fill="{fill}" '
          f'fill-opacity="{opacity:g}" stroke="{stroke}"/>')


def dot(x: float, y: float, radius: float, fill: str, opacity: float = 1
        ) -> str:
  """A disc."""
  return (f'<circle cx="{x:.5g}" cy="{y:.5g}" r="{radius:g}" fill="{fill}" '
          f'fill-opacity="{opacity:g}"/>')


def line(x1: float, y1: float, x2: float, y2: float, colour: str = INK,
         *, width: float = 1.5, dash: str = '', arrow: bool = False) -> str:
  """A straight line, with a point at its end if `arrow`."""
  more = f' stroke-dasharray="{dash}"' if dash else ''
  more += ' marker-end="url(#point)"' if arrow else ''
  return (f'<line x1="{x1:.5g}" y1="{y1:.5g}" x2="{x2:.5g}" y2="{y2:.5g}" '
          f'stroke="{colour}" stroke-width="{width:g}"{more}/>')


def drawing(width: int, height: int, title: str, parts: Sequence[str]) -> str:
  """An SVG file on white, so that it can be seen on a dark page."""
  return '\n'.join([
      f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
      f'width="{width}" role="img" font-family="system-ui, sans-serif">',
      f'<title>{html.escape(title)}</title>',
      '<defs><marker id="point" viewBox="0 0 8 8" refX="7" refY="4" '
      'markerWidth="8" markerHeight="8" orient="auto">'
      f'<path d="M0 0 L8 4 L0 8 z" fill="{INK}"/></marker></defs>',
      rect(0, 0, width, height, '#ffffff', radius=8), *parts, '</svg>', ''])


def closeness(results: Results) -> str:
  """ToW of every row with its seeds, beside doing nothing and an oracle."""
  rows = [x for x in results.rows if x.variant != 'reference']
  by_name = {x.method: x for x in results.rows if x.variant == 'reference'}
  left, right, top, step = 178, 836, 62, 19
  low = min(min(x.tow.values) for x in results.rows) - 0.02
  at = lambda tow: left + (right - left) * (tow - low) / (1.005 - low)
  bottom = top + step * len(rows) + 4
  parts = [text(16, 26, 'How close does each method come to retraining?',
                size=17, weight='600')]
  for method, words in (('do_nothing', 'do nothing'),
                        ('another_oracle', 'a second oracle')):
    tow = by_name[method].tow
    parts += [
        rect(at(tow.mean - tow.ci95), top - 10,
             at(tow.mean + tow.ci95) - at(tow.mean - tow.ci95),
             bottom - top + 10, GREY, opacity=0.3, radius=0),
        text(at(tow.mean), top - 15, words, size=12.5, anchor='middle')]
  variants = {'vanilla': GREY, 'matched': GREY, 'shuffle': GREY,
              'rum_f': OTHER, 'rum': FORGET}
  for i, row in enumerate(rows):
    y, colour = top + step * (i + 0.5), variants[row.variant]
    parts += [text(left - 12, y + 4.5, vocabulary.name(row), size=12.5,
                   anchor='end')]
    parts += [dot(at(x), y, 2.4, colour, 0.45) for x in row.tow.values]
    mean, ci95 = row.tow.mean, row.tow.ci95
    parts += [line(at(mean - ci95), y, at(mean + ci95), y, colour, width=2.4),
              dot(at(mean), y, 4.6, colour)]
  parts.append(line(left, bottom, right, bottom))
  for tick in np.arange(np.ceil(low * 10), 11) / 10:
    parts += [line(at(tick), bottom, at(tick), bottom + 5),
              text(at(tick), bottom + 19, f'{tick:.1f}', size=12,
                   anchor='middle')]
  parts.append(text(
      left, bottom + 40, f'Tug-of-War (ToW); 1: like retraining. Points: '
      f'{len(results.seeds)} seeds. Bars: mean and 95 % interval.', size=12.5))
  name = f'{results.recipe.dataset}, {results.recipe.network}'
  parts.append(text(right, 26, name, size=12.5, anchor='end', colour=GREY))
  return drawing(860, round(bottom + 54), 'Dot plot of Tug-of-War', parts)


def sets() -> str:
  """Original, unlearned and retrained model, and what each has seen."""
  parts = []
  rows = (('original', True, 'trained on all examples'),
          ('unlearned', None, 'changed, in a fraction of the time'),
          ('oracle', False, 'trained from scratch on the rest'))
  for i, (name, whole, words) in enumerate(rows):
    y = 30 + 82 * i
    if whole is not None:
      parts += [rect(20, y, 250, 42, RETAIN, opacity=0.85),
                text(145, y + 26, 'retain', anchor='middle',
                     colour='#ffffff')]
      parts += [rect(274, y, 62, 42, FORGET if whole else 'none', opacity=0.85,
                     stroke='none' if whole else GREY),
                text(305, y + 26, 'forget' if whole else '–', anchor='middle',
                     colour='#ffffff' if whole else GREY)]
      parts.append(line(344, y + 21, 410, y + 21, arrow=True))
    parts += [rect(416, y, 116, 42, PALE, stroke=INK),
              text(474, y + 26, name, anchor='middle', weight='600'),
              text(548, y + 26, words, size=13)]
  parts += [line(474, 74, 474, 108, arrow=True),
            text(462, 96, 'unlearn', size=13, anchor='end'),
            line(474, 190, 474, 160, dash='4 3', arrow=True),
            text(462, 180, 'compare', size=13, anchor='end')]
  return drawing(800, 260, 'Original, unlearned and retrained model', parts)


def memorization() -> str:
  """Predictions with and without an example: a typical and an odd one."""
  parts = []
  for i, (name, inside, outside, words) in enumerate((
      ('a typical example', 1.0, 0.98, 'memorization 0.02'),
      ('an ambiguous one', 1.0, 0.5, 'memorization 0.50'),
      ('a wrong label', 1.0, 0.03, 'memorization 0.97'))):
    x = 40 + 245 * i
    parts.append(text(x, 30, name, weight='600'))
    for j, (share, of) in enumerate((
        (inside, 'models that trained on it'),
        (outside, 'models that did not'))):
      y = 52 + 52 * j
      parts += [rect(x, y, 190, 18, PALE),
                rect(x, y, max(190 * share, 2), 18, (RETAIN, FORGET)[j],
                     opacity=0.85),
                text(x, y + 34, f'{of}: {share:.0%} right', size=11.5)]
    parts.append(text(x, 178, words, size=14, weight='600'))
  return drawing(760, 200, 'Memorization of three examples', parts)


def entanglement() -> str:
  """Two forget sets in the space of features: apart, and mixed."""
  rng = np.random.default_rng(4)
  retain = rng.normal(size=(170, 2)) * (62, 34)
  parts = []
  for i, (name, centre, spread) in enumerate((
      ('low entanglement', (88, -40), (16, 12)),
      ('high entanglement', (6, 2), (50, 28)))):
    x, y = 195 + 380 * i, 130
    forget = rng.normal(size=(28, 2)) * spread + centre
    parts.append(text(x, 28, name, anchor='middle', weight='600'))
    parts += [dot(x + a, y + b, 3, RETAIN, 0.5) for a, b in retain]
    parts += [dot(x + a, y + b, 3.6, FORGET, 0.95) for a, b in forget]
  parts += [dot(292, 244, 5, RETAIN), text(304, 249, 'retain', size=13),
            dot(392, 244, 5, FORGET), text(404, 249, 'forget', size=13)]
  return drawing(770, 266, 'Low and high entanglement', parts)


def rum() -> str:
  """RUM as a fold: three groups, three unlearners, one after the other."""
  parts = []
  names = (('low', 'do nothing'), ('medium', 'fine-tune'), ('high', 'SalUn'))
  for i, (group, method) in enumerate(names):
    x = 128 + 212 * i
    colour = GROUPS[group][0]
    parts += [rect(x + 26, 22, 120, 34, colour, opacity=0.9),
              text(x + 86, 44, f'{group} group', anchor='middle',
                   colour='#ffffff', size=13),
              line(x + 86, 58, x + 86, 84, arrow=True),
              rect(x + 26, 88, 120, 46, PALE, stroke=INK),
              text(x + 86, 116, method, anchor='middle', weight='600'),
              line(x - 40 + (4 if i else 0), 111, x + 22, 111, arrow=True)]
    parts.append(text(x - 8, 101, f'θ{"₀₁₂"[i]}', anchor='middle', size=13))
  parts += [text(14, 116, 'original', weight='600'),
            line(128 + 212 * 2 + 148, 111, 128 + 212 * 2 + 206, 111,
                 arrow=True),
            text(744, 101, 'θ₃', anchor='end', size=13),
            text(764, 116, 'unlearned', weight='600'),
            text(150, 168, 'Each stage starts from the weights of the one '
                 'before, with its own group to forget.', size=13)]
  return drawing(860, 188, 'RUM as a sequence of unlearners', parts)


def tug_of_war() -> str:
  """Three gaps to the oracle, and how they make one figure."""
  parts = []
  oracle, unlearned = (0.60, 0.99, 0.93), (0.72, 0.97, 0.90)
  for i, (name, a, b) in enumerate(zip(
      ('forget', 'retain', 'test'), oracle, unlearned)):
    x = 40 + 200 * i
    parts += [text(x + 60, 24, f'accuracy, {name}', anchor='middle', size=13),
              line(x, 170, x + 120, 170)]
    for j, (value, colour) in enumerate(((a, GREY), (b, OTHER))):
      parts += [rect(x + 14 + 50 * j, 170 - 115 * value, 40, 115 * value,
                     colour, opacity=0.9, radius=2),
                text(x + 34 + 50 * j, 164 - 115 * value, f'{value:.2f}',
                     anchor='middle', size=12)]
    parts.append(text(x + 60, 192, f'1 − |Δ| = {1 - abs(a - b):.2f}',
                      anchor='middle', size=13))
  tow = np.prod([1 - abs(a - b) for a, b in zip(oracle, unlearned)])
  parts += [text(232 - 24, 192, '×', anchor='middle', size=15),
            text(432 - 24, 192, '×', anchor='middle', size=15),
            text(600, 192, f'= ToW {tow:.2f}', size=16, weight='600'),
            rect(600, 70, 14, 14, GREY), text(622, 82, 'oracle', size=13),
            rect(600, 96, 14, 14, OTHER), text(622, 108, 'unlearned', size=13)]
  return drawing(740, 212, 'Tug-of-War as a product of three gaps', parts)


def audits() -> str:
  """Confidences of forgotten and of held-out examples: traces or none."""
  parts, at = [], np.linspace(-4.4, 4.4, 89)
  bell = lambda mean: np.exp(-(at - mean)**2 / 2)
  for i, (name, mean) in enumerate((
      ('still remembered', 1.5), ('no trace', 0.06),
      ('forgotten too far', -1.5))):
    auc = 0.5 + math.erf(mean / 2) / 2
    name = f'{name}: AUC {auc:.2f}'
    x, y = 135 + 245 * i, 150
    parts += [text(x, 28, name, anchor='middle', weight='600', size=13),
              line(x - 105, y, x + 105, y)]
    for colour, heights in ((GREY, bell(0)), (FORGET, bell(mean))):
      ends = np.pad(heights, 1), np.pad(at, 1, mode='edge')
      points = ' '.join(f'{x + 24 * a:.1f},{y - 95 * h:.1f}'
                        for h, a in zip(*ends))
      parts.append(f'<polygon points="{points}" fill="{colour}" '
                   f'fill-opacity="0.35" stroke="{colour}"/>')
    parts.append(text(x, 170, 'confidence →', anchor='middle', size=12))
  parts += [dot(262, 194, 5, GREY), text(274, 199, 'held out', size=13),
            dot(392, 194, 5, FORGET), text(404, 199, 'forgotten', size=13)]
  return drawing(760, 214, 'Confidences beside those of held-out examples',
                 parts)


def drawn() -> dict[str, str]:
  """Name of each file in docs/pictures to its text."""
  results = records.read(
      Results, HERE.parent / 'results' / 'digits_mlp.json')
  return {'closeness.svg': closeness(results), 'sets.svg': sets(),
          'memorization.svg': memorization(), 'rum.svg': rum(),
          'entanglement.svg': entanglement(), 'audits.svg': audits(),
          'tug_of_war.svg': tug_of_war()}


def main() -> None:
  """Writes all files."""
  for name, svg in drawn().items():
    (HERE / 'pictures' / name).write_text(svg)


if __name__ == '__main__':
  main()
