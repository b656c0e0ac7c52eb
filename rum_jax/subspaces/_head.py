"""A network cut in two: what the lower layers give is computed once.

The cut is found in the operations of a forward pass: after the last one that
combines weights of the lower layers with the examples, and before the first one
that uses weights of the upper layers. Of all such places it is the one where
the fewest bytes an example cross.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
import math
from typing import Any, NamedTuple

import jax
from jax.extend import core
import jax.numpy as jnp

from rum_jax import training, trees
from rum_jax.subspaces import _traces
from rum_jax.types import (
    Array, Examples, Key, Model, Outputs, PyTree, Variables)

_UPPER, _BATCH = object(), object()  # Marks of values.
_BATCH_SIZE = 256  # Of the pass that computes the features.


class Features(NamedTuple):
  """The outputs of the lower layers, in place of the array that they read.

  Attributes:
    values: leaves `[N, ...]`, all that the upper layers need.
  """

  values: tuple[Array, ...]

  @property
  def shape(self) -> tuple[int, ...]:
    """Refuses edits of images: the features have replaced them."""
    raise TypeError('Expected no augmentation, since the layers below the '
                    'trained ones see each example once, before training.')


class Half(NamedTuple):
  """The upper layers as a network of their own.

  Attributes:
    model: the network.
    variables: the variables of the upper layers.
    examples: the given ones with `Features` in place of what the lower layers
      read.
  """

  model: Model
  variables: Variables
  examples: Examples


class _Pass(NamedTuple):
  """A forward pass and where it is cut.

  Attributes:
    program: its operations.
    tree: structure of its results.
    marks: what each value depends on.
    place: number of operations that come before the cut.
    crossing: the variables whose values cross the cut.
  """

  program: core.ClosedJaxpr
  tree: Any
  marks: Mapping[Any, frozenset]
  place: int
  crossing: tuple[Any, ...]


def upper(model: Model, variables: Variables, examples: Examples,
          names: Collection[str]) -> Half:
  """Computes the lower layers' outputs for all examples, and cuts them off.

  Args:
    model: the network.
    variables: the variables of the network; parameters and state are dicts of
      modules.
    examples: leaves `[N, ...]`.
    names: the upper layers, such as `subspaces.last` returns.

  Raises:
    ValueError: if the network cannot be cut there; see `subspaces.last_layers`.
  """
  above, below = (Variables(*({n: x for n, x in part.items()
                               if (n in names) == inside}
                              for part in variables))
                  for inside in (True, False))
  tree = jax.tree.structure(examples)
  shapes = [jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
            for x in jax.tree.leaves(examples)]

  def cut(size: int, **how: Any) -> _Pass:
    return _cut(model, above, below, lambda n: tree.unflatten(
        [jax.ShapeDtypeStruct((n, *x.shape), x.dtype) for x in shapes]),
                size, **how)

  key = jax.random.key(0)

  def lower(batch: Examples) -> tuple[Array, ...]:
    size = trees.length(batch)
    found = cut(size, train=True, key=key, mask=jnp.ones(size))
    return _values(found, [None] * len(jax.tree.leaves(above))
                   + jax.tree.leaves((below, batch)) + [None, None])

  read = _read(cut(1, train=True, key=key, mask=jnp.ones(1)),
               len(jax.tree.leaves((above, below))), len(shapes))
  _check_task(model, variables, tree, shapes, read)
  values = Features(training.in_batches(lower, examples, _BATCH_SIZE))
  leaves = jax.tree.leaves(examples)
  for i in read:  # The first holds the features; the others are empty.
    leaves[i] = values if i == read[0] else jnp.zeros((len(leaves[i]), 0))

  def apply(variables: Variables, examples: Examples, *, train: bool,
            key: Key | None = None, mask: Array | None = None
            ) -> tuple[Outputs, PyTree]:
    given = tree.flatten_up_to(examples)
    values = given[read[0]].values
    found = cut(len(values[0]), train=train, key=key, mask=mask)
    shapes = [(x.shape, x.dtype) for x in values]
    wanted = [(x.aval.shape, x.aval.dtype) for x in found.crossing]
    if shapes != wanted:
      raise ValueError(
          'Expected the same features in training and in evaluation, and for '
          f'batches of any size, found {shapes} and {wanted}.')
    inputs = [*jax.tree.leaves((variables, below)), *given,
              *jax.tree.leaves((key, mask))]
    return found.tree.unflatten(_results(found, inputs, values))

  def init(key: Key) -> Variables:
    fresh = Variables(*({n: new[n] for n in old}
                        for old, new in zip(above, model.init(key))))
    return jax.tree.map(lambda old, new: new.astype(old.dtype), above, fresh)

  half = Model(init, apply, model.task)
  return Half(half, above, tree.unflatten(leaves))


def joined(variables: Variables, above: Variables) -> Variables:
  """The network's variables with the upper layers' in their places."""
  return Variables(*({n: new.get(n, x) for n, x in old.items()}
                     for old, new in zip(variables, above)))


def _cut(model: Model, above: Variables, below: Variables, examples: Any,
         size: int, *, train: bool, key: Key | None, mask: Array | None
         ) -> _Pass:
  """Traces a forward pass on `size` examples and finds where to cut it."""

  def run(above: Variables, below: Variables, examples: Examples,
          key: Key | None, mask: Array | None) -> PyTree:
    outputs, stats = model.apply(
        Variables(*({**low, **high} for low, high in zip(below, above))),
        examples, train=train, key=key, mask=mask)
    return ((outputs, {n: x for n, x in stats.items() if n in above.stats}),
            {n: x for n, x in stats.items() if n not in above.stats})

  def traced(count: int) -> tuple[core.ClosedJaxpr, Any]:
    rows = None if mask is None else jax.ShapeDtypeStruct((count,), mask.dtype)
    return _traces.flat(run, above, below, examples(count), key, rows)

  program, tree = traced(size)
  other, _ = traced(size + 1)  # Which axes are those of examples?
  given = [
      *[frozenset([_UPPER])] * len(jax.tree.leaves(above)),
      *(frozenset([path[1].key]) for path, _ in jax.tree.leaves_with_path(
          below)),
      *[frozenset([_traces.EXAMPLES])] * len(jax.tree.leaves(examples(size))),
      *[frozenset([_BATCH])] * len(jax.tree.leaves((key, mask)))]
  marks = _traces.marks(program, given)
  top, rest = tree.children()
  for path, x in jax.tree.leaves_with_path(
      rest.unflatten(program.jaxpr.outvars[top.num_leaves:])):
    if _traces.EXAMPLES in marks.get(x, ()):
      raise ValueError(
          f'Expected the layers below to keep their state, found that '
          f'{path[0].key} changes it in training, as batch-norm does. '
          'rum_jax.batch_norm.frozen(model) keeps it.')
  place, crossing = _narrowest(program, other, marks)
  return _Pass(program, top, marks, place, crossing)


def _narrowest(program: core.ClosedJaxpr, other: core.ClosedJaxpr,
               marks: Mapping[Any, frozenset]) -> tuple[int, tuple[Any, ...]]:
  """Finds the first cut across which the fewest bytes pass."""
  equations = program.jaxpr.eqns
  twins = dict(zip(program.jaxpr.invars, other.jaxpr.invars))
  for a, b in zip(equations, other.jaxpr.eqns):
    twins.update(zip(a.outvars, b.outvars))
  of = lambda x: frozenset() if isinstance(x, core.Literal) else marks.get(
      x, frozenset())
  start, stop, lower = 0, len(equations), ''
  for i, equation in enumerate(equations):
    results = of(equation.outvars[0])
    if _traces.EXAMPLES in results:
      weights = [x for value in equation.invars for x in of(value)
                 if isinstance(x, str) and _traces.EXAMPLES not in of(value)]
      if weights:
        start, lower = i + 1, weights[0]
      if _UPPER in results:
        stop = min(stop, i)
  if not start:
    raise ValueError('Expected layers below the trained ones, found none.')
  if start > stop:
    raise ValueError(f'Expected {lower} to be used before all trained layers, '
                     'found that it is used after one of them, too.')
  best = None
  for place in range(start, stop + 1):
    defined = [*program.jaxpr.invars,
               *(x for e in equations[:place] for x in e.outvars)]
    used = {x for e in equations[place:] for x in e.invars
            if not isinstance(x, core.Literal)} | {
                x for x in program.jaxpr.outvars
                if not isinstance(x, core.Literal)}
    crossing = tuple(x for x in defined
                     if x in used and _traces.EXAMPLES in of(x))
    if crossing and all(
        _BATCH not in of(x) and _per_example(x, twins) for x in crossing):
      size = sum(math.prod(x.aval.shape) * x.aval.dtype.itemsize
                 for x in crossing)
      if best is None or size < best[0]:
        best = size, place, crossing
  if best is None:
    raise ValueError(
        'Expected what the layers below give to depend on the example alone, '
        'found that it depends on the batch or on random numbers, such as '
        "dropout's. rum_jax.batch_norm.frozen(model) turns both off.")
  return best[1], best[2]


def _per_example(x: Any, twins: Mapping[Any, Any]) -> bool:
  """Whether the first axis, and only the first, counts the examples."""
  size, *rest = x.aval.shape or (0,)
  return x in twins and twins[x].aval.shape == (size + 1, *rest)


def _values(found: _Pass, inputs: list[Any]) -> tuple[Array, ...]:
  """Computes the values that cross the cut, without any operation above it."""
  known: dict[Any, Any] = dict(zip(found.program.jaxpr.invars, inputs))
  done = {id(e) for e in found.program.jaxpr.eqns[:found.place]}

  def rule(equation: Any, values: list[Any]) -> list[Any] | None:
    if id(equation) not in done or any(x is None for x in values):
      return [None] * len(equation.outvars)
    return None

  def note(equation: Any, results: list[Any]) -> None:
    known.update(zip(equation.outvars, results))

  _traces.evaluated(found.program, inputs, rule, note=note)
  return tuple(known[x] for x in found.crossing)


def _results(found: _Pass, inputs: list[Any], values: tuple[Array, ...]
             ) -> list[Any]:
  """Computes the results of the pass from the values that cross the cut."""
  given = dict(zip(found.crossing, values))
  skipped = {id(e) for e in found.program.jaxpr.eqns[:found.place]
             if _traces.EXAMPLES in found.marks[e.outvars[0]]}

  def rule(equation: Any, values: list[Any]) -> list[Any] | None:
    del values
    if id(equation) in skipped:
      return [given.get(x) for x in equation.outvars]
    return None

  inputs = [given.get(x, value) for x, value in zip(
      found.program.jaxpr.invars, inputs)]
  return _traces.evaluated(
      found.program, inputs, rule)[:found.tree.num_leaves]


def _read(found: _Pass, first: int, count: int) -> list[int]:
  """Which leaves of the examples the network reads."""
  program = found.program.jaxpr
  used = {x for e in program.eqns for x in e.invars
          if not isinstance(x, core.Literal)}
  return [i for i, x in enumerate(program.invars[first:first + count])
          if x in used]


def _check_task(model: Model, variables: Variables, tree: Any,
                shapes: list[Any], read: list[int]) -> None:
  """Refuses tasks that look at what only the lower layers should read."""
  examples = tree.unflatten(
      [jax.ShapeDtypeStruct((1, *x.shape), x.dtype) for x in shapes])
  outputs = jax.eval_shape(
      lambda v, x: model.apply(v, x, train=False)[0], variables, examples)
  for name in ('loss', 'score'):
    program, _ = _traces.flat(
        lambda examples, outputs, name=name: getattr(model.task, name)(
            outputs, examples), examples, outputs)
    used = {x for e in program.jaxpr.eqns for x in e.invars
            if not isinstance(x, core.Literal)}
    if any(program.jaxpr.invars[i] in used for i in read):
      raise ValueError(
          f"Expected the task's {name} not to read what the network reads of "
          'the examples, since features take its place.')
