"""The last layers of a network, trained alone.

A *layer* is one entry of the top level of the dict of parameters. The layers
are ordered by their first use in the forward pass, not by their names: the
module traces the forward pass, and finds for each layer the first operation
that combines its parameters with values computed from the examples.
"""

from __future__ import annotations

from collections.abc import Collection

import jax
from jax import lax
import jax.numpy as jnp
import optax

from rum_jax import _checks, optimizers, trees
from rum_jax.subspaces import _head, _traces
from rum_jax.subspaces._within import Part, Subspace
from rum_jax.types import (
    AnyArray, Array, Examples, Key, Model, Outputs, PyTree, Variables)


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
  _traces.combined(
      trace, marks + [_traces.EXAMPLES] * len(jax.tree.leaves(examples)), used)
  return (*(name for name in params if name not in used), *used)


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
  """The network in which only the modules `names` are trained.

  The other modules get no gradient, and their batch-norm moments are not
  updated. The backward pass stops at the first module that is trained.

  Args:
    model: the network.
    names: the names of the top-level modules to train.

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


def last_layers(k: int, *, cached: bool = False) -> Subspace:
  """The last `k` top-level modules, counted from the prediction.

  The forward pass decides which modules are last, not their names.

  With `cached`, what the layers below give is computed once for all examples,
  and the unlearner runs on the last layers alone. The results are the same up
  to rounding, but a share of all parameters, such as SalUn's density, is then a
  share of those of the last layers. This needs a network whose layers below do
  in training what they do in evaluation, one example at a time: without
  dropout, and without batch-norm unless it is frozen.

      within(last_layers(2, cached=True), factory, batch_norm.frozen(model), tx)

  Args:
    k: number of modules; 1 is the last linear layer.
    cached: whether to compute once what the layers below give, and to keep it
      in memory: for each example as much as goes from one layer to the next.
      There can be no augmentation then.

  Returns:
    `(key, model, tx, variables, examples) -> part`.

  Raises:
    ValueError: if `k` is not a whole number of at least 1 or, when called, if
      the network has fewer modules; with `cached`, when called, if there are no
      layers below, or they depend on the batch, on random numbers or on what
      the last layers give, or the task looks at what they alone should read.
    TypeError: when called, if the parameters are not a dict of modules; with
      `cached`, when called, if images are augmented.
  """
  _checks.check_count('k', k, 1)

  def part(key: Key, model: Model, tx: optax.GradientTransformation,
           variables: Variables, examples: Examples) -> Part:
    del key
    names = last(model, variables, trees.take(examples, slice(1)), k)
    if cached:
      half = _head.upper(model, variables, examples, names)
      return Part(half.model, tx, half.variables, half.examples,
                  lambda above: _head.joined(variables, above))

    def init_from_data(fresh: Variables, examples: Examples, rows: AnyArray
                       ) -> Variables:
      fresh = model.init_from_data(fresh, examples, rows)
      return Variables(*(_swapped(old, new, names)
                         for old, new in zip(variables, fresh)))

    return Part(held(model, names)._replace(init_from_data=init_from_data),
                gated(tx, variables.params, names), variables, examples,
                lambda x: x)

  return part


def _swapped(old: PyTree, new: PyTree, names: Collection[str]) -> PyTree:
  """`old` with the modules `names` from `new`, in the dtypes of `old`."""
  cast = lambda a, b: b.astype(a.dtype)
  return {name: jax.tree.map(cast, value, new[name]) if name in names else value
          for name, value in old.items()}


def gated(tx: optax.GradientTransformation, params: PyTree,
          names: Collection[str]) -> optax.GradientTransformation:
  """`tx` for the modules `names`; all others stay bit-identical."""
  mask = {name: jax.tree.map(
      lambda x, moves=name in names: jnp.full(jnp.shape(x), moves), value)
          for name, value in params.items()}
  return optimizers.gated(tx, mask)
