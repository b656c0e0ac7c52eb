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
