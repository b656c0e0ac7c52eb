"""Tables for the README, from invented figures."""

import dataclasses
import pathlib

from rum_jax import records
from rum_jax.evaluation.results import Environment, Versions
from rum_jax.memorization.ensemble import Fit
from rum_jax.memorization.reliability import Advice, Estimate, Identity
from rum_jax.memorization.reliability import MemorizationFile, Reliability
from rum_jax.models import kernels
from rum_jax.reporting import markdown, speed
from rum_jax.reporting.speed import AlgorithmCost, FactorCost, Layer, Speed
from rum_jax.reporting.speed import Step
from rum_jax.reporting.vocabulary import counted

ROOT = pathlib.Path(__file__).parents[2]
RATIO = {'microseconds': 38123.4, 'images_a_second': 3357.5,
         'torch_microseconds': 45678.9, 'times_as_fast': 1.198,
         'from_to': (1.014, 1.3)}
STEP = Step(network='cnn', image=32, batch=128, what='8 seeds', **RATIO)


def measured(device='cpu', precision='float32', **rows):
  environment = Environment(
      versions=Versions(jax='0.10.2'), device=device, platform='cpu', devices=2,
      cores=2, commit=None)
  return Speed(environment=environment, precision=precision, **rows)


def cost(network, method, epochs, ratio):
  return AlgorithmCost(network=network, method=method, seconds=1.0,
                       compile_seconds=1.0, epochs=epochs, of_its_passes=ratio)


def test_each_kind_of_figure_has_a_table_on_each_device():
  figures = [
      measured(steps=(STEP, dataclasses.replace(
          STEP, mebibytes=410.2, torch_mebibytes=398.6))),
      measured(layers=(Layer(
          layer='max-pool', pixels=8, loop=12.34, once=0.96, **RATIO),)),
      measured(algorithms=(
          cost('mlp', 'salun', 9.96, 1.004), cost('mlp', 'ssd', 3.04, 1.21),
          cost('cnn', 'salun', 10.6, 1.046), cost('cnn', 'ssd', 8.1, 0.634))),
      measured('H200', 'bfloat16', steps=(
          dataclasses.replace(STEP, from_to=(1.198, 1.198)),)),
      measured(factors=(FactorCost(
          factor='ES', seconds=0.311, plain_seconds=12.2,
          times_as_fast=39.2),))]
  where, steps, layers, algorithms, factors, other, fast = speed.tables(
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


def test_layers_on_which_xla_has_caught_up_are_named():
  slow = Layer(layer='max-pool', pixels=8, loop=2.61, once=0.9, **RATIO)
  fast = dataclasses.replace(slow, layer='batch-norm', loop=0.98)
  assert speed.caught_up([slow]).endswith(
      'take 2.6 to 2.6 times as long as ours: XLA has not caught up on any '
      'layer.')
  assert speed.caught_up([slow, fast]).endswith(
      '1.0 to 2.6 times as long as ours: XLA has caught up on batch-norm at '
      '8×8: these layers of ours can go.')


def test_the_reason_for_the_kernels_is_what_was_measured():
  text = ' '.join(kernels.__doc__.split())
  layers = records.read(Speed, ROOT / 'results/speed_layers.json').layers
  for kind, words in (('×', 'own convolutions take'), ('max-pool', 'pooling'),
                      ('batch-norm', 'batch-norm')):
    times = [x.loop for x in layers if kind in x.layer]
    assert f'{words} {min(times):.1f} to {max(times):.1f} times' in text


def test_what_was_not_measured_has_no_table_and_no_figure():
  assert speed.tables([]) == '' and speed.tables([measured()]) == ''
  works = measured(algorithms=tuple(
      cost(n, m, 1.0, 1.0)
      for n, m in (('mlp', 'ssd'), ('mlp', 'salun'), ('cnn', 'ssd'))))
  assert speed.tables([works]).splitlines()[4:] == [
      '| `ssd` | 1.0 | 1.00 | 1.0 | 1.00 |', '| `salun` | 1.0 | 1.00 |  |  |']


def test_a_card_says_what_the_scores_are_of_and_how_far_they_go():
  half = Reliability(64, 0.5, 0.75, 0.1, 0.2, 0.3)
  part = Estimate(quantiles={'0.5': 0.25}, mean_standard_error=0.1,
                  examples=100, without_score=0, split_half=half)
  advice = Advice(models=100.0, lowest=50.0, highest=200.0, measured=False,
                  target=0.8, group='medium', sentence='Take more.')
  card = markdown.memorization(MemorizationFile(
      identity=Identity(dataset='cifar10', network='mlp', epochs=30,
                        subset=0.7),
      first_model=0, models=64, correctness=part, probability=part,
      fit=Fit(mean=1.0, least=0.5, fitted=63, models=64), group_size=10,
      convergence=(half._replace(models=50),), recommendation=advice),
                               'a command').splitlines()
  assert card[0] == ('`a command`: cifar10, mlp, 64 models of 30 epochs on 70% '
                     'of the examples.')
  assert '63 of 64 about 99% or more' in card[2]
  assert card[-1] == '| 50 | 0.500 | 0.750 | 0.100 | 0.200 | 0.300 |'
  assert '* Take more.' in card


def test_one_of_a_thing_is_singular():
  assert [counted(n, 'seed') for n in (0, 1, 2, 3000)] == [
      '0 seeds', '1 seed', '2 seeds', '3,000 seeds']
