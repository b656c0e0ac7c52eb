"""A check of the contract of an unlearner, and a small example to try one on.

    from rum_jax import testing
    testing.check_unlearner(lambda model, tx, epochs=2: mine(model, tx, epochs))

The check runs the method on a small MLP and on a small CNN with batch-norm, and
checks every rule of `RULES`. The first rule that is broken raises an
`AssertionError` that quotes it. Numbers are compared in float64, where
differences of 1e-9 are larger than rounding errors. Everything runs on the CPU,
whose rounding is the same in every run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import inspect
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import optax

from rum_jax import _checks, models, optimizers
from rum_jax.types import (
    Examples, Images, Key, Model, PyTree, Split, Unlearner, Variables)

Factory = Callable[..., Unlearner]

_NETWORKS = (('an MLP', models.MLP(3, (5,))),
             ('a CNN with batch-norm', models.SmallCNN(3, (3,))))
_FORGET, _RETAIN, _OUTSIDE, _SIDE = 5, 11, 4, 4
_TOLERANCE = 1e-9


Run = tuple[Key, Variables, Images, Split]


def example() -> tuple[Model, optax.GradientTransformation, Run]:
  """A small problem, on which every unlearner runs within a second.

  Returns:
    `(model, tx, run)`: an MLP of two layers for 3 classes, SGD, and the
    arguments `(key, variables, examples, split)` of an unlearner. The examples
    are 12 images of 2×2 pixels, of which 4 are to be forgotten and 8 retained.
    The variables are not trained.
  """
  noise = np.random.default_rng(0).integers(0, 80, (12, 2, 2, 1))
  label = np.arange(12, dtype=np.int32) % 3
  image = noise + 80 * label.reshape(-1, 1, 1, 1)
  model = models.from_linen(
      models.MLP(3, (4,)), (2, 2, 1), mean=(0.5,), std=(0.3,))
  run = (jax.random.key(1), model.init(jax.random.key(0)),
         Images(image.astype(np.uint8), label),
         Split(np.arange(4, dtype=np.int32), np.arange(4, 12, dtype=np.int32)))
  return model, optimizers.sgd(0.1), run


class Subject(NamedTuple):
  """An unlearner on one network, with the arguments of two runs.

  Attributes:
    unlearner: the unlearner under test.
    still: the same with `epochs=0`, or `None` where that is not tested.
    jitted: the unlearner under `jax.jit`.
    traces: has as many entries as `jitted` has been traced times.
    runs: `(key, variables, examples, split)` of two seeds. Their examples are
      the same, and some of these are in no split.
  """

  unlearner: Unlearner
  still: Unlearner | None
  jitted: Unlearner
  traces: list[None]
  runs: Sequence[tuple[Any, Variables, Examples, Split]]


def check_unlearner(factory: Factory, *, from_scratch: bool = False) -> None:
  """Raises unless the unlearners of `factory` keep every rule of `RULES`.

  Args:
    factory: `(model, tx) -> unlearner`, with all other arguments given; runs
      should be short and batches small. If it also takes `epochs`, it must
      change nothing with `epochs=0`.
    from_scratch: whether the method starts from newly initialised variables, so
      that it changes them with `epochs=0`, too.

  Raises:
    TypeError: if `factory` cannot be called.
    AssertionError: which quotes the rule that is broken, and names the network
      and the difference.
  """
  _checks.check_callable('factory', factory)
  cpu = jax.local_devices(backend='cpu')[0]
  for name, network in _NETWORKS:
    for precise in (False, True):
      with jax.enable_x64(precise), jax.default_device(cpu):
        subject = _build(factory, network, from_scratch)
        for rule in RULES:
          once = rule in _ON_ONE and network is not _NETWORKS[0][1]
          if (rule in _IN_FLOAT32) != precise and not once:
            _apply(rule, subject, name)


def _apply(rule: Callable[[Subject], None], subject: Subject, name: str
           ) -> None:
  """Runs a rule and turns every exception of it into an `AssertionError`."""
  text = inspect.getdoc(rule)
  try:
    rule(subject)
  except Exception as error:
    message = (f'On {name} this rule is broken: {text} {error}'
               if isinstance(error, AssertionError) else
               f'On {name} it raised {type(error).__name__} while this rule '
               f'was tried: {text} {error}')
    raise AssertionError(message) from error


def _build(factory: Factory, network: Any, from_scratch: bool) -> Subject:
  """Makes a network, its data and the unlearner, in the current precision."""
  noise = np.random.default_rng(0)
  total, shape = _FORGET + _RETAIN + _OUTSIDE, (_SIDE, _SIDE, 1)
  examples = Images(
      noise.integers(0, 256, (total, *shape)).astype(np.uint8),
      noise.integers(0, network.classes, total).astype(np.int32))
  number = jnp.zeros(()).dtype
  single = models.from_linen(network, shape, mean=(0.5,), std=(0.3,))
  model = single._replace(init=lambda key: jax.tree.map(
      lambda x: x.astype(number), single.init(key)))
  shapes = jax.eval_shape(model.init, jax.random.key(0))

  def run(seed: int) -> tuple[Any, Variables, Examples, Split]:
    rows = noise.permutation(_FORGET + _RETAIN).astype(np.int32)
    params = jax.tree.map(
        lambda x: noise.normal(0, 0.4, x.shape).astype(number), shapes.params)
    stats = jax.tree.map(
        lambda x: noise.uniform(0.5, 1, x.shape).astype(number), shapes.stats)
    return (jax.random.key(seed), Variables(params, stats), examples,
            Split(rows[:_FORGET], rows[_FORGET:]))

  tx = optimizers.sgd(0.05, momentum=0.9, weight_decay=1e-3)
  unlearner, traces, still = factory(model, tx), [], None
  if 'epochs' in inspect.signature(factory).parameters and not from_scratch:
    still = factory(model, tx, epochs=0)

  def traced(key: Any, variables: Variables, examples: Examples, split: Split
             ) -> tuple[Variables, PyTree]:
    traces.append(None)
    return unlearner(key, variables, examples, split)

  return Subject(unlearner, still, jax.jit(traced), traces, (run(0), run(1)))


def rule_names(subject: Subject) -> None:
  """It takes `key, variables, examples, split`, in this order."""
  expected = ['key', 'variables', 'examples', 'split']
  parameters = inspect.signature(subject.unlearner).parameters
  assert list(parameters)[:4] == expected, f'It takes {", ".join(parameters)}.'
  more = [name for name, value in parameters.items()
          if name not in expected and value.default is value.empty]
  assert not more, f'It also needs {", ".join(more)}.'


def rule_shapes(subject: Subject) -> None:
  """It returns `(variables, info)`; no shape or dtype of variables changes."""
  run = subject.runs[0]
  result = jax.eval_shape(subject.unlearner, *run)
  assert isinstance(result, tuple) and len(result) == 2, (
      f'It returns {type(result).__name__}.')
  expected, actual = (jax.tree.structure(x) for x in (run[1], result[0]))
  assert expected == actual, f'Expected the tree {expected}, found {actual}.'
  named = jax.tree.leaves_with_path(run[1])
  for (path, old), new in zip(named, jax.tree.leaves(result[0])):
    before, after = (f'{x.dtype}{list(x.shape)}' for x in (old, new))
    assert before == after, (
        f'Expected {before} at {jax.tree_util.keystr(path)}, found {after}.')


def rule_zero(subject: Subject) -> None:
  """With `epochs=0` it changes nothing."""
  if subject.still is not None:
    run = subject.runs[0]
    _compare(subject.still(*run)[0], run[1], 0)


def rule_once(subject: Subject) -> None:
  """Under `jax.jit` it compiles once, also for variables that it returned."""
  key, variables, examples, split = subject.runs[0]
  variables, _ = subject.jitted(key, variables, examples, split)
  subject.jitted(key, variables, examples, split)
  subject.jitted(*subject.runs[1])
  count = len(subject.traces)
  assert count == 1, f'It was traced {count} times.'


def rule_finite(subject: Subject) -> None:
  """It returns finite numbers, so that other rules can compare them."""
  for leaf in jax.tree.leaves(subject.jitted(*subject.runs[0])[0]):
    assert np.isfinite(leaf).all(), 'A shorter or slower run may help.'


def rule_repeats(subject: Subject) -> None:
  """The same key gives the same result, bit for bit."""
  first, second = (subject.jitted(*subject.runs[0])[0] for _ in range(2))
  _compare(second, first, 0)


def rule_split(subject: Subject) -> None:
  """Its result does not depend on examples outside its split."""
  key, variables, examples, split = subject.runs[0]
  other = jax.tree.map(np.copy, examples)
  for x in jax.tree.leaves(other):
    x[-_OUTSIDE:] = x.max() - x[-_OUTSIDE:]
  _compare(subject.jitted(key, variables, other, split)[0],
           subject.jitted(key, variables, examples, split)[0], 0)


def rule_jit(subject: Subject) -> None:
  """It gives the same result with and without `jax.jit`."""
  _compare(subject.unlearner(*subject.runs[0])[0],
           subject.jitted(*subject.runs[0])[0], _TOLERANCE)


def rule_vmap(subject: Subject) -> None:
  """`jax.vmap` over seeds gives the same results as a loop over them."""
  axes = (0, 0, None, 0)
  keys, variables, (examples, _), splits = zip(*subject.runs)
  stack = lambda runs: jax.tree.map(lambda *xs: np.stack(xs), *runs)
  stacked = jnp.stack(keys), stack(variables), examples, stack(splits)
  mapped, _ = jax.jit(jax.vmap(subject.unlearner, in_axes=axes))(*stacked)
  loop = [subject.jitted(*run)[0] for run in subject.runs]
  _compare(mapped, stack(loop), _TOLERANCE)


RULES = (rule_names, rule_shapes, rule_zero, rule_once, rule_finite,
         rule_repeats, rule_split, rule_jit, rule_vmap)
_IN_FLOAT32 = (rule_names, rule_shapes)
_ON_ONE = (rule_jit,)  # Slow without jit, and the network makes no difference.


def _compare(actual: PyTree, expected: PyTree, tolerance: float) -> None:
  """Raises if a leaf differs by more than `tolerance` of its largest value."""
  named = jax.tree.leaves_with_path(expected)
  for (path, old), new in zip(named, jax.tree.leaves(actual)):
    old, new = np.asarray(old), np.asarray(new)
    difference = np.abs(new - old).max()
    assert difference <= tolerance * max(1, np.abs(old).max()), (
        f'{jax.tree_util.keystr(path)} is off by {difference:.2g}.')
