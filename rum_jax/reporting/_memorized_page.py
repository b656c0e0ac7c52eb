"""The page on what models memorize of somebody's own data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rum_jax import reporting
from rum_jax.memorization.reliability import MemorizationFile
from rum_jax.reporting import markup, sentences
from rum_jax.reporting.markup import section
from rum_jax.reporting.vocabulary import counted
from rum_jax.types import AnyArray


def memorized_page(
    record: MemorizationFile,
    name: str,
    image: AnyArray,
    label: AnyArray,
    row: np.ndarray,
    classes: Sequence[str],
    score: np.ndarray,
    suspects: np.ndarray,
    rule: str,
    shown: int = 24,
) -> str:
  """One HTML page: the most memorized images, suspects, histogram, reliability.

  Args:
    record: how reliable the scores are.
    name: of the data.
    image: `[N, H, W, C]` uint8 training images, C is 1 or 3.
    label: `[N]`.
    row: `[N]` in the published data.
    classes: names of the K classes.
    score: `[N]` memorization; NaN where it is not known.
    suspects: positions of examples whose labels are likely wrong.
    rule: why they are.
    shown: the most images of a kind.
  """
  known = np.flatnonzero(np.isfinite(score))
  most = known[np.argsort(-score[known], kind='stable')][:shown]

  def drawn(places: np.ndarray, caption: str) -> str:
    if not len(places):
      return ''
    return markup.figure(reporting.figures.ranked(
        np.asarray(image)[places], np.asarray(label)[places], row[places],
        classes, score[places]), caption)

  return markup.document(
      f'What models memorize of {name}',
      f'{counted(record.models, "model")} on random parts of '
      f'{counted(len(score), "training example")}. The memorization of an '
      'example is how much more often models that trained on it are right '
      'about it than models that did not.',
      section('The most memorized images', drawn(
          most, 'Label, row and memorization; at 1, only models that trained '
                'on an image are right about it.')),
      section('Labels that are likely wrong', markup.paragraph(
          f'{counted(len(suspects), "example")}: {rule}. Some are hard images '
          'with right labels; a person should look.' if len(suspects) else
          f'None was found. Looked for: {rule}.'), drawn(
              suspects[:shown], 'The most memorized of them. suspects.csv '
              'lists all.')),
      section('All examples', markup.figure(
          reporting.figures.memorization_histogram(
              score, np.full(len(score), -1)),
          'How many examples are memorized how much.')),
      section('How reliable the scores are',
              markup.items(_sentence(x) for x in sentences.lines(record))))


def _sentence(line: str) -> str:
  """A line of a terminal as a sentence of a page."""
  line = line.strip().replace(' -', ' −').rstrip('.')
  return f'{line[:1].upper()}{line[1:]}.'
