"""The page of evidence: the answer first, the glossary last, no pictures."""

from __future__ import annotations

import dataclasses
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from rum_jax import audits, reporting
from rum_jax.reporting.figures import evidence as figures
from tests.audits.simulated import REQUEST, World
from tests.reporting.pages import Page


@pytest.fixture(scope='module')
def found():
  """Evidence without retrained models, with them, and of a second request."""
  world = World(forget=60, held_out=400)
  label = {'forget_label': np.arange(60) % 2, 'classes': ('cat', 'dog'),
           'held_out_label': np.arange(400) % 2}
  original = world.observed(1, 3.0)
  request = dataclasses.replace(REQUEST, earlier=(audits.Earlier(
      date='2026-01-02', rows=(1, 2), method='salun'),))
  return {
      'alone': audits.assemble(REQUEST, original, world.observed(
          2, relearned=0.0), **label),
      'oracles': audits.assemble(REQUEST, original, original, world.observed(4),
                                 **label),
      'second': audits.assemble(request, original, world.observed(
          1, -2.0, recalibrated=2.0), new=np.arange(20), **label),
      'nothing': audits.assemble(REQUEST, world.observed(
          1, held_out=False), world.observed(1, held_out=False),
                                 batch_norm=False)}


def page(evidence):
  return reporting.evidence_page(evidence, {})


@pytest.mark.parametrize('kind, answer', [
    ('alone', 'No trace found'), ('oracles', 'No'), ('second', 'Traces found'),
    ('nothing', 'Cannot tell')])
def test_the_answer_comes_first_and_the_glossary_last(found, kind, answer):
  text = page(found[kind])
  parsed = Page(text)
  heads = re.findall('<h2>(.*?)</h2>', text)
  assert heads[0] == found[kind].verdict.question
  assert heads[-1] == 'What the words mean'
  assert f'<p class="answer">{answer}</p>' in text
  assert text.index('class="answer"') < text.index('<table')
  assert 'It is no certificate' in text.split('<table')[0]
  assert parsed.count('h1') == 1 and not parsed.links
  assert not re.search(r'url\(|@import|<script [^>]*src|<link', text)
  assert 'nan' not in re.sub('<style>.*?</style>|<script>.*?</script>', '',
                             text, flags=re.DOTALL).lower()


def test_three_numbers_with_intervals_stand_on_the_first_screen(found):
  first = page(found['alone']).split('</section>')[0]
  assert first.count('<li><strong>') == 3 and first.count(' to ') >= 3
  assert 'before 100.0' in first
  first = page(found['nothing']).split('</section>')[0]
  assert first.count('<li><strong>') == 2


def test_the_page_says_what_was_done_with_which_files_and_how(found):
  text = page(found['alone'])
  for said in ('rows.txt', 'model.safetensors', 'SHA-256 ef', 'rum-jax unlearn',
               '2026-11-28T19:00:00Z', 'Time: unlearning', '2 s', 'epochs 2',
               'cat 30, dog 30', '0.7'):
    assert said in text


def test_a_second_request_shows_new_rows_and_the_union(found):
  text = page(found['second'])
  assert 'shows of 20 forgotten rows' in text
  first = text.split('<table')[0]
  assert 'those of earlier requests included: traces found' in first
  assert 'Appendix: all 60 forgotten rows' in text
  assert '2026-01-02: 2 rows by SalUn' in text
  assert 'An AUC below 0.5 means' in text


def test_the_worse_answer_of_two_stands_first(found):
  second = found['second']
  new, union = second.parts
  mild = dataclasses.replace(second, parts=(dataclasses.replace(
      new, verdict=dataclasses.replace(
          new.verdict, answer='no trace found')), union))
  assert mild.verdict.answer == 'traces found' and mild.worst_first[0] is union
  first = page(mild).split('<table')[0]
  assert 'Traces found' in first and 'all 60 rows of this request' in first
  assert 'The 20 forgotten rows of this request alone: no trace' in first


def test_the_copy_that_was_written_is_shown_beside_the_mean(found):
  alone = found['alone']
  assert alone.written is None and 'written copy' not in page(alone)
  request = dataclasses.replace(
      REQUEST, seeds=(1, 0), weights_out=audits.File(name='a', sha256='ef'))
  evidence = dataclasses.replace(alone, request=request)
  assert evidence.written == 1
  own = alone.parts[0].unlearned.forget_accuracy.values[1]
  first = page(evidence).split('</section>')[0]
  assert 'mean of 2 copies' in first
  assert f'the written copy {100 * own:.1f}' in first.replace('&nbsp;', ' ')
  assert 'The written copy</th>' in page(evidence)


def test_a_check_that_was_not_run_is_not_said_to_be_out_of_place(found):
  text = page(found['alone'])
  assert 'The batch-norm check was not run.' in text
  assert 'not applicable' not in text


def test_no_trace_is_no_yes_and_has_no_colour(found):
  assert '<section class="verdict plain">' in page(found['alone'])
  assert '<section class="verdict bad">' in page(found['oracles'])


def test_less_confidence_than_in_new_examples_is_told_apart():
  world = World(forget=60, held_out=400)
  evidence = audits.assemble(
      REQUEST, world.observed(1, 3.0), world.observed(1, -2.0))
  first = page(evidence).split('</section>')[0]
  assert 'Traces found' in first
  assert 'It forgot too much, or these rows are harder' in first


def test_what_was_not_measured_is_said(found):
  text = page(found['nothing'])
  for said in ('no held-out examples', 'no batch-norm', 'was not run',
               'one unlearned model'):
    assert said in text


@pytest.mark.parametrize('kind', ['alone', 'oracles', 'second', 'nothing'])
def test_pictures_are_drawn_of_what_there_is(found, kind):
  drawn = figures.all_of(found[kind].parts)
  for svg in filter(None, drawn.values()):
    ElementTree.fromstring(svg)
  assert bool(drawn['checks']) == bool(found[kind].verdict.checks)
  panels = 3 if kind == 'oracles' else 2
  titles = ('before', 'after', 'retrained without')
  assert sum(x in drawn['confidences'] for x in titles) == panels
  text = reporting.evidence_page(found[kind], drawn)
  assert Page(text).count('figure') == sum(map(bool, drawn.values()))


def test_forgotten_rows_are_shown_only_where_they_are_given(found):
  assert 'shown because' not in page(found['alone'])
  svg = figures.forgotten(np.zeros((3, 4, 4, 1), np.uint8), np.arange(3) % 2,
                          np.array([3, 5, 8]), ('cat', 'dog'))
  assert svg.count('<image') == 3 and 'row 8' in svg
  text = reporting.evidence_page(found['alone'], {'forgotten': svg})
  assert 'shown because it was asked for' in text


def test_what_a_request_says_is_escaped(found):
  request = dataclasses.replace(REQUEST, command='<b>&', data='</style><b>')
  evidence = dataclasses.replace(found['alone'], request=request)
  assert '<b>&' not in page(evidence) and '</style><b>' not in page(evidence)


def test_after_a_search_the_other_half_is_judged_and_the_page_says_so():
  world, half = World(forget=60, held_out=400), np.arange(0, 60, 2)
  observed = world.observed(1), world.observed(2)
  whole = audits.assemble(REQUEST, *observed)
  found = audits.assemble(REQUEST, *observed,
                          unseen=(half, np.arange(0, 400, 2)))
  assert (found.parts[0].size, found.held_out) == (30, 200)
  cut = lambda x, rows: audits.Known(
      *(type(s)(s.loss[:, r], s.score[:, r]) for s, r in zip(x.models, rows)))
  rows = half, np.arange(400), np.arange(0, 400, 2)
  alone = audits.assemble(REQUEST, *(
      audits.Observed(cut(x, rows)) for x in observed))
  assert found.parts[0].unlearned.attack == alone.parts[0].unlearned.attack
  assert found.judged.forget_accuracy['unlearned'] == (
      whole.parts[0].unlearned.forget_accuracy)
  text = page(found)
  assert 'the other half: 30 rows and 200 held-out examples' in text
  assert 'still shows of 60 forgotten rows' in text
  assert 'all rows of this request, with the half of the search' in text
