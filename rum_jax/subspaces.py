"""Unlearning within a part of the parameters, such as the last layers.

`within` makes any unlearner act on a *subspace*; the result is an unlearner.

A *layer* is one entry of the top level of the parameters' dict. Their order is
not that of their names: it is the order in which the forward pass first brings
them together with the examples, read off its trace.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
from jax import lax
from jax.extend import core
import jax.numpy as jnp
import optax

from rum_jax import _checks, optimizers, trees
from rum_jax.types import (
    AnyArray, Array, Examples, Info, Key, Model, Outputs, PyTree, Split,
    Unlearner, Variables)

_EXAMPLES = object()  # Marks what depends on the examples.


def forward_order(model: Model, variables: Variables, examples: Examples
                  ) -> tuple[str, ...]:
  """Names of the top-level modules, from the examples to the prediction.

  Args:
    model: the network.
    variables: its parameters must be a dict; only shapes matter.
    examples: leaves `[B, ...]`; only shapes matter.

  Returns:
    The keys of `variables.params`; modules that the prediction does not need
    come first.

  Raises:
    TypeError: if the parameters are not a dict.
  """
  params, stats = variables
  if not isinstance(params, dict):
    raise TypeError('Expected the parameters to be a dict of modules, found '
                    f'{type(params).__name__}.')

  def prediction(params: PyTree, examples: Examples) -> PyTree:
    return model.apply(
        Variables(params, stats), examples, train=False)[0].prediction

  trace = jax.make_jaxpr(prediction)(params, examples).jaxpr
  marks = [path[0].key for path, _ in jax.tree.leaves_with_path(params)]
  used: list[str] = []
  _follow(trace, marks + [_EXAMPLES] * len(jax.tree.leaves(examples)), used)
  return (*(name for name in params if name not in used), *used)


def _follow(trace: Any, marks: list[Any], used: list[str]) -> list[Any]:
  """Appends to `used` the modules that meet the examples, in order.

  A value computed from one module alone keeps that module's mark, so that a
  cast or a reshape of all parameters at the start is not yet a use. Returns the
  marks of the outputs.
  """
  known = dict(zip(trace.invars, marks))

  def mark(value: Any) -> Any:
    return None if isinstance(value, core.Literal) else known.get(value)

  for equation in trace.eqns:
    inputs = [mark(value) for value in equation.invars]
    found = list(dict.fromkeys(m for m in inputs if m is not None))
    inside = equation.params.get('jaxpr', equation.params.get('call_jaxpr'))
    inside = getattr(inside, 'jaxpr', inside)
    if found and inside is not None and len(inside.invars) == len(inputs):
      outputs = _follow(inside, inputs, used)
    elif len(found) > 1:
      used.extend(m for m in found if m is not _EXAMPLES and m not in used)
      outputs = [_EXAMPLES] * len(equation.outvars)
    else:
      outputs = (found or [None]) * len(equation.outvars)
    known.update(zip(equation.outvars, outputs))
  return [mark(value) for value in trace.outvars]


def last(model: Model, variables: Variables, examples: Examples, k: int
         ) -> tuple[str, ...]:
  """The last `k` names of `forward_order`.

  Raises:
    ValueError: if there are fewer than `k`.
  """
  order = forward_order(model, variables, examples)
  if k > len(order):
    raise ValueError(f'Expected k={k} to be at most {len(order)}, the number '
                     f'of top-level modules: {", ".join(order)}.')
  return order[len(order) - k:]


def held(model: Model, names: Collection[str]) -> Model:
  """The network with every module but `names` held still.

  The others get no gradient, so that none is computed below the first module
  that moves, and their batch-norm moments are not updated.

  Args:
    model: the network.
    names: of the top-level modules that may move.

  Returns:
    A network with the same outputs.
  """

  def apply(variables: Variables, examples: Examples, *, train: bool,
            key: Key | None = None, mask: Array | None = None
            ) -> tuple[Outputs, PyTree]:
    params = {name: value if name in names else lax.stop_gradient(value)
              for name, value in variables.params.items()}
    outputs, stats = model.apply(
        Variables(params, variables.stats), examples, train=train, key=key,
        mask=mask)
    return outputs, {
        name: variables.stats[name]
        if name in params and name not in names else value
        for name, value in stats.items()}

  return model._replace(apply=apply)


class Part(NamedTuple):
  """What an unlearner is built from when it acts on a part of the parameters.

  Attributes:
    model: the network, of which the part alone moves. A network that starts
      afresh does so in the part; the rest is what it was.
    tx: the optimiser, which leaves the rest bit-identical.
  """

  model: Model
  tx: optax.GradientTransformation


Subspace = Callable[
    [Model, optax.GradientTransformation, Variables, Examples], Part]


def last_layers(k: int) -> Subspace:
  """The last `k` top-level modules, counted from the prediction.

  Which modules are last is read off the forward pass, not off their names.

  Args:
    k: number of modules; 1 is the last linear layer.

  Returns:
    `(model, tx, variables, examples) -> part`.

  Raises:
    ValueError: if `k` is no whole number of at least 1 or, when called, if the
      network has fewer modules.
    TypeError: when called, if the parameters are not a dict of modules.
  """
  _checks.check_count('k', k, 1)

  def part(model: Model, tx: optax.GradientTransformation,
           variables: Variables, examples: Examples) -> Part:
    names = last(model, variables, trees.take(examples, slice(1)), k)

    def init_from_data(fresh: Variables, examples: Examples, rows: AnyArray
                       ) -> Variables:
      fresh = model.init_from_data(fresh, examples, rows)
      return Variables(*(_swapped(old, new, names)
                         for old, new in zip(variables, fresh)))

    return Part(held(model, names)._replace(init_from_data=init_from_data),
                gated(tx, variables.params, names))

  return part


def within(subspace: Subspace,
           factory: Callable[[Model, optax.GradientTransformation], Unlearner],
           model: Model, tx: optax.GradientTransformation) -> Unlearner:
  """Makes an unlearner act on a subspace of the parameters.

      within(last_layers(2), lambda model, tx: rum_jax.salun(model, tx),
             model, tx)

  Args:
    subspace: such as `last_layers(2)`.
    factory: `(model, tx) -> unlearner`, with its other values filled in.
    model: the network.
    tx: the optimiser; a factory without one leaves it alone.

  Returns:
    An unlearner.

  Raises:
    TypeError: if `model` or `tx` is of another type.
    ValueError: as `factory` does and, when called, as `subspace` does.
  """
  _checks.check_model(model)
  _checks.check_optimizer(tx)
  factory(model, tx)  # Raises now what would otherwise be raised in tracing.

  @_checks.checked
  def unlearn(key: Key, variables: Variables, examples: Examples, split: Split
              ) -> tuple[Variables, Info]:
    part = subspace(model, tx, variables, examples)
    return factory(*part)(key, variables, examples, split)

  return unlearn


def _swapped(old: PyTree, new: PyTree, names: Collection[str]) -> PyTree:
  """`old` with the modules `names` from `new`, in the dtypes of `old`."""
  cast = lambda a, b: b.astype(a.dtype)
  return {name: jax.tree.map(cast, value, new[name]) if name in names else value
          for name, value in old.items()}


def gated(tx: optax.GradientTransformation, params: PyTree,
          names: Collection[str]) -> optax.GradientTransformation:
  """An optimiser that leaves every module but `names` bit-identical."""
  mask = {name: jax.tree.map(
      lambda x, moves=name in names: jnp.full(jnp.shape(x), moves), value)
          for name, value in params.items()}
  return optimizers.gated(tx, mask)
