"""The table, the findings and the page, on made-up runs of three seeds."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from rum_jax import evaluation, records, reporting
from rum_jax.evaluation import results, Results
from rum_jax.reporting import markdown, markup, vocabulary
from rum_jax.reporting._findings import comparisons
from rum_jax.types import GROUPS
from tests.reporting.pages import Page

JITTER = np.array([-0.01, 0.0, 0.01])
TOW = {
    ('do_nothing', 'reference'): 0.60, ('another_oracle', 'reference'): 0.97,
    ('finetune', 'rum_f'): 0.90, ('finetune', 'vanilla'): 0.80,
    ('finetune', 'shuffle'): 0.75, ('finetune', 'matched'): 0.82,
    ('salun', 'vanilla'): 0.70, ('salun', 'matched'): 0.72,
    ('salun', 'shuffle'): 0.74, ('salun', 'rum_f'): 0.50,
    ('rum', 'rum'): 0.95}


def figure(values):
  mean, ci95 = evaluation.confidence_interval(np.asarray(values, float))
  return {'mean': mean, 'ci95': ci95, 'values': [float(v) for v in values]}


def make_row(method, variant, tow, by_group):
  stages = [['salun', {'learning_rate': 0.05, 'epochs': 10}]]
  if variant == 'rum':
    stages = [['identity', {}], ['finetune', {'learning_rate': 0.1}], *stages]
  # Drawn once, so that figures of different rows are paired.
  same = {name: figure(tow + JITTER) for name in (
      'tow', 'tow_by_group', 'tow_mia', 'mia_gap', 'forget_accuracy',
      'retain_accuracy', 'test_accuracy')}
  return {
      'method': method, 'variant': variant, **same,
      'seconds': figure([0.25] * 3), 'compile_seconds': 1.5,
      'steps': [20] * len(stages), 'diverged': [], 'probes': [],
      'groups': {group: {'tow': figure(value + JITTER),
                         'forget_accuracy': figure(value + JITTER)}
                 for group, value in zip(GROUPS, by_group, strict=True)},
      'setting': None if variant == 'reference' else stages}


def make_results(tow=None, by_group=(0.99, 0.70, 0.10), spread=0.001):
  """JSON of results whose pairs differ by their ToW, give or take `spread`."""
  tow = {**TOW, **(tow or {})}
  made = [make_row(*name, value, by_group) for name, value in tow.items()]
  gap = spread * np.array([-1, 0, 1])
  differences = [
      {'method': method, 'minus': control, 'verdicts': {},
       **{x: figure(tow[method, 'rum_f'] - tow[method, control] + gap)
          for x in ('tow', 'tow_by_group', 'tow_mia', 'mia_gap')}}
      for method in ('finetune', 'salun') for control in results.CONTROLS]
  about = {'size': 48, 'mean_memorization': 0.5, 'es': figure([9., 10., 11.]),
           'rows': [1, 2], 'positions': [1, 2], 'corrupted': 4,
           'refined_by': 'memorization', 'mean_score': 0.5}
  accuracy = figure(0.9 + JITTER)
  return {
      'schema': 3, 'chance': 0.1, 'margin': 0.02, 'sound': True,
      'warnings': [],
      'recipe': {'dataset': 'digits', 'network': 'mlp', 'held_out': 'test',
                 'corrupt': 0.05, 'scores': '', 'refine_by': 'memorization',
                 'seeds': 3},
      'environment': {'versions': {'jax': '0.10.2'}, 'device': 'cpu',
                      'platform': 'cpu', 'devices': 2, 'cores': 2,
                      'commit': None},
      'data_hash': 'abc123', 'seeds': [0, 1, 2],
      'examples': {'train': 1438, 'held_out': 359}, 'corrupted': [3, 5, 8],
      'groups': {group: about for group in GROUPS},
      'oracle': {'seconds': 0.5, 'mia': accuracy, 'forget_accuracy': accuracy,
                 'retain_accuracy': accuracy, 'test_accuracy': accuracy,
                 'groups': {group: accuracy for group in GROUPS}},
      'rows': made, 'differences': differences}


def row_of(results, method, variant):
  return next(row for row in results['rows']
              if (row['method'], row['variant']) == (method, variant))


def diverge(row, *seeds):
  """Makes seeds of a row fail in its first stage."""
  row['diverged'] = [{'seed': seed, 'stage': 0} for seed in seeds]
  for name, value in row.items():
    if isinstance(value, dict) and 'values' in value and name != 'seconds':
      row[name] = figure([np.nan if i in seeds else x
                          for i, x in enumerate(value['values'])])


def as_json(value):
  """What results.json makes of it: NaN becomes null."""
  text = json.dumps(value)
  return json.loads(re.sub(r'\bNaN\b', 'null', text))


def typed(value):
  """The results that are kept as `value`, with their verdicts."""
  read = records.from_json(Results, value)
  return dataclasses.replace(read, differences=tuple(
      dataclasses.replace(gap, verdicts={
          x.name: x.verdict(x.of(gap)) for x in results.COMPARED})
      for gap in read.differences))


def findings(value):
  return reporting.findings(typed(value))


def table(value):
  return reporting.table(typed(value))


def page(value, pictures):
  return reporting.page(typed(value), pictures)


def verdicts(value):
  """`(row, other)` to the verdict of all comparisons."""
  return {(x.what, x.minus): x.verdict for x in comparisons(typed(value))}


def sentence(results, *, of):
  found = [x for x in findings(results) if x.startswith(of)]
  assert len(found) == 1, found
  return found[0]


@pytest.mark.parametrize('by_group, steps, said', [
    ((0.99, 0.70, 0.10), ['worse', 'worse'], 'as the paper found.'),
    ((0.99, 0.10, 0.70), ['worse', 'better'], 'contradicts the paper.'),
    ((0.99, 0.70, 0.70), ['worse', 'equal'], 'does not get worse at each step'),
    ((0.70, 0.70, 0.70), ['equal', 'equal'], 'does not get worse at each step'),
])
def test_finding_on_memorization_follows_the_numbers(by_group, steps, said):
  value = make_results(by_group=by_group)
  got = verdicts(value)
  assert [got['Do nothing, medium group', 'low group'],
          got['Do nothing, high group', 'medium group']] == steps
  assert said in findings(value)[0]


@pytest.mark.parametrize('tow, spread, kinds, said', [
    (0.90, 0.001, ['better', 'better', 'better'], 'refinement helps.'),
    (0.60, 0.001, ['worse', 'worse', 'worse'], 'refinement hurts.'),
    (0.90, 0.1, ['cannot tell with 3 seeds'] * 3,
     'one cannot tell with 3 seeds whether refinement helps.'),
    (0.81, 0.001, ['equal', 'equal', 'better'],
     'RUM^F is better than shuffle; equal to vanilla and matched.'),
    (0.85, 0.018, ['better', 'cannot tell with 3 seeds', 'better'],
     'RUM^F is better than vanilla and shuffle; with 3 seeds one cannot tell '
     'it from matched.'),
])
def test_finding_on_refinement_follows_the_numbers(tow, spread, kinds, said):
  value = make_results({('finetune', 'rum_f'): tow}, spread=spread)
  got = verdicts(value)
  assert [got['Fine-tune RUM^F', x] for x in results.CONTROLS] == kinds
  assert sentence(value, of='Fine-tune') == f'Fine-tune: {said}'


@pytest.mark.parametrize('values, want', [
    ([0.010, 0.011, 0.012], 'equal'), ([-0.012, -0.011, -0.010], 'equal'),
    ([0.015, 0.018, 0.021], 'better'), ([-0.021, -0.018, -0.015], 'worse'),
    ([-0.01, 0.0, 0.02], 'cannot tell'), ([0.1, np.nan], 'cannot tell'),
    ([np.nan, np.nan], 'cannot tell'), ([0.0, 0.0], 'equal')])
def test_a_verdict_follows_the_interval(values, want):
  gap = evaluation.summary(values)
  assert evaluation.verdict(gap) == want
  turned = {'better': 'worse', 'worse': 'better'}.get(want, want)
  assert evaluation.verdict(gap, lower_is_better=True) == turned
  assert results.MIA_GAP.verdict(gap) == turned
  assert results.TOW.verdict(gap) == want


def test_the_page_has_a_verdict_on_each_figure():
  value = make_results(spread=0.1)
  gap = value['differences'][0]
  gap['tow_mia'] = gap['mia_gap'] = figure([0.20, 0.21, 0.22])
  text = page(value, {})
  assert '+0.210\xa0±\xa00.025<br>better' in text.replace(
      '<span class="ci">', '').replace('</span>', '')
  assert '+0.210\xa0±\xa00.025<br>worse' in text.replace(
      '<span class="ci">', '').replace('</span>', '')


@pytest.mark.parametrize('tow, spread, answer, said', [
    (0.97, 0.001, 'Yes', 'It comes as close to retraining'),
    (0.80, 0.001, 'No', 'It stays further'),
    (0.965, 0.05, 'Cannot tell', '3 seeds are too few to tell it'),
    (0.50, 0.001, 'No', 'No row has a higher ToW than doing nothing')])
def test_the_page_begins_with_a_verdict_that_follows_the_numbers(
    tow, spread, answer, said):
  value = make_results()
  gap = spread * np.array([-1, 0, 1])
  for row in value['rows']:
    if row['variant'] != 'reference':
      row['tow'] = figure(min(tow, 0.59) + JITTER)
  row_of(value, 'rum', 'rum')['tow'] = figure(tow + JITTER + gap)
  text = page(value, {})
  first = text.split('</section>')[0]
  assert f'<p class="answer">{answer}</p>' in first and said in first
  assert first.count('<li><strong>') == 3
  assert text.index('class="answer"') < text.index('<table')
  assert re.findall('<h2>(.*?)</h2>', text)[-1] == 'What the words mean'
  if answer == 'Cannot tell':
    assert 'would show a difference of' in first


def test_a_seed_is_shown_under_the_pointer_and_says_that_it_collapsed():
  value = make_results()
  row_of(value, 'rum', 'rum')['collapsed'] = [1]
  assert 'seed 0: 0.940\nseed 1: 0.950 (collapsed)\nseed 2: 0.960' in (
      page(value, {}))


def test_the_best_row_is_marked_in_the_column_that_it_is_best_in():
  assert '.best th[scope=row], .best th + td { background' in page(
      make_results(), {})
  assert 'best ToW' in page(make_results(), {})


@pytest.mark.parametrize('accuracy, ruined', [(0.44, True), (0.46, False)])
def test_a_row_that_loses_half_of_the_accuracy_ruins_the_network(
    accuracy, ruined):
  value = make_results()
  row_of(value, 'rum', 'rum')['test_accuracy'] = figure(accuracy + JITTER)
  said = [x for x in findings(value) if 'ruins the network:' in x]
  assert said == ruined * [
      f'RUM ruins the network: its test accuracy is {accuracy:.3f}, the '
      'oracle’s 0.900.']


@pytest.mark.parametrize('tow, said', [
    (0.95, 'Full RUM is better than the best RUM^F (Fine-tune), the best '
     'matched (Fine-tune) and the best vanilla (Fine-tune).'),
    (0.85, 'Full RUM is better than the best matched (Fine-tune) and the best '
     'vanilla (Fine-tune); worse than the best RUM^F (Fine-tune).'),
])
def test_finding_on_full_rum_follows_the_numbers(tow, said):
  assert said in findings(make_results({('rum', 'rum'): tow}))


def test_full_rum_of_highest_mean_is_not_the_best_within_the_noise():
  value = make_results()
  row_of(value, 'rum', 'rum')['tow'] = figure([0.70, 0.99, 0.99 + 0.2])
  assert verdicts(value)['RUM', 'Fine-tune RUM^F'] == 'cannot tell with 3 seeds'
  assert ('With 3 seeds one cannot tell full RUM from the best RUM^F '
          '(Fine-tune), the best matched (Fine-tune) and the best vanilla '
          '(Fine-tune).') in findings(value)


def test_finding_on_the_ceiling_follows_the_numbers():
  assert 'The best row, RUM, is worse than a second oracle.' in findings(
      make_results())
  assert 'The best row, RUM, is equal to a second oracle.' in findings(
      make_results({('rum', 'rum'): 0.96}))


def test_the_best_row_is_no_control():
  alike = make_results({('salun', 'shuffle'): 0.99, ('salun', 'matched'): 0.98})
  assert evaluation.winner(typed(alike)).variant == 'rum'
  assert evaluation.best(typed(alike).rows, 'matched').method == 'salun'
  assert '**' not in '\n'.join(
      x for x in markdown.section(typed(alike), 'c').splitlines()
      if 'SalUn' in x)
  assert '| **RUM** | **0.950 ± 0.025** | 0.950' in markdown.section(
      typed(alike), 'c')


def test_nobody_is_best_who_does_no_better_than_nothing():
  value = make_results({('do_nothing', 'reference'): 0.96})
  assert evaluation.winner(typed(value)) is None
  assert not any('The best row' in x for x in findings(value))


def test_the_attack_may_have_another_favourite():
  value = make_results()
  for row in value['rows']:
    row['tow_mia'] = row['tow']
  assert not any('By ToW-MIA' in x for x in findings(value))
  row_of(value, 'rum', 'rum')['tow_mia'] = figure([0.5, 0.6, 0.7])
  row_of(value, 'salun', 'vanilla')['tow_mia'] = figure([0.97, 0.98, 0.99])
  got = sentence(value, of='By ToW-MIA')
  assert 'row is SalUn vanilla (0.980 ± 0.025); RUM has 0.600' in got


def test_finding_on_doing_nothing_names_the_rows_that_are_no_better():
  assert findings(make_results())[-1] == (
      '8 of 9 rows are better than doing nothing; worse: SalUn RUM^F.')


@pytest.mark.parametrize('tow, said', [
    (0.9, 'SalUn vanilla is better than doing nothing.'),
    (0.1, 'SalUn vanilla is worse than doing nothing.'),
    (None, 'SalUn vanilla is equal to doing nothing.')])
def test_finding_on_doing_nothing_names_the_only_row(tow, said):
  value = make_results({('salun', 'vanilla'): tow or 0.5})
  row = row_of(value, 'salun', 'vanilla')
  value['rows'] = [*value['rows'][:2], row]
  row['tow'] = row['tow'] if tow else value['rows'][0]['tow']
  assert said in findings(value)


def test_models_no_better_than_a_guess_are_named_first_and_nobody_is_best():
  value = make_results()
  value['warnings'] = ['The original models are no use.']
  value['sound'] = False
  assert findings(value) == [] and evaluation.winner(typed(value)) is None
  text = table(value)
  assert text.startswith('! The original models are no use.\n\n')
  assert text.count('!') == 10 and 'highest' not in text
  assert 'verdict' not in text
  whole = page(value, {})
  assert whole.index('no use') < whole.index('<table')
  assert 'class="best"' not in whole and 'RUM !' in whole.replace(
      '<sup>F</sup>', '')
  written = markdown.section(typed(value), 'c')
  assert written.index('**The original models are no use.**') < written.index(
      '| method')


def test_collapsed_seeds_are_counted_named_and_never_the_best():
  value = make_results()
  row_of(value, 'rum', 'rum')['collapsed'] = [1]
  said = ('‡ RUM: 1 of 3 seeds collapsed (seed 1): the accuracy on the retain '
          'set is not above that of a guess. It is never the best row.')
  assert said in ' '.join(table(value).split())
  assert evaluation.winner(typed(value)).method == 'finetune'
  whole = page(value, {})
  assert whole.index('collapsed (seed 1)') < whole.index('<table')
  assert 'RUM ‡' in whole and '| RUM ‡ |' in markdown.section(
      typed(value), 'c')


def test_a_class_that_is_forgotten_whole_has_an_accuracy_of_its_own():
  value = make_results()
  assert 'other classes' not in page(value, {}) + table(value)
  value['forgotten_classes'] = ['cat', 'dog']
  for x in (value['oracle'], *value['rows']):
    x['kept_test_accuracy'] = figure(0.123 + JITTER)
  assert page(value, {}).count('0.123') == 12
  said = ' '.join(table(value).split())
  assert 'all examples of cat and dog. Test accuracy on the other' in said
  assert 'RUM 0.123 ± 0.025.' in said


def test_a_row_of_which_all_runs_diverged_has_no_model():
  value = make_results()
  diverge(row_of(value, 'rum', 'rum'), 0, 1, 2)
  value = as_json(value)
  assert '† RUM: all 3 seeds diverged; there is no model.' in table(value)
  assert verdicts(value)['RUM', 'Do nothing'] == 'no seed to compare'
  assert not any('Full RUM' in x for x in findings(value))


def test_what_a_row_needs_beforehand_is_shown_in_retrainings():
  value = make_results()
  row_of(value, 'rum', 'rum')['beforehand_seconds'] = 150.0
  row_of(value, 'finetune', 'rum_f')['beforehand_seconds'] = 150.0
  whole = page(value, {})
  assert '<td>300 retrainings</td><td>not recorded</td>' in whole
  said = ' '.join(table(value).split())
  assert 'chosen by: 300 retrainings.' in said
  assert 'and tuning (not recorded).' in said
  row_of(value, 'rum', 'rum')['tuning_seconds'] = 50.0
  assert 'and tuning (100 retrainings).' in ' '.join(table(value).split())
  assert 'and tuning (100 retrainings).' in markdown.section(typed(value), 'c')
  # The search for RUM holds those for RUM^F, which count once.
  refined = next(x for x in value['rows'] if x['variant'] == 'rum_f')
  refined['tuning_seconds'] = 30.0
  assert 'and tuning (100 retrainings).' in ' '.join(table(value).split())


def test_one_seed_tells_nothing():

  def only_first(value):
    if isinstance(value, list):
      return [only_first(x) for x in value]
    if isinstance(value, dict) and 'values' in value:
      return figure(value['values'][:1])
    if isinstance(value, dict):
      return {key: only_first(x) for key, x in value.items()}
    return value

  results = as_json(only_first(make_results()))
  said = ' '.join(findings(results))
  assert 'Fine-tune: one cannot tell with 1 seed whether refinement' in said
  assert 'With 1 seed one cannot tell full RUM from the best RUM^F' in said
  assert verdicts(results)['RUM', 'Another oracle'] == (
      'cannot tell with 1 seed')
  for word in (': refinement helps', 'hurts', 'worse than', 'equal'):
    assert word not in said
  assert '0 of 9 rows are better' in said
  assert '0.940 ± –' in table(results)


def test_table_puts_references_first_and_marks_the_best_row():
  results = make_results({('another_oracle', 'reference'): 0.99})
  lines = table(results).splitlines()
  names = [line[2:18].strip() for line in lines[1:15]]
  assert names == [
      'Oracle', 'Do nothing', 'Another oracle', 'Fine-tune', 'vanilla',
      'matched', 'shuffle', 'RUM^F', 'SalUn', 'vanilla', 'matched', 'shuffle',
      'RUM^F', 'RUM']
  assert [line for line in lines if line.startswith('*')] == [
      lines[14], '* RUM: the highest mean ToW; matched and shuffle '
      'are controls and do not count.']
  assert '0.950 ± 0.025' in lines[14] and '0.25' in lines[14]
  assert lines[1].split() == ['Oracle', '0.900', '0.900', '0.900', '0.5']
  assert max(map(len, lines)) <= 112
  for words in ('ToW by group', 'ToW-MIA', 'MIA gap', 'retain', 'seconds'):
    assert words in lines[0]
  for words in ('Oracle', 'ToW', 'ToW by group', 'ToW-MIA', 'MIA', 'MIA gap'):
    assert sum(line.startswith(f'{words}: ') for line in lines) == 1
  moved = table(make_results({('salun', 'vanilla'): 0.96}))
  assert '* SalUn vanilla: the highest mean ToW; matched and' in moved


def test_diverged_rows_are_marked_explained_and_never_the_best():
  results = make_results()
  diverge(row_of(results, 'rum', 'rum'), 2)
  diverge(row_of(results, 'salun', 'matched'), 0, 1, 2)
  text = table(as_json(results))
  assert '† RUM diverged with seed 2 in stage 1 of 3; its' in text
  assert '† SalUn matched: all 3 seeds diverged; there is no model.' in text
  assert '* Fine-tune RUM^F: the highest mean ToW; matched and' in text
  lost = next(x for x in text.splitlines() if x.startswith('†   matched'))
  assert lost.split()[2:] == ['–'] * 7 + ['0.25']
  text = page(as_json(results), {})
  assert 'matched †' in text and '† RUM diverged with seed 2' in text
  assert 'nan' not in re.sub('<style>.*?</style>', '', text).lower()


def test_one_row_of_one_group_makes_a_table():
  results = make_results()
  results['rows'] = [*results['rows'][:2], row_of(results, 'rum', 'rum')]
  results['rows'][2].update(method='package.module:factory', variant='vanilla')
  for row in results['rows']:
    row['groups'] = {'forget': row['groups']['low']}
  results['differences'] = []
  text = table(results)
  assert 'package.module:factory\n' in text
  assert '*' not in text and 'highest' not in text
  assert 'best' not in ' '.join(findings(results))
  assert ('- package.module:factory vanilla is worse than a second oracle.'
          in text)
  assert ('- package.module:factory vanilla is better than doing nothing.'
          in text)


def test_nan_and_null_read_the_same():
  results = make_results()
  diverge(row_of(results, 'salun', 'rum_f'), 0, 1)
  assert table(results) == table(as_json(results))
  assert page(results, {}) == page(as_json(results), {})


@pytest.mark.parametrize('mean, ci95, signed, text', [
    (0.95, 0.0239, False, '0.950 ± 0.024'), (0.1, 0.2, True, '+0.100 ± 0.200'),
    (-0.1, None, True, '−0.100'), (-1e-5, 0.0, True, '0.000 ± 0.000'),
    (None, None, False, '–'), (float('nan'), 0.1, False, '–'),
    (0.5, float('nan'), False, '0.500 ± –')])
def test_shown(mean, ci95, signed, text):
  assert vocabulary.shown(mean, ci95, signed) == text


def test_page_is_whole_and_needs_no_other_file():
  picture = ('<svg role="img" aria-label="x" viewBox="0 0 1 1">'
             '<image href="data:image/png;base64,AA=="/></svg>')
  names = ('tow_by_method', 'memorization_histogram', 'examples',
           'tow_by_group', 'embedding', 'cost')
  text = page(make_results(), dict.fromkeys(names, picture))
  parsed = Page(text)
  assert parsed.links == ['data:image/png;base64,AA=='] * 6
  assert not re.search(r'url\(|@import|<script [^>]*src|<link', text)
  assert parsed.count('figure') == parsed.count('figcaption') == 6
  assert parsed.count('h1') == 1 and parsed.count('html', lang='en') == 1
  assert parsed.count('h2') == parsed.count('section') == 10
  assert parsed.count('table') == parsed.count('caption') == 7
  assert parsed.count('tr', **{'class': 'best'}) == 1
  assert parsed.count('th', scope='rowgroup') == 8
  assert all('scope' in have for tag, have in parsed.tags if tag == 'th')
  for term in ('ToW', 'MIA', 'RUM<sup>F</sup>', 'matched', 'shuffle'):
    assert f'<dt>{term}</dt>' in text
  assert 'ES, the entanglement score' in text


def test_page_leaves_out_pictures_that_are_missing():
  assert Page(page(make_results(), {})).count('figure') == 0


def test_page_escapes_what_it_is_given():
  results = make_results()
  results['recipe']['dataset'] = '<b>&'
  text = page(results, {})
  assert '<b>' not in text and '&lt;b&gt;&amp;' in text
  assert markup.words('a < b ± 1') == 'a &lt; b\xa0±\xa01'


def test_page_names_the_proxy_that_the_groups_were_chosen_by():
  results = make_results()
  assert 'by memorization' not in page(results, {}).lower().replace(
      'closeness by memorization', '')
  results['recipe']['refine_by'] = 'held_out_retraining'
  about = {**results['groups']['low'], 'mean_memorization': None,
           'mean_score': 1.25}
  results['groups'] = dict.fromkeys(GROUPS, about)
  text = page(results, {'memorization_histogram': '<svg></svg>'})
  for said in ('48 of high memorization by held out retraining.',
               'Mean memorization by held out retraining',
               'Memorization by held out retraining of all', '<td>1.250</td>'):
    assert said in text


def test_page_says_what_was_run_and_how():
  text = page(make_results(), {})
  for said in ('3 networks (mlp) trained on 1,438 examples of digits, 3 of '
               'which (5 %)', 'forget 144 of them: 48 of low',
               '359 test examples are held out', 'learning_rate 0.05',
               'abc123', '0.10.2'):
    assert said in text


def test_page_shows_what_methods_report_of_themselves():
  results = make_results()
  plain = page(results, {})
  assert 'report of themselves' not in plain
  by_name = {(r['method'], r['variant']): r for r in results['rows']}
  by_name['salun', 'vanilla']['probes'] = [{'density Dense_0 kernel': 0.4321}]
  by_name['rum', 'rum']['probes'] = [{}, {'sparsity': 0.25}, {}]
  shown = page(results, {})
  assert 'What the methods report of themselves' in shown
  assert 'density Dense_0 kernel 0.432' in shown and 'sparsity 0.25' in shown
