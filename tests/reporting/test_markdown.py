"""Tables for the README, from figures made up here."""

from rum_jax.reporting import markdown
from rum_jax.reporting.vocabulary import counted

STEP = {'network': 'cnn', 'image': 32, 'batch': 128, 'what': '8 seeds',
        'microseconds': 38123.4, 'torch_microseconds': 45678.9,
        'times_as_fast': 1.198, 'from_to': [1.014, 1.3],
        'device': 'cpu', 'precision': 'float32'}


HERE = {'device': 'cpu', 'precision': 'float32'}


def test_each_kind_of_figure_has_a_table_on_each_device():
  figures = [
      STEP, {**STEP, 'mebibytes': 410.2, 'torch_mebibytes': 398.6},
      {**{k: v for k, v in STEP.items() if k != 'what'}, 'layer': 'max-pool',
       'pixels': 8, 'loop': 12.34, 'once': 0.96},
      *({'network': n, 'method': m, 'epochs': e, 'of_its_passes': r, **HERE}
        for n, m, e, r in (('mlp', 'salun', 9.96, 1.004),
                           ('mlp', 'ssd', 3.04, 1.21),
                           ('cnn', 'salun', 10.6, 1.046),
                           ('cnn', 'ssd', 8.1, 0.634))),
      {**STEP, 'device': 'H200', 'precision': 'bfloat16',
       'from_to': [1.198, 1.198]},
      {'factor': 'ES', 'seconds': 0.311, 'plain_seconds': 12.2,
       'times_as_fast': 39.2, **HERE}]
  where, steps, layers, algorithms, factors, other, fast = markdown.speed(
      figures).split('\n\n')
  assert (where, other) == ('On cpu, float32:', 'On H200, bfloat16:')
  assert steps.splitlines()[2:] == [
      f'| cnn | 32×32 | 128 | 8 seeds | 38,123 | 45,679 | 1.20 (1.01–1.30) {x}'
      for x in ('|  |  |', '| 410 | 399 |')]
  assert fast.splitlines()[2:] == [
      '| cnn | 32×32 | 128 | 8 seeds | 38,123 | 45,679 | 1.20 |  |  |']
  assert layers.splitlines()[2:] == [
      '| max-pool | 8×8 | 38,123 | 45,679 | 1.20 (1.01–1.30) | 12.3 | 1.0 |']
  assert algorithms.splitlines() == [
      '| method | mlp: epochs | of its passes | cnn: epochs | of its passes |',
      '| --- | --- | --- | --- | --- |',
      '| `salun` | 10.0 | 1.00 | 10.6 | 1.05 |',
      '| `ssd` | 3.0 | 1.21 | 8.1 | 0.63 |']
  assert factors.splitlines()[2:] == ['| ES | 0.31 | 12.20 | 39.2 |']


def test_what_was_not_measured_has_no_table_and_no_figure():
  assert markdown.speed([]) == ''
  works = [{'network': n, 'method': m, 'epochs': 1.0, 'of_its_passes': 1.0,
            **HERE}
           for n, m in (('mlp', 'ssd'), ('mlp', 'salun'), ('cnn', 'ssd'))]
  assert markdown.speed(works).splitlines()[4:] == [
      '| `ssd` | 1.0 | 1.00 | 1.0 | 1.00 |', '| `salun` | 1.0 | 1.00 |  |  |']


def test_a_card_says_what_the_scores_are_of_and_how_far_they_go():
  part = {'quantiles': {'0.5': 0.25}, 'mean_standard_error': 0.1,
          'split_half': {'spearman': 0.5, 'corrected': 0.75, 'low': 0.1,
                         'medium': 0.2, 'high': 0.3}}
  card = markdown.memorization({
      'identity': {'dataset': 'cifar10', 'network': 'mlp', 'epochs': 30,
                   'subset': 0.7},
      'models': 64, 'correctness': part, 'probability': part,
      'fit': {'mean': 1.0, 'least': 0.5, 'fitted': 63, 'models': 64},
      'convergence': [{'models': 50, **part['split_half']}],
      'recommendation': {'sentence': 'Take more.'}}, 'a command').splitlines()
  assert card[0] == ('`a command`: cifar10, mlp, 64 models of 30 epochs on 70% '
                     'of the examples.')
  assert '63 of 64 about 99% or more' in card[2]
  assert card[-1] == '| 50 | 0.500 | 0.750 | 0.100 | 0.200 | 0.300 |'
  assert '* Take more.' in card


def test_one_of_a_thing_is_singular():
  assert [counted(n, 'seed') for n in (0, 1, 2, 3000)] == [
      '0 seeds', '1 seed', '2 seeds', '3,000 seeds']
