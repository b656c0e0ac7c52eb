"""Chooses a method, its setting and a RUM plan without retraining.

A *candidate* is one stage for the whole forget set, or one stage for each of
two groups of equal size, in ascending order of difficulty, as RUM has them. The
search has four steps:

1. Settings that cover the range of each method evenly unlearn once.
2. Settings near the best one unlearn once. They get the rest of the budget.
3. Two plans of groups unlearn once: the best candidate for the difficult group
   alone, and for one group after the other.
4. The best candidates unlearn again with another key, and are fine-tuned on the
   retain set alone. The score of a finalist is the mean of both runs.

Candidates are scored on one half of the forget set and of the held-out
examples. The figures of the chosen one are reported on the other half, because
the best of many scores is too high on the half that it was chosen on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import _checks, audits, evaluation, refinement, rum, seeds
from rum_jax.search import spaces
from rum_jax.search.criterion import Figures, Judge
from rum_jax.types import (
    AnyArray, Examples, Info, Key, Model, Signals, Split, Unlearner, Variables)

Build = Callable[[str, Mapping[str, Any]], Unlearner]
Run = Callable[..., tuple[Any, Any]]

LEAST = 20  # Forget examples, and held-out examples, that can be halved.
_FINALISTS = 3
_UNITS = 45  # The length of a candidate is this share of the budget.
_NEAR = 3.0  # Settings near another one differ by up to this factor.


class Method(NamedTuple):
  """A method, and what the search draws for it.

  Attributes:
    space: name to the limits of a value, as for `spaces.draw`.
    work: the passes over the retain set in an epoch, or their equivalent.
  """

  space: dict[str, spaces.Limits]
  work: float


METHODS = {
    'finetune': Method({'learning_rate': (5e-3, 0.2, 'log')}, 1),
    'neggrad_plus': Method({'learning_rate': (3e-3, 0.1, 'log'),
                            'alpha': (0.8, 0.995, 'near_one')}, 2),
    'salun': Method({'learning_rate': (5e-3, 0.2, 'log')}, 1.25),
    'scrub': Method({'learning_rate': (1e-3, 0.05, 'log')}, 1.5),
    'identity': Method({}, 0)}


class Stage(NamedTuple):
  """A method and its hyper-parameters."""

  method: str
  setting: dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tried:
  """A candidate and its figures on the half that candidates are chosen on.

  Attributes:
    stages: one for each group, in ascending order of difficulty.
    epochs: the work of one run, in epochs.
    first: the figures of the first round.
    second: those of the second round; `None` where it did not take part.
    score: the mean score of both rounds.
  """

  stages: tuple[Stage, ...]
  epochs: float
  first: Figures
  second: Figures | None
  score: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
  """What a search chose, and why.

  Attributes:
    stages: those of the chosen candidate.
    reason: a sentence that says why.
    before: the figures of the given weights, on the half for reports.
    reported: those of the chosen candidate in the second round, on the half for
      reports.
    tried: all candidates, the best first.
    forget: `[F]` rows of the forget set in ascending order of difficulty, as
      `unlearner_of` takes them.
    unseen: the rows of the forget set in the half for reports.
    unseen_held_out: the held-out rows in the half for reports.
    epochs: the work of the whole search, in epochs.
    budget: the largest allowed work.
  """

  SCHEMA: ClassVar[int] = 1
  stages: tuple[Stage, ...]
  reason: str
  before: Figures
  reported: Figures
  tried: tuple[Tried, ...]
  forget: tuple[int, ...]
  unseen: tuple[int, ...]
  unseen_held_out: tuple[int, ...]
  epochs: float
  budget: float


def unlearner_of(build: Build, stages: Sequence[Stage]) -> Unlearner:
  """The unlearner of all stages, for one split.

  Args:
    build: `(method, setting) -> unlearner`.
    stages: with more than one, the forget set is cut into as many groups of
      equal size, in its order; each stage retains the retain set alone.

  Returns:
    An unlearner; its info holds the steps of all stages.
  """
  unlearners = [build(*stage) for stage in stages]
  if len(stages) == 1:
    return unlearners[0]
  whole = rum.sequential(*unlearners)

  def unlearn(key: Key, variables: Variables, examples: Examples, split: Split
              ) -> tuple[Variables, Info]:
    cuts = np.linspace(0, split.forget.shape[0], len(stages) + 1).astype(int)
    splits = [Split(split.forget[a:b], split.retain)
              for a, b in zip(cuts, cuts[1:])]
    variables, infos = whole(key, variables, examples, splits)
    return variables, Info(jnp.concatenate([x.loss for x in infos]), {})

  return unlearn


@dataclasses.dataclass(frozen=True)
class Trial:
  """The program of all candidates that differ in real values alone.

  It is `(key, variables, examples, split, values) -> (variables, signals)`.

  Attributes:
    model: the network.
    build: `(method, setting) -> unlearner`.
    held: for each stage, a method and the values that the program holds.
  """

  model: Model
  build: Build
  held: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]

  def __call__(self, key: Key, variables: Variables, examples: Examples,
               split: Split, values: Sequence[dict[str, Any]]
               ) -> tuple[Variables, Signals]:
    stages = [Stage(method, {**dict(held), **given}) for (method, held), given
              in zip(self.held, values, strict=True)]
    variables, _ = unlearner_of(self.build, stages)(
        key, variables, examples, split)
    return variables, evaluation.signals(self.model, variables, examples)


def program_of(model: Model, build: Build, stages: Sequence[Stage]
               ) -> tuple[Trial, list[dict[str, Any]]]:
  """The program of a candidate, and the real values that are its arguments."""
  values = [{k: jnp.float32(v) for k, v in setting.items()
             if isinstance(v, float)} for _, setting in stages]
  held = tuple((method, tuple((k, v) for k, v in sorted(setting.items())
                              if not isinstance(v, float)))
               for method, setting in stages)
  return Trial(model, build, held), values


@dataclasses.dataclass(frozen=True)
class Relearned:
  """The program of fine-tuning on the retain set: the signals after it."""

  model: Model
  relearn: Unlearner

  def __call__(self, key: Key, variables: Variables, examples: Examples,
               split: Split) -> Signals:
    variables, _ = self.relearn(key, variables, examples, split)
    return evaluation.signals(self.model, variables, examples)


class Size(NamedTuple):
  """The size of a search.

  Attributes:
    length: the epochs of each stage.
    settings: the settings of each method in the first step.
  """

  length: int
  settings: int


def size_of(budget: float) -> Size:
  """The length of candidates and their number under a budget.

  About half of the free budget is for the settings of the first step.

  Raises:
    ValueError: if the budget does not allow one setting of each method.

  >>> size_of(90)
  Size(length=2, settings=3)
  """
  works = [method.work for method in METHODS.values()]
  each = sum(works)
  least = _later(1) + each
  if budget < least:
    raise ValueError(f'Expected budget={budget:g} to be at least {least:g} '
                     'epochs, which a search needs.')
  length = max(1, round(budget / _UNITS))
  free = budget - _later(length)
  return Size(length, max(1, round(free / (2 * length * each))))


def _later(length: int) -> float:
  """The most work of plans and finalists, in epochs."""
  most = max(method.work for method in METHODS.values())
  plans = 3 * length * most
  return plans + (_FINALISTS - 1) * (length * most + 1) + (
      2 * length * most + 1)


def choose(
    key: Key,
    variables: Variables,
    examples: Examples,
    split: Split,
    held_out: AnyArray,
    *,
    model: Model,
    build: Build,
    relearn: Unlearner,
    budget: float,
    label: AnyArray | None = None,
    difficulty: AnyArray | None = None,
    expected: AnyArray | None = None,
    seed: int = 0,
    run: Run | None = None,
) -> Choice:
  """Searches under a budget; see the top of this file.

  Args:
    key: consumed.
    variables: the given weights.
    examples: all examples, leaves `[N, ...]`, held-out ones included.
    split: forget `[F]` and retain `[R]`, rows of them.
    held_out: `[H]` rows of them that no model trained on.
    model: the network.
    build: `(method, setting) -> unlearner`. Its settings are those of
      `METHODS` and `epochs`, and `msteps` of SCRUB.
    relearn: fine-tuning on the retain set alone, of about an epoch, such as
      `audits.relearning`.
    budget: the work of the search, in epochs.
    label: `[N]` classes, so that held-out examples of the same classes are
      compared; `None` compares all.
    difficulty: `[N]` by which RUM orders the forget set, such as memorization;
      by default the loss of the given weights.
    expected: `[F]` accuracy of a retrained model on each row of `split.forget`,
      such as the out-of-sample accuracy of a memorization ensemble; `None`
      where it is not known.
    seed: draws settings and halves.
    run: `(fn, in_axes, *args) -> (results, notes)` maps a function over a
      leading axis; by default it compiles each function once.

  Returns:
    The choice.

  Raises:
    ValueError: if the budget is too small, if there are too few forget or
      held-out examples to be halved, or if all candidates diverged.
  """
  size = size_of(budget)
  for name, count in (('split.forget', len(split.forget)),
                      ('held_out', len(held_out))):
    if count < LEAST:
      raise ValueError(f'Expected {name} to hold at least {LEAST} examples, '
                       f'half of which can be judged, found {count}.')
  run = run or once_compiled()
  variables = jax.tree.map(np.asarray, variables)  # Runs may use any device.
  examples = jax.tree.map(jnp.asarray, examples)
  before = _first(run(evaluation.Predict(model), (0, None), _one(variables),
                      examples)[0])
  rank = before.loss if difficulty is None else np.asarray(difficulty)
  forget = np.asarray(split.forget)
  order = refinement.ranked(np.nan_to_num(rank[forget]), refinement.TIES)
  forget = forget[order]
  wanted = None if expected is None else np.asarray(expected)[order]
  split = Split(jnp.asarray(forget), jnp.asarray(split.retain))
  chosen_on, reported_on = (
      Judge(forget[rows], np.asarray(split.retain),
            np.asarray(held_out)[others], before, label,
            None if wanted is None else float(wanted[rows].mean()))
      for rows, others in zip(_halves(len(forget), seed),
                              _halves(len(held_out), seed + 1)))
  work = 0.0

  def tried(number: int, stages: tuple[Stage, ...]
            ) -> tuple[Variables, Signals]:
    nonlocal work
    work += _work(stages)
    trial, values = program_of(model, build, stages)
    found, _ = run(trial, (0, None, None, None, None),
                   jax.random.fold_in(key, number)[None], variables, examples,
                   split, values)
    return found

  scored: list[Tried] = []

  def score(stages: tuple[Stage, ...]) -> None:
    figures = chosen_on(_first(tried(len(scored), stages)[1]))
    scored.append(Tried(stages=stages, epochs=_work(stages), first=figures,
                        second=None, score=figures.score))

  for i, (method, (space, _)) in enumerate(METHODS.items()):
    if space:
      for setting in spaces.spread(
          _fixed(method, size.length), space, size.settings, seed + i):
        score((Stage(method, setting),))
  best = _best(scored)
  left = int((budget - work - _later(size.length)) // _work([best]))
  if left > 0:
    for setting in spaces.spread(
        _fixed(best.method, size.length), _near(best), left, seed):
      score((Stage(best.method, setting),))
  best = _best(scored)
  for stages in ((Stage('identity', {}), best), (best, best)):
    score(stages)
  last = _finalists(scored)
  reports = {}
  for i in last:
    found, signals = tried(len(scored) + i, scored[i].stages)
    later, _ = run(Relearned(model, relearn), (0, 0, None, None),
                   jax.random.fold_in(key, 2 * len(scored) + i)[None], found,
                   examples, split)
    work += 1
    figures, reports[i] = (judge(_first(signals), _first(later))
                           for judge in (chosen_on, reported_on))
    scored[i] = dataclasses.replace(
        scored[i], second=figures,
        score=(scored[i].first.score + figures.score) / 2)
  first = max(last, key=lambda i: scored[i].score)
  if not scored[first].score > 0:
    raise ValueError(f'All {len(scored)} candidates diverged or ruined the '
                     'network.')
  others = sorted((i for i in range(len(scored)) if i != first), key=lambda i: (
      scored[i].second is None, -scored[i].score))
  ranked = tuple(scored[i] for i in (first, *others))
  return Choice(
      stages=ranked[0].stages, reason=_reason(ranked),
      before=reported_on(before), reported=reports[first], tried=ranked,
      forget=tuple(forget.tolist()), unseen=tuple(reported_on.forget.tolist()),
      unseen_held_out=tuple(reported_on.held_out.tolist()), epochs=work,
      budget=budget)


def described(stages: Sequence[Stage]) -> str:
  """Stages as a phrase, such as `identity, then finetune(epochs=2)`."""
  return ', then '.join(
      f'{method}(' + ', '.join(f'{k}={v}' for k, v in setting.items()) + ')'
      for method, setting in stages)


def once_compiled() -> Run:
  """Maps functions over runs, and compiles equal functions once."""
  known: dict[Any, Any] = {}

  def run(fn: Any, in_axes: Sequence[int | None], *args: Any
          ) -> tuple[Any, dict[str, float]]:
    identity = fn, tuple(in_axes)
    if identity not in known:
      known[identity] = seeds.over_seeds(fn, in_axes=in_axes)
    return known[identity](*args), {}

  return run


def relearning(model: Model, tx: Any, num_retain: int, batch_size: int
               ) -> Unlearner:
  """One epoch of fine-tuning on the retain set alone."""
  _checks.check_count('num_retain', num_retain, 1)
  return audits.relearning(model, tx, steps=math.ceil(num_retain / batch_size),
                           batch_size=batch_size)


def _fixed(method: str, length: int) -> dict[str, Any]:
  """The values that all settings of a method share."""
  if method == 'scrub':
    return {'epochs': length, 'msteps': max(1, length - 1)}
  return {'epochs': length}


def _work(stages: Sequence[Stage]) -> float:
  return sum(METHODS[method].work * setting.get('epochs', 0)
             for method, setting in stages)


def _best(scored: Sequence[Tried]) -> Stage:
  """The stage of the best candidate of one group."""
  return max((x for x in scored if len(x.stages) == 1),
             key=lambda x: x.score).stages[0]


def _near(stage: Stage) -> dict[str, spaces.Limits]:
  """The part of the space of a method that is near a setting."""
  narrow = {}
  for name, (low, high, scale) in METHODS[stage.method].space.items():
    value = stage.setting[name]
    if scale == 'near_one':
      around = 1 - _NEAR * (1 - value), 1 - (1 - value) / _NEAR
    else:
      around = value / _NEAR, value * _NEAR
    narrow[name] = max(low, around[0]), min(high, around[1]), scale
  return narrow


def _finalists(scored: Sequence[Tried]) -> list[int]:
  order = sorted(range(len(scored)), key=lambda i: -scored[i].score)
  return order[:_FINALISTS]


def _halves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
  """Two random halves of `count` positions, each in ascending order."""
  order = np.random.default_rng(seed).permutation(count)
  return np.sort(order[:count // 2]), np.sort(order[count // 2:])


def _one(tree: Any) -> Any:
  return jax.tree.map(lambda x: jnp.asarray(x)[None], tree)


def _first(signals: Signals) -> Signals:
  return Signals(np.asarray(signals.loss[0]), np.asarray(signals.score[0]))


def _reason(ranked: Sequence[Tried]) -> str:
  """Why the first of the candidates was chosen."""
  best, *others = ranked
  second = best.second
  assert second is not None
  text = (f'Of {len(ranked)} candidates, {described(best.stages)} had the '
          f'highest mean score of two runs on the half for choosing, '
          f'{best.score:.3f}')
  if others:
    text += (f'; the next one was {described(others[0].stages)} with '
             f'{others[0].score:.3f}')
  return (f'{text}. It kept an accuracy of {second.retain_accuracy:.1%} on '
          f'retained and {second.held_out_accuracy:.1%} on held-out examples, '
          f'and its AUC was {second.auc:.2f}, and {second.relearned_auc:.2f} '
          'after fine-tuning.')
