"""Tables for the README, from figures made up here."""

from rum_jax import markdown

STEP = {'network': 'cnn', 'image': 32, 'batch': 128, 'what': '8 seeds',
        'microseconds': 38123.4, 'torch_microseconds': 45678.9,
        'times_as_fast': 1.198, 'device': 'cpu', 'precision': 'float32'}


def test_steps_and_algorithms_have_a_table_each():
  figures = [
      STEP, {**STEP, 'mebibytes': 410.2, 'torch_mebibytes': 398.6},
      {'layer': 'max-pool', 'milliseconds': 1.0},
      *({'network': n, 'method': m, 'epochs': e, 'of_its_passes': r}
        for n, m, e, r in (('mlp', 'salun', 9.96, 1.004),
                           ('mlp', 'ssd', 3.04, 1.21),
                           ('cnn', 'salun', 10.6, 1.046),
                           ('cnn', 'ssd', 8.1, 0.634)))]
  figures.append({**STEP, 'device': 'H200', 'precision': 'bfloat16'})
  figures.append({'factor': 'ES', 'seconds': 0.311, 'peer_seconds': 12.2,
                  'times_faster': 39.2})
  where, steps, other, fast, algorithms, factors = markdown.speed(
      figures).split('\n\n')
  assert factors.splitlines()[2:] == ['| ES | 0.31 | 12.20 | 39.2 |']
  assert (where, other) == ('On cpu, float32:', 'On H200, bfloat16:')
  assert len(fast.splitlines()) == 3
  assert steps.splitlines()[2:] == [
      '| cnn | 32×32 | 128 | 8 seeds | 38,123 | 45,679 | 1.20 |  |  |',
      '| cnn | 32×32 | 128 | 8 seeds | 38,123 | 45,679 | 1.20 | 410 | 399 |']
  assert algorithms.splitlines() == [
      '| method | mlp: epochs | of its passes | cnn: epochs | of its passes |',
      '| --- | --- | --- | --- | --- |',
      '| `salun` | 10.0 | 1.00 | 10.6 | 1.05 |',
      '| `ssd` | 3.0 | 1.21 | 8.1 | 0.63 |']


def test_what_was_not_measured_has_no_table_and_no_figure():
  assert markdown.speed([]) == ''
  works = [{'network': n, 'method': m, 'epochs': 1.0, 'of_its_passes': 1.0}
           for n, m in (('mlp', 'ssd'), ('mlp', 'salun'), ('cnn', 'ssd'))]
  assert markdown.speed(works).splitlines()[2:] == [
      '| `ssd` | 1.0 | 1.00 | 1.0 | 1.00 |', '| `salun` | 1.0 | 1.00 |  |  |']
