"""Reads a page as a browser would."""

from __future__ import annotations

import html.parser

VOID = {'area', 'base', 'br', 'col', 'hr', 'img', 'input', 'link', 'meta'}


class Page(html.parser.HTMLParser):
  """Checks that tags are closed in order, and gathers what stands in them."""

  def __init__(self, text):
    super().__init__()
    self.open, self.links, self.tags, self.ids = [], [], [], []
    self.feed(text)
    self.close()
    assert not self.open, self.open

  def handle_starttag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))
    self.links += [value for name, value in attrs
                   if name in ('src', 'href', 'xlink:href', 'action')]
    self.ids += [value for name, value in attrs if name == 'id']
    if tag not in VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.handle_starttag(tag, attrs)
    if tag not in VOID:
      self.open.pop()

  def handle_endtag(self, tag):
    assert self.open and self.open.pop() == tag, tag

  def count(self, tag, **attrs):
    return sum(name == tag and attrs.items() <= have.items()
               for name, have in self.tags)
