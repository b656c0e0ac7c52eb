"""The parts of an HTML page that needs nothing but itself: style and markup.

Every function takes plain words and returns markup; words are escaped here and
nowhere else. Only `figure` takes markup, an SVG picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import html
import re
from typing import NamedTuple

STYLE = """
:root { color-scheme: light dark; --page: #fdfdfb; --ink: #1c1e21;
  --soft: #5c6167; --line: #dcdcd6; --tint: #f0f4ee; --accent: #00664c;
  --sans: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue',
    Arial, sans-serif }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #15171a; --ink: #e3e4e6; --soft: #a3a8ae; --line: #35393e;
    --tint: #1e2723; --accent: #5fc8a5 } }
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100% }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 66rem;
  background: var(--page); color: var(--ink);
  font: 1.0625rem/1.6 Charter, 'Bitstream Charter', 'Sitka Text', Cambria,
    Georgia, serif; overflow-wrap: break-word }
h1, h2, h3 { line-height: 1.2; text-wrap: balance }
h1 { margin: 0 0 .5rem; font-size: clamp(1.7rem, 5vw, 2.4rem) }
h2 { margin: 3.25rem 0 .75rem; padding-top: .6rem; font-size: 1.35rem;
  border-top: 1px solid var(--line) }
p, ul, dl, figcaption { max-width: 42rem }
p { margin: .75rem 0 }
.lead { font-size: 1.15rem; color: var(--soft) }
.note, figcaption, caption { font: .875rem/1.5 var(--sans);
  color: var(--soft) }
ul { margin: .75rem 0; padding-left: 1.1rem }
li { margin: .45rem 0 }
sup { line-height: 0; font-size: .7em }
dl { display: grid; grid-template-columns: minmax(6.5rem, max-content) 1fr;
  gap: .4rem 1.1rem; margin: 1rem 0; font: .9375rem/1.5 var(--sans) }
dt { font-weight: 600 }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere }
figure { margin: 1.5rem 0 }
figure svg { display: block; width: 100%; max-width: 34rem; height: auto;
  font-family: var(--sans) }
figcaption { margin-top: .6rem }
.scroll { margin: 1.25rem 0; overflow-x: auto }
.scroll:focus-visible, summary:focus-visible { outline: 2px solid
  var(--accent); outline-offset: 2px }
table { border-collapse: collapse; font: .8125rem/1.45 var(--sans);
  font-variant-numeric: tabular-nums lining-nums }
caption { text-align: left }
caption p { position: sticky; left: 0; width: max-content; margin: 0 0 .5rem;
  max-width: min(42rem, 100vw - 2.5rem) }
th, td { padding: .3rem .35rem; text-align: right; vertical-align: top;
  white-space: nowrap }
th:first-child { position: sticky; left: 0; padding-left: 0; text-align: left;
  background: var(--page); font-weight: 400 }
thead th, thead th:first-child, th[scope=rowgroup] { font-weight: 600 }
thead th { border-bottom: 1px solid var(--ink); vertical-align: bottom }
tbody { border-bottom: 1px solid var(--line) }
th[scope=rowgroup] + td { padding: 0 }
.words td, .words th { text-align: left }
.words td { white-space: normal; min-width: 11rem }
.ci { color: var(--soft) }
.best th, .best td { background: var(--tint) }
.best th, .best th + td { font-weight: 700 }
.best .ci { font-weight: 400 }
.best th[scope=row] { padding-left: .4rem }
.aside th, .aside td { color: var(--soft) }
.mark { padding: 0 .4em; border-radius: .6em; font-size: .75rem;
  background: var(--accent); color: var(--page) }
summary { cursor: pointer; font: 600 .9375rem/1.5 var(--sans) }
@media (min-width: 48rem), print {
  details dl { grid-template-columns: max-content 1fr max-content 1fr;
    max-width: none } }
@media (max-width: 34rem) {
  body { padding-top: 1.5rem }
  dl { grid-template-columns: 1fr; gap: 0 }
  dd { margin-bottom: .6rem } }
@media print {
  @page { margin: 14mm }
  body { max-width: none; padding: 0; font-size: 10pt; --page: #fff }
  h2 { margin-top: 1.5rem; break-after: avoid }
  .note, figcaption, caption, dl, summary { font-size: 8.5pt }
  .scroll { overflow: visible }
  .scroll th, .scroll td { position: static; padding: .15rem .35rem;
    font-size: 7.2pt }
  .words td { min-width: 0 }
  figure, .scroll, tbody, tr, li, dt, dd, p { break-inside: avoid }
  summary, caption, thead { break-after: avoid }
  figure svg { max-width: 105mm }
  caption p { max-width: none; width: auto }
  .best th, .best td, .mark { print-color-adjust: exact }
  details::details-content { content-visibility: visible; block-size: auto } }
"""


class Line(NamedTuple):
  """A row of a table.

  Attributes:
    cells: the first is the row's heading.
    kind: `best`, `aside` or nothing: how it is set.
  """

  cells: Sequence[str]
  kind: str = ''


def words(plain: object) -> str:
  """Escapes words; sets F high in RUM^F and keeps figures on one line."""
  whole = re.sub(' ([±−]) ', '\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}',
                 str(plain))
  return html.escape(whole).replace('RUM^F', 'RUM<sup>F</sup>')


def paragraph(plain: str, kind: str = '') -> str:
  """A paragraph; kind is `lead`, `note` or nothing."""
  return f'<p{_class(kind)}>{words(plain)}</p>'


def items(sentences: Iterable[str]) -> str:
  """A list."""
  return f'<ul>{"".join(f"<li>{words(x)}</li>" for x in sentences)}</ul>'


def terms(meanings: Mapping[str, object]) -> str:
  """Names and what they mean."""
  pairs = (f'<dt>{words(name)}</dt><dd>{words(meaning)}</dd>'
           for name, meaning in meanings.items())
  return f'<dl>{"".join(pairs)}</dl>'


def figure(picture: str, caption: str) -> str:
  """An SVG picture with its caption; nothing where there is no picture."""
  if not picture:
    return ''
  return (f'<figure>{picture}<figcaption>{words(caption)}</figcaption>'
          '</figure>')


def table(caption: str, head: Sequence[str],
          bodies: Sequence[tuple[str, Sequence[Line]]], kind: str = '') -> str:
  """A table that scrolls in its own box where it is too wide.

  Args:
    caption: stands above it.
    head: the headings of the columns.
    bodies: a heading, or nothing, and rows, for each group of rows.
    kind: `words` if the cells hold words instead of numbers.
  """
  columns = ''.join(f'<th scope="col">{words(x)}</th>' for x in head)
  return (f'<div class="scroll" role="region" tabindex="0" '
          f'aria-label="{html.escape(caption)}"><table{_class(kind)}>'
          f'<caption><p>{words(caption)}</p></caption>'
          f'<thead><tr>{columns}</tr></thead>'
          f'{"".join(_body(*body, len(head)) for body in bodies)}'
          '</table></div>')


def _body(heading: str, lines: Sequence[Line], columns: int) -> str:
  rows = [f'<tr><th scope="rowgroup">{words(heading)}</th>'
          f'<td colspan="{columns - 1}"></td></tr>'] if heading else []
  for (first, *rest), kind in lines:
    mark = ' <span class="mark">best</span>' if kind == 'best' else ''
    cells = ''.join(f'<td>{_cell(x)}</td>' for x in rest)
    rows.append(f'<tr{_class(kind)}><th scope="row">{words(first)}{mark}</th>'
                f'{cells}</tr>')
  return f'<tbody>{"".join(rows)}</tbody>'


def _cell(plain: str) -> str:
  softened = re.sub('(±.*)', r'<span class="ci">\1</span>', words(plain))
  return softened.replace('\n', '<br>')


def _class(kind: str) -> str:
  return f' class="{kind}"' if kind else ''


def folded(summary: str, *parts: str) -> str:
  """Parts that a reader unfolds; a printer always does."""
  return (f'<details><summary>{words(summary)}</summary>{"".join(parts)}'
          '</details>')


def section(heading: str, *parts: str) -> str:
  """A heading and what stands under it."""
  return f'<section><h2>{words(heading)}</h2>{"".join(parts)}</section>'


def document(title: str, lead: str, *sections: str) -> str:
  """The whole page."""
  return (
      '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
      '<meta name="viewport" content="width=device-width, initial-scale=1">'
      f'<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n'
      f'<body><header><h1>{words(title)}</h1>{paragraph(lead, "lead")}'
      '</header>\n<main>\n' + '\n'.join(sections) + '\n</main></body></html>\n')
