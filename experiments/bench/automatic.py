"""Whether the automatic search beats the defaults of single methods.

  python -m experiments.bench.automatic --data_dir=DIR --auto_file=FILE

For each data set and seed, a network is trained, a random tenth of its training
examples is forgotten, and retrained networks are the oracles. The search sees
no oracle. Its choice unlearns once more with a new key, and its ToW is compared
by seed with that of every method with the setting of its paper.

The second part trains a memorization ensemble and compares its out-of-sample
accuracy on the same forget sets with the accuracy of the oracles.

A fifth of the digits have a random label, held-out ones included: without such
labels there is little to forget. CIFAR images are of five classes and are
averaged to 16×16 pixels. `cifar10.npz` and `cifar100.npz` are read from
`--data_dir`; without them only digits remain.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import pathlib
import time
from typing import Any, ClassVar, NamedTuple

from absl import flags
import jax
import jax.numpy as jnp
import numpy as np
import optax

import rum_jax
from rum_jax import datasets, evaluation, memorization, models, recipes
from rum_jax import plans, search, trees
from rum_jax.commands import app
from rum_jax.evaluation import metrics, statistics
from rum_jax.evaluation.results import Environment
from rum_jax.pipeline import results
from rum_jax.pipeline.builders import Build, Loop
from rum_jax.pipeline.programs import Programs
from rum_jax.recipes import paper_settings
from rum_jax.reporting import markdown
from rum_jax.search import automatic
from rum_jax.types import (
    Examples, Images, Key, Model, Signals, Split, Variables)

FILE = flags.DEFINE_string('auto_file', '', 'File for the figures.')
TINY = flags.DEFINE_bool(
    'auto_tiny', False, 'Data and training of a test\'s size.')
DATA = flags.DEFINE_string(
    'auto_data', '', 'Data sets by commas; by default all.')
SEEDS = flags.DEFINE_integer('auto_runs', 5, 'Seeds.', 2)
FIRST = flags.DEFINE_integer(
    'auto_first_run', 0, 'Number of the first seed.', 0)
DEFAULTS = ('finetune', 'l1_sparse', 'neggrad_plus', 'salun', 'scrub',
            'bad_teacher')
NOTHING, AUTO = 'do nothing', 'auto'
LOOP = Loop(32, 0.9, 5e-4, 'update')
_record = dataclasses.dataclass(frozen=True, kw_only=True)


class Sizes(NamedTuple):
  """What is measured; `train` is the number of training examples, at most."""

  train: int
  held_out: int
  forget: int
  epochs: int
  oracles: int
  budget: float
  models: int


FULL = Sizes(1000, 750, 100, 30, 2, 90, 24)
SMALL = Sizes(120, 60, 40, 1, 1, 25, 4)
WRONG = {'digits': 0.2}  # The share of examples of a random label.
# Name to classes, training examples, learning rate and network.
KINDS: dict[str, tuple[int, int, float, Any]] = {
    'cifar100': (5, 1000, 0.02, models.MLP),
    'digits': (10, 1000, 0.03, models.MLP),
    'cifar10': (5, 600, 0.1, models.SmallCNN)}


class Case(NamedTuple):
  """A data set: training examples first, then held-out ones; its network."""

  name: str
  examples: Images
  train: int
  model: Model
  learning_rate: float


@_record
class Expected:
  """Accuracy on forget sets: by an ensemble, and by retrained networks.

  Attributes:
    models: number of models of the ensemble.
    subset: their share of the training examples.
    correctness: mean correctness of the models that did not train on a row.
    probability: their mean probability of its label.
    retrained: the accuracy of the oracles.
    given: the accuracy of the network before unlearning.
    difference: `correctness − retrained`.
    held_out_difference: accuracy of the oracles on held-out examples, which is
      the usual substitute, minus `retrained`.
    row_error: root mean squared difference, over rows, of the correctness of
      the ensemble and of the oracles.
  """

  models: int
  subset: float
  correctness: statistics.Summary
  probability: statistics.Summary
  retrained: statistics.Summary
  given: statistics.Summary
  difference: statistics.Summary
  held_out_difference: statistics.Summary
  row_error: statistics.Summary


@_record
class OfData:
  """The figures of a data set.

  Attributes:
    train: number of training examples.
    held_out: number of held-out examples.
    forget: number of examples to forget.
    attack: AUC of the given networks on the forget set.
    tow: row to its ToW over seeds; the methods have the settings of their
      papers.
    gains: row to the ToW of the search minus its own, paired by seed.
    wins: the rows that the search beats, by the 95 % interval of the gain.
    losses: the rows that beat the search.
    chosen: what was chosen for each seed.
    reported: the figures that the search reports for each seed.
    search_epochs: work of each search.
    expected: the ensemble; `None` where there is none.
    seconds: of all of this.
  """

  train: int
  held_out: int
  forget: int
  attack: statistics.Summary
  tow: Mapping[str, statistics.Summary]
  gains: Mapping[str, statistics.Summary]
  wins: tuple[str, ...]
  losses: tuple[str, ...]
  chosen: tuple[str, ...]
  reported: tuple[Any, ...]
  search_epochs: tuple[float, ...]
  expected: Expected | None
  seconds: float


@_record
class Report:
  """The content of the file."""

  SCHEMA: ClassVar[int] = 1
  command: str
  seeds: tuple[int, ...]
  recipe: Mapping[str, Any]
  environment: Environment
  data: Mapping[str, OfData]


@dataclasses.dataclass(frozen=True)
class Trained:
  """Trains a network on the retain set: its variables and signals."""

  model: Model
  epochs: int
  learning_rate: float

  def __call__(self, key: Key, examples: Examples, split: Split
               ) -> tuple[Variables, Signals]:
    steps = self.epochs * plans.num_steps(
        split.retain.shape[0], LOOP.batch_size)
    rate = optax.cosine_decay_schedule(self.learning_rate, steps)
    fit = rum_jax.retrain(
        self.model, rum_jax.sgd(rate, momentum=0.9, weight_decay=5e-4),
        epochs=self.epochs, batch_size=LOOP.batch_size)
    variables, _ = fit(key, None, examples, split)
    return variables, evaluation.signals(self.model, variables, examples)


def default(model: Model, method: str) -> automatic.Trial:
  """The program of a method with the setting of its paper."""
  setting = paper_settings.setting_of(method)
  return automatic.Trial(model, Build(LOOP, model),
                         ((method, tuple(setting.items())),))


def cases(sizes: Sizes, data_dir: str) -> list[Case]:
  """The data sets that there are."""
  wanted = DATA.value.split(',') if DATA.value else tuple(KINDS)
  found = []
  for name in wanted:
    try:
      source = datasets.load(name, data_dir)
    except (OSError, ValueError):
      if DATA.value:
        raise
      print(f'{name}: not in {data_dir}, left out.')
      continue
    found.append(case_of(name, source, sizes))
  return found


def case_of(name: str, source: datasets.Source, sizes: Sizes) -> Case:
  rng = np.random.default_rng(7)
  image, label = source.dataset
  classes, train, rate, network = KINDS[name]
  rows = []
  for part, count in ((source.train, min(train, sizes.train)),
                      (source.test, sizes.held_out)):
    part = rng.permutation(np.asarray(part)[np.asarray(label)[part] < classes])
    rows.append(part[:count])
  image = np.asarray(image)[np.concatenate(rows)]
  if name != 'digits':
    n, h, w, c = image.shape
    image = image.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))
  label = np.asarray(label)[np.concatenate(rows)].astype(np.int32)
  wrong = rng.random(len(label)) < WRONG.get(name, 0)
  label[wrong] = rng.integers(0, classes, wrong.sum())
  examples = Images(np.round(image).astype(np.uint8), label)
  channels = image.shape[-1]
  model = models.from_linen(
      network(classes), image.shape[1:], mean=(0.5,) * channels,
      std=(0.3,) * channels)
  return Case(name, jax.tree.map(jnp.asarray, examples), len(rows[0]), model,
              rate)


def measured(case: Case, sizes: Sizes, seeds: range) -> OfData:
  """All figures of a data set."""
  begun, programs, model = time.perf_counter(), Programs(), case.model
  count = len(case.examples.label)
  train, held_out = np.arange(case.train), np.arange(case.train, count)
  forgets = np.stack([np.sort(np.random.default_rng(s).permutation(train)[
      :sizes.forget]) for s in seeds]).astype(np.int32)
  retains = np.stack([np.setdiff1d(train, x) for x in forgets]).astype(np.int32)
  keys = lambda purpose: jnp.stack([jax.random.fold_in(
      jax.random.key(s), purpose) for s in seeds])
  fit = Trained(model, sizes.epochs, case.learning_rate)
  whole = Split(np.zeros(0, np.int32), train.astype(np.int32))
  (originals, before), _ = programs.run(
      fit, (0, None, None), keys(1), case.examples, whole)
  originals = jax.tree.map(np.asarray, originals)  # On the host, not spread.
  truth = [programs.run(fit, (0, None, 0), keys(2 + i), case.examples,
                        Split(forgets, retains))[0][1]
           for i in range(sizes.oracles)]
  parts = lambda x: np.stack([
      [np.asarray(x.score)[i][rows].mean() for rows in (f, r, held_out)]
      for i, (f, r) in enumerate(zip(forgets, retains))])
  oracle = np.mean([parts(x) for x in truth], axis=0)

  def tow(signals: Signals) -> np.ndarray:
    return np.asarray(metrics.tug_of_war(*(parts(signals) - oracle).T))

  tows = {NOTHING: tow(before)}
  for method in DEFAULTS:
    (_, signals), _ = programs.run(
        default(model, method), (0, 0, None, 0, None), keys(20), originals,
        case.examples, Split(forgets, retains), [{}])
    tows[method] = tow(signals)
    print(f'{case.name} {method}: ToW {tows[method].mean():.3f}', flush=True)
  relearn = automatic.relearning(
      model, rum_jax.sgd(0.01, momentum=0.9), retains.shape[1], LOOP.batch_size)
  choices, finals = [], []
  for i in range(len(seeds)):
    start = trees.take(originals, i)
    choice = automatic.choose(
        keys(30)[i], start, case.examples, Split(forgets[i], retains[i]),
        held_out, model=model, build=Build(LOOP, model), relearn=relearn,
        budget=sizes.budget, label=case.examples.label, seed=seeds[i],
        run=programs.run)
    finals.append(final(case, programs, choice, keys(31)[i], start, retains[i]))
    choices.append(choice)
    print(f'{case.name} {seeds[i]}: {choice.reason}', flush=True)
  tows[AUTO] = tow(jax.tree.map(lambda *x: np.stack(x), *finals))
  gains = {name: statistics.summary(tows[AUTO] - x)
           for name, x in tows.items() if name != AUTO}
  verdicts = {name: statistics.verdict(x) for name, x in gains.items()}
  judge = [search.Judge(f, r, held_out, Signals(before.loss[i],
                                                   before.score[i]),
                           case.examples.label)
           for i, (f, r) in enumerate(zip(forgets, retains))]
  expected = None
  if sizes.models:
    expected = expectation(case, sizes, programs, fit, forgets, truth,
                           parts(before)[:, 0], oracle)
  return OfData(
      train=case.train, held_out=len(held_out), forget=sizes.forget,
      attack=statistics.summary([x.auc(x.before) for x in judge]),
      tow={name: statistics.summary(x) for name, x in tows.items()},
      gains=gains,
      wins=tuple(x for x, said in verdicts.items() if said == 'better'),
      losses=tuple(x for x, said in verdicts.items() if said == 'worse'),
      chosen=tuple(automatic.described(x.stages) for x in choices),
      reported=tuple(x.reported for x in choices),
      search_epochs=tuple(x.epochs for x in choices), expected=expected,
      seconds=time.perf_counter() - begun)


def final(case: Case, programs: Programs, choice: automatic.Choice, key: Key,
          start: Variables, retain: np.ndarray) -> Signals:
  """The signals of a new copy that unlearns as was chosen."""
  trial, values = automatic.program_of(
      case.model, Build(LOOP, case.model), choice.stages)
  (_, signals), _ = programs.run(
      trial, (0, None, None, None, None), key[None], start, case.examples,
      Split(jnp.asarray(choice.forget, jnp.int32), jnp.asarray(retain)), values)
  return jax.tree.map(lambda x: np.asarray(x[0]), signals)


def expectation(case: Case, sizes: Sizes, programs: Programs, fit: Trained,
                forgets: np.ndarray, truth: list[Signals], given: np.ndarray,
                oracle: np.ndarray) -> Expected:
  """Out-of-sample accuracy of an ensemble beside that of the oracles."""
  keys = jnp.stack([jax.random.fold_in(jax.random.key(99), i)
                    for i in range(sizes.models)])
  subset = np.asarray(jax.vmap(
      lambda k: memorization.random_subset(k, case.train, 0.7))(keys))
  (_, signals), _ = programs.run(
      fit, (0, None, 0), keys, case.examples,
      Split(np.zeros((sizes.models, 0), np.int32), subset))
  inside = np.asarray(jax.vmap(
      lambda rows: memorization.membership(rows, case.train))(subset))
  score, loss = (np.asarray(x)[:, :case.train]
                 for x in (signals.score, signals.loss))
  level = np.round(np.exp(-loss) * memorization.LEVELS).astype(np.uint16)
  outside = memorization.out_of_sample(memorization.tally(
      memorization.pack(score > 0.5), memorization.pack(inside),
      case.train)).mean
  probability = memorization.out_of_sample(
      memorization.add_up(level, inside), memorization.LEVELS).mean
  of_oracle = np.mean([np.asarray(x.score) for x in truth], axis=0)
  correct = np.array([np.nanmean(outside[f]) for f in forgets])
  rows = [np.sqrt(np.nanmean((outside[f] - of_oracle[i][f])**2))
          for i, f in enumerate(forgets)]
  return Expected(
      models=sizes.models, subset=0.7,
      correctness=statistics.summary(correct),
      probability=statistics.summary(
          [np.nanmean(probability[f]) for f in forgets]),
      retrained=statistics.summary(oracle[:, 0]),
      given=statistics.summary(given),
      difference=statistics.summary(correct - oracle[:, 0]),
      held_out_difference=statistics.summary(oracle[:, 2] - oracle[:, 0]),
      row_error=statistics.summary(rows))


def report(sizes: Sizes, seeds: range, data: Mapping[str, OfData]) -> Report:
  """The record of all data sets."""
  return Report(
      command='python -m experiments.bench.automatic' + ''.join(
          f' --{x.name}={x.value}' for x in (DATA, SEEDS, FIRST)
          if x.present),
      seeds=tuple(seeds), recipe={
          **sizes._asdict(), **LOOP._asdict(), 'wrong_labels': WRONG,
          'defaults': {x: paper_settings.setting_of(x) for x in DEFAULTS},
          'networks': {name: {'name': network.__name__, 'learning_rate': rate,
                              'widths': network.widths, 'classes': classes}
                       for name, (classes, _, rate, network) in KINDS.items()}},
      environment=results.environment(), data=dict(data))


def page(found: Report) -> str:
  """What the figures say, as Markdown: a table, and a sentence for each set."""
  pm = lambda x: f'{x.mean:.3f} ± {x.ci95:.3f}'.replace('-', '−')
  rows = (AUTO, NOTHING, *DEFAULTS)
  lines = markdown.table(('ToW', *found.data), [
      [row, *(pm(x.tow[row]) for x in found.data.values())] for row in rows])
  lines.append('')
  for name, x in found.data.items():
    wins = [row for row in x.wins if row != NOTHING]
    beaten = ('every default' if len(wins) == len(DEFAULTS) else
              ', '.join(wins) or 'no default')
    lost = [row for row in x.losses if row != NOTHING]
    text = (f'* {name}: the search is better than {beaten}, and worse than '
            f'{", ".join(lost) or "none"}.')
    if x.expected:
      text += (f' Accuracy on the forget sets: {pm(x.expected.correctness)} by '
               f'the ensemble, {pm(x.expected.retrained)} retrained, '
               f'{pm(x.expected.given)} given; difference of the first two '
               f'{pm(x.expected.difference)}.')
    lines.append(text)
  means = {row: np.mean([x.tow[row].mean for x in found.data.values()])
           for row in rows}
  first = max(means, key=lambda row: means[row])
  lines += ['', f'The mean over the {len(found.data)} data sets is highest for '
            f'{first}: {means[first]:.3f}, beside {means[AUTO]:.3f} of the '
            'search.' if first != AUTO else
            f'The mean over the {len(found.data)} data sets is highest for the '
            f'search: {means[AUTO]:.3f}.']
  return '\n'.join(lines)


def main() -> None:
  """Measures, prints and writes."""
  sizes = SMALL if TINY.value else FULL
  seeds = range(FIRST.value, FIRST.value + SEEDS.value)
  data: dict[str, OfData] = {}
  folder = str(app.FLAGS['data_dir'].value)
  for case in cases(sizes, folder):
    data[case.name] = found = measured(case, sizes, seeds)
    for name, tow in found.tow.items():
      print(f'{case.name:10}{name:16}{tow.mean:.3f} ± {tow.ci95:.3f}')
    print(f'better than {", ".join(found.wins) or "none"}; worse than '
          f'{", ".join(found.losses) or "none"}; {found.seconds:.0f} s',
          flush=True)
    if FILE.value:
      results.write(pathlib.Path(FILE.value), report(sizes, seeds, data))


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
