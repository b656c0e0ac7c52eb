"""The parts of an HTML page without external files.

Every function takes plain text and returns markup. Text is escaped only here.
Only `figure` takes markup, an SVG picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import html
import json
import re
from typing import NamedTuple

from rum_jax.reporting.style import SCRIPT, STYLE

PHONE = 3  # Columns that a phone shows.


class Cell(NamedTuple):
  """A cell of a table.

  Attributes:
    text: its content.
    seeds: the values of all seeds, shown while the pointer is over the cell.
  """

  text: str
  seeds: str = ''


class Line(NamedTuple):
  """A row of a table.

  Attributes:
    cells: the cells; the first one is the heading of the row.
    kind: `best`, `aside` or empty, for the style.
    name: the whole name of the row, for a table without groups.
  """

  cells: Sequence[str | Cell]
  kind: str = ''
  name: str = ''


def words(plain: object) -> str:
  """Escapes text; makes RUM^F a superscript and keeps figures on one line."""
  whole = re.sub(' ([±−]) ', '\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}',
                 str(plain))
  return html.escape(whole).replace('RUM^F', 'RUM<sup>F</sup>')


def paragraph(plain: str, kind: str = '') -> str:
  """A paragraph; kind is `lead`, `note` or nothing."""
  return f'<p{_class(kind)}>{words(plain)}</p>'


def items(sentences: Iterable[str], kind: str = '') -> str:
  """A list; kind is `columns`, two of them on a desktop, or nothing."""
  made = ''.join(f'<li>{words(x)}</li>' for x in sentences)
  return f'<ul{_class(kind)}>{made}</ul>'


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
  """A table that scrolls in its own box if it is too wide.

  Args:
    caption: the text above the table.
    head: the headings of the columns.
    bodies: a heading, or nothing, and rows, for each group of rows.
    kind: `words` if the cells hold words instead of numbers.
  """
  columns = ''.join(f'<th scope="col">{words(x)}</th>' for x in head)
  whole = '' if len(head) <= PHONE else (
      '<label class="all"><input type="checkbox"> All columns</label>')
  return (f'<div class="scroll" role="region" tabindex="0" '
          f'aria-label="{html.escape(caption)}">{whole}<table{_class(kind)}>'
          f'<caption><p>{words(caption)}</p></caption>'
          f'<thead><tr>{columns}</tr></thead>'
          f'{"".join(_body(*body, len(head)) for body in bodies)}'
          '</table></div>')


def _body(heading: str, lines: Sequence[Line], columns: int) -> str:
  rows = [f'<tr><th scope="rowgroup">{words(heading)}</th>'
          f'<td colspan="{columns - 1}"></td></tr>'] if heading else []
  for (first, *rest), kind, name in lines:
    mark = ' <span class="mark">best ToW</span>' if kind == 'best' else ''
    whole = html.escape(words(name) + mark)
    whole = f' data-name="{whole}"' if name else ''
    rows.append(
        f'<tr{_class(kind)}{whole}><th scope="row">{words(first)}{mark}</th>'
        f'{"".join(map(_cell, rest))}</tr>')
  return f'<tbody>{"".join(rows)}</tbody>'


def _cell(cell: str | Cell) -> str:
  text, seeds = (cell, '') if isinstance(cell, str) else cell
  softened = re.sub('(±.*)', r'<span class="ci">\1</span>', words(text))
  tip = html.escape(seeds)
  made = f' data-seeds="{tip}" title="{tip}"' if seeds else ''
  broken = softened.replace('\n', '<br>')
  return f'<td{made}>{broken}</td>'


def _class(kind: str) -> str:
  return f' class="{kind}"' if kind else ''


def folded(summary: str, *parts: str) -> str:
  """Parts that a reader can unfold; they are printed unfolded."""
  return (f'<details><summary>{words(summary)}</summary>{"".join(parts)}'
          '</details>')


def section(heading: str, *parts: str, kind: str = '') -> str:
  """A section with a heading; kind is `appendix` or empty."""
  return (f'<section{_class(kind)}><h2>{words(heading)}</h2>{"".join(parts)}'
          '</section>')


def beside(first: str, *second: str, kind: str = '') -> str:
  """Two parts, next to each other on a desktop and stacked on a phone."""
  return (f'<div class="{f"beside {kind}".strip()}"><div>{first}</div>'
          f'<div>{"".join(second)}</div></div>')


def facts(things: Mapping[str, object]) -> str:
  """Names and short values, two pairs in a line where there is room."""
  return terms(things).replace('<dl>', '<dl class="facts">', 1)


class Number(NamedTuple):
  """A figure of the first screen.

  Attributes:
    value: as people read it.
    interval: its 95 % interval, in words.
    meaning: what it is.
    others: what it is compared with.
  """

  value: str
  interval: str
  meaning: str
  others: Sequence[str] = ()


def verdict(question: str, answer: str, kind: str, sentence: str,
            numbers: Sequence[Number], reason: str, picture: str) -> str:
  """The first screen: an answer, three numbers, one picture, and the reason.

  Args:
    question: that is answered.
    answer: a word or two.
    kind: `good`, `bad`, `open` or `plain`: its colour.
    sentence: what the answer means here.
    numbers: at most three.
    reason: why.
    picture: a figure.
  """
  made = ''.join(
      f'<li><strong>{words(x.value)}</strong><i>{words(x.interval)}</i>'
      f'{words(x.meaning)}{"".join(f"<i>{words(y)}</i>" for y in x.others)}'
      '</li>' for x in numbers)
  left = (f'<h2>{words(question)}</h2><p class="answer">{words(answer)}</p>'
          f'<p class="says">{words(sentence)}</p>'
          f'<ul class="numbers">{made}</ul>{paragraph(reason)}')
  return (f'<section class="verdict {kind}">{beside(left, picture)}'
          '</section>')


def document(title: str, lead: str, *sections: str) -> str:
  """The whole page."""
  named = json.dumps(title, ensure_ascii=False).replace('<', '\\3c ')
  return (
      '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
      '<meta name="viewport" content="width=device-width, initial-scale=1">'
      f'<title>{html.escape(title)}</title><style>{STYLE}'
      f':root {{ --title: {named} }}</style></head>\n'
      f'<body><header><h1>{words(title)}</h1>{paragraph(lead, "lead")}'
      '</header>\n<main>\n' + '\n'.join(sections) +
      f'\n</main><script>{SCRIPT}</script></body></html>\n')
