"""The contract of an unlearner, as a check that anybody can put their own to.

    from rum_jax import testing
    testing.check_unlearner(lambda model, tx, epochs=2: mine(model, tx, epochs))

The method is run on a small MLP and on a small CNN with batch-norm, and every
rule of `RULES` is checked; the first that is broken is an `AssertionError` that
quotes it. Numbers are compared in float64, where a difference of 1e-9 is far
beyond rounding; all of it on the CPU, which rounds the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import inspect
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import _checks, models, optimizers
from rum_jax.types import (
    Examples, Images, PyTree, Split, Unlearner, Variables)

Factory = Callable[..., Unlearner]

_NETWORKS = (('an MLP', models.MLP(3, (5,))),
             ('a CNN with batch-norm', models.SmallCNN(3, (3,))))
_FORGET, _RETAIN, _OUTSIDE, _SIDE = 5, 11, 4, 4
_TOLERANCE = 1e-9


class Subject(NamedTuple):
  """An unlearner on one network, with two runs to put it through.

  Attributes:
    unlearner: under test.
    still: the same with `epochs=0`, or `None` where that is not asked.
    jitted: the unlearner under `jax.jit`.
    traces: grows by an entry each time `jitted` is traced.
    runs: `(key, variables, examples, split)` of two seeds; they share examples,
      some of which are in no split.
  """

  unlearner: Unlearner
  still: Unlearner | None
  jitted: Unlearner
  traces: list[None]
  runs: Sequence[tuple[Any, Variables, Examples, Split]]


def check_unlearner(factory: Factory, *, from_scratch: bool = False) -> None:
  """Raises unless what `factory` makes keeps the contract of an unlearner.

  Args:
    factory: `(model, tx) -> unlearner`, with whatever else it takes already
      filled in; keep the run short and the batches small. If it also takes
      `epochs`, then with `epochs=0` it must change nothing.
    from_scratch: whether the method starts from fresh variables, so that even
      `epochs=0` changes them.

  Raises:
    TypeError: if `factory` cannot be called.
    AssertionError: quoting the rule that is broken, the network, and by what.
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
  """Runs a rule; whatever goes wrong in it becomes an `AssertionError`."""
  text = inspect.getdoc(rule)
  try:
    rule(subject)
  except Exception as error:
    said = (f'On {name} this rule is broken: {text} {error}'
            if isinstance(error, AssertionError) else
            f'On {name} it raised {type(error).__name__} while this rule was '
            f'tried: {text} {error}')
    raise AssertionError(said) from error


def _build(factory: Factory, network: Any, from_scratch: bool) -> Subject:
  """Makes a network, its data and the unlearner, in the precision at hand."""
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
  want = ['key', 'variables', 'examples', 'split']
  found = inspect.signature(subject.unlearner).parameters
  assert list(found)[:4] == want, f'It takes {", ".join(found)}.'
  more = [name for name, value in found.items()
          if name not in want and value.default is value.empty]
  assert not more, f'It also needs {", ".join(more)}.'


def rule_shapes(subject: Subject) -> None:
  """It returns `(variables, info)`, the variables as they came in."""
  run = subject.runs[0]
  result = jax.eval_shape(subject.unlearner, *run)
  assert isinstance(result, tuple) and len(result) == 2, (
      f'It returns {type(result).__name__}.')
  want, found = (jax.tree.structure(x) for x in (run[1], result[0]))
  assert want == found, f'Expected the tree {want}, found {found}.'
  named = jax.tree.leaves_with_path(run[1])
  for (path, old), new in zip(named, jax.tree.leaves(result[0])):
    expected, got = (f'{x.dtype}{list(x.shape)}' for x in (old, new))
    assert expected == got, (
        f'Expected {expected} at {jax.tree_util.keystr(path)}, found {got}.')


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
  """It returns numbers, not NaN: else there is nothing to compare."""
  for leaf in jax.tree.leaves(subject.jitted(*subject.runs[0])[0]):
    assert np.isfinite(leaf).all(), 'A shorter or slower run may help.'


def rule_repeats(subject: Subject) -> None:
  """The same key gives the same result, bit for bit."""
  first, second = (subject.jitted(*subject.runs[0])[0] for _ in range(2))
  _compare(second, first, 0)


def rule_split(subject: Subject) -> None:
  """It looks at no example outside its split."""
  key, variables, examples, split = subject.runs[0]
  other = jax.tree.map(np.copy, examples)
  for x in jax.tree.leaves(other):
    x[-_OUTSIDE:] = x.max() - x[-_OUTSIDE:]
  _compare(subject.jitted(key, variables, other, split)[0],
           subject.jitted(key, variables, examples, split)[0], 0)


def rule_jit(subject: Subject) -> None:
  """With and without `jax.jit` it gives the same."""
  _compare(subject.unlearner(*subject.runs[0])[0],
           subject.jitted(*subject.runs[0])[0], _TOLERANCE)


def rule_vmap(subject: Subject) -> None:
  """Under `jax.vmap` over seeds it gives what a loop over them gives."""
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
_ON_ONE = (rule_jit,)  # Op by op is slow, and a network makes no difference.


def _compare(found: PyTree, want: PyTree, tolerance: float) -> None:
  """Raises where a leaf is off by more than `tolerance` of its largest."""
  named = jax.tree.leaves_with_path(want)
  for (path, old), new in zip(named, jax.tree.leaves(found)):
    old, new = np.asarray(old), np.asarray(new)
    off = np.abs(new - old).max()
    assert off <= tolerance * max(1, np.abs(old).max()), (
        f'{jax.tree_util.keystr(path)} is off by {off:.2g}.')
