"""Programs as JAX traces them: flat lists of operations, evaluated in part.

`subspaces` reads from them which layers come last, multiplies by adapters where
a layer multiplies by its weights, and cuts a network in two.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
from jax.extend import core

from rum_jax.types import PyTree

EXAMPLES = object()  # Marks values that depend on the examples.
_CALLS = ('jit', 'pjit', 'closed_call', 'core_call')
Rule = Callable[[Any, list[Any]], list[Any] | None]


def flat(fn: Callable[..., PyTree], *args: PyTree
         ) -> tuple[core.ClosedJaxpr, Any]:
  """The operations of `fn`, with those of the functions that it jits in place.

  Args:
    fn: a pure function.
    *args: pytrees of arrays or of their shapes.

  Returns:
    `(program, structure of the results)`; the inputs and the results of the
    program are the leaves of `args` and of what `fn` returns.
  """
  nested, shape = jax.make_jaxpr(fn, return_shape=True)(*args)
  program = jax.make_jaxpr(lambda *leaves: evaluated(nested, leaves))(
      *(x.aval for x in nested.jaxpr.invars))
  return program, jax.tree.structure(shape)


def evaluated(program: core.ClosedJaxpr, inputs: Sequence[Any],
              rule: Rule = lambda equation, values: None,
              plain: Callable[[Any], Any] = lambda value: value,
              note: Callable[[Any, list[Any]], None] = lambda *_: None
              ) -> list[Any]:
  """Runs a program, an operation at a time and without jit of its own.

  Args:
    program: such as `flat` returns.
    inputs: one value for each of its inputs.
    rule: `(equation, values) -> results`: what to do in place of an operation,
      or `None` to do as it says. With a rule, values may be of any type.
    plain: makes an array of such a value, for an operation without a rule.
    note: called with each operation and its results.

  Returns:
    The results.
  """
  known = dict(zip(program.jaxpr.invars, inputs))
  known.update(zip(program.jaxpr.constvars, program.consts))

  def read(value: Any) -> Any:
    return value.val if isinstance(value, core.Literal) else known[value]

  for equation in program.jaxpr.eqns:
    values = [read(x) for x in equation.invars]
    results = rule(equation, values)
    if results is None:
      results = _done(program, equation, [plain(x) for x in values])
    note(equation, results)
    known.update(zip(equation.outvars, results))
  return [read(x) for x in program.jaxpr.outvars]


def _done(program: core.ClosedJaxpr, equation: Any, values: Sequence[Any]
          ) -> list[Any]:
  """The results of one operation; those of a call, an operation at a time."""
  if equation.primitive.name in _CALLS:
    inner = equation.params.get('jaxpr', equation.params.get('call_jaxpr'))
    return evaluated(inner, values)
  inputs = [(x, value) for x, value in zip(equation.invars, values)
            if not isinstance(x, core.Literal)]
  alone = program.jaxpr.replace(
      constvars=[], invars=[x for x, _ in inputs], outvars=equation.outvars,
      eqns=[equation])
  return core.jaxpr_as_fun(core.ClosedJaxpr(alone, ()))(
      *(value for _, value in inputs))


def marks(program: core.ClosedJaxpr, given: Sequence[frozenset[Hashable]]
          ) -> dict[Any, frozenset[Hashable]]:
  """Which inputs each value of a program depends on.

  Args:
    program: such as `flat` returns.
    given: the marks of each of its inputs.

  Returns:
    Each variable's marks: the union of those of the inputs that it is computed
    from.
  """
  known = dict(zip(program.jaxpr.invars, given))
  for equation in program.jaxpr.eqns:
    union = frozenset().union(*(known.get(x, ()) for x in equation.invars
                                if not isinstance(x, core.Literal)))
    known.update(dict.fromkeys(equation.outvars, union))
  return known


def combined(trace: Any, marks: list[Any], used: list[str]) -> list[Any]:
  """Appends to `used` the modules that are combined with examples, in order.

  A value that is computed from one module alone has the mark of that module. So
  a cast or a reshape of all parameters at the start does not count as a use.

  Args:
    trace: the operations, which may call others.
    marks: the module of each input, `EXAMPLES`, or `None`.
    used: names of modules; changed.

  Returns:
    The marks of the outputs.
  """
  known = dict(zip(trace.invars, marks))

  def mark(value: Any) -> Any:
    return None if isinstance(value, core.Literal) else known.get(value)

  for equation in trace.eqns:
    inputs = [mark(value) for value in equation.invars]
    distinct = list(dict.fromkeys(m for m in inputs if m is not None))
    inner = equation.params.get('jaxpr', equation.params.get('call_jaxpr'))
    inner = getattr(inner, 'jaxpr', inner)
    if distinct and inner is not None and len(inner.invars) == len(inputs):
      outputs = combined(inner, inputs, used)
    elif len(distinct) > 1:
      used.extend(m for m in distinct if m is not EXAMPLES and m not in used)
      outputs = [EXAMPLES] * len(equation.outvars)
    else:
      outputs = (distinct or [None]) * len(equation.outvars)
    known.update(zip(equation.outvars, outputs))
  return [mark(value) for value in trace.outvars]
