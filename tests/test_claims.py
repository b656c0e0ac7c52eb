"""What pages say of results by hand: nothing that results could contradict.

Sentences that compare methods, or name a winner, are written by
`experiments.readme` from the results. What is typed by hand is here with the
check of the results that it speaks of.
"""

from __future__ import annotations

from collections.abc import Callable
import json
import pathlib
import re
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGES = (*sorted(ROOT.glob('*.md')), ROOT / 'results' / 'README.md',
         ROOT / 'rum_jax' / 'memorization' / 'measured' / 'README.md',
         *(x for x in sorted((ROOT / 'docs').rglob('*.md'))
           if '_build' not in x.parts))
COMPARES = re.compile(
    r'\b(best|better|worse|worst|ahead|winner|wins|beats?|highest|lowest|'
    r'closest|nearest|outperform\w*|hurts?|helps|improves?|surpass\w*|'
    r'superior|inferior|harder|easier|(?:is|are|was|were) (?:above|below))\b',
    re.IGNORECASE)
METHODS = re.compile(
    r'\b(RUM|ToW|methods?|rows?|variants?|vanilla|matched|shuffle|refine\w*|'
    r'prox(?:y|ies)|doing nothing|oracles?|Fine-?tun\w*|L1-sparse|NegGrad\+?|'
    r'SalUn|SCRUB|SSD|Random label|Influence|Bad teacher|CF-k|EU-k|Fisher)\b')
# They say what a word means or how something is chosen, and are true of any
# results.
OF_WORDS = (
    'A method that does not beat it did harm.',
    'nothing, fine-tune, SalUn | the best of all choices of a main method for '
    'each group, by the tuning seeds |')


def sentences(text: str) -> list[str]:
  """What is typed by hand on a page, without code and generated blocks."""
  for pattern in (r'<!-- ([\w:]+) -->\n.*?<!-- /\1 -->', r'^```.*?^```',
                  r'^(?: {4}.*\n?)+'):
    text = re.sub(pattern, '', text, flags=re.DOTALL | re.MULTILINE
                  if '.*?' in pattern else re.MULTILINE)
  found = re.split(r'(?<=[.:;!?])\s+|\n\s*\n|\n\s*[*|-] ', text)
  return [' '.join(x.split()) for x in found]


def test_no_page_compares_methods_by_hand():
  wrong = [(str(page.relative_to(ROOT)), text) for page in PAGES
           for text in sentences(page.read_text())
           if COMPARES.search(text) and METHODS.search(text)
           and text not in OF_WORDS]
  assert not wrong, '\n'.join(map(str, wrong))


def test_comparisons_are_found_and_generated_ones_are_left_alone():
  page = ('Full RUM is the best row.\n\n<!-- a:b -->\nSalUn is worse.\n'
          '<!-- /a:b -->\n\n    SSD is better\n\n```\nSCRUB wins\n```\n\n'
          '* Fine-tuning\n  helps.\n')
  found = [x for x in sentences(page) if COMPARES.search(x)]
  assert found == ['Full RUM is the best row.', '* Fine-tuning helps.']


def result(name: str) -> Any:
  return json.loads((ROOT / 'results' / f'{name}.json').read_text())


def search_is_as_told() -> bool:
  tuned = json.loads((ROOT / 'rum_jax' / 'recipes' / 'cifar10_small.json')
                     .read_text())
  each = [x['settings_tried'] / len(tuned['methods'][name])
          for name, x in tuned['searched'].items() if name != 'rum']
  return set(each) == {3} and (len(tuned['methods']) + 1)**3 == 125


def memorized(name: str, fit: float, median: float) -> bool:
  """Whether models fit their subsets, and half the scores are above this."""
  found = result(f'memorization_{name}')
  return (found['fit']['mean'] > fit
          and found['correctness']['quantiles']['0.5'] > median)


# The beginning of a sentence that is typed by hand, and what must hold.
CLAIMS: dict[str, Callable[[], bool]] = {
    'Three settings were tried for each variant of a method, and all 125':
        search_is_as_told,
    'A small network that sees 3,500 of 5,000 memorizes nearly all':
        lambda: memorized('cifar100_5000_mlp', 0.95, 0.9),
    'It fits its subset but has a low accuracy on other examples, so most':
        lambda: memorized('cifar10_5000_mlp', 0.99, 0.5)}


@pytest.mark.parametrize('sentence', CLAIMS)
def test_what_is_typed_by_hand_is_there_and_holds(sentence):
  assert any(sentence in ' '.join(x.read_text().split()) for x in PAGES)
  assert CLAIMS[sentence]()


def test_the_list_of_results_says_how_many_seeds_and_models_each_has():
  page = (ROOT / 'results' / 'README.md').read_text()
  rows = re.findall(r'^\| (.*?) \| .* \| (done: .*?) \|$', page, re.MULTILINE)
  checked = set()
  for files, state in rows:
    for name in re.findall(r'`(\w+)\.json`', files):
      number, what = re.findall(r'(\d+) (seeds|models)', state)[0]
      found = result(name)
      count = len(found['seeds']) if 'seeds' in found else found.get(
          'models', found.get('recipe', {}).get('seeds'))
      assert count == int(number), (name, what, count)
      checked.add(name)
  assert {'digits_mlp', 'digits_cnn', 'digits_mlp_all'} <= checked
