"""Unlearning within a part of the parameters: last layers, low-rank adapters.

`within` makes any unlearner act on a *subspace*; the result is an unlearner.

A *layer* is one entry of the top level of the dict of parameters. The layers
are ordered by their first use in the forward pass, not by their names: the
module traces the forward pass, and finds for each layer the first operation
that combines its parameters with values computed from the examples.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
from jax import lax
from jax.extend import core
import jax.numpy as jnp
import optax

from rum_jax import _checks, _head, _low_rank, optimizers, trees
from rum_jax.types import (
    AnyArray, Array, Examples, Key, Model, Outputs, PyTree, Unlearner,
    Variables)

_EXAMPLES = object()  # Marks values that depend on the examples.
_SALT = 0x10A4  # Makes the key of adapters differ from the unlearner's.


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
  """Appends to `used` the modules that are combined with examples, in order.

  A value that is computed from one module alone has the mark of that module. So
  a cast or a reshape of all parameters at the start does not count as a use.

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
      outputs = _follow(inner, inputs, used)
    elif len(distinct) > 1:
      used.extend(m for m in distinct if m is not _EXAMPLES and m not in used)
      outputs = [_EXAMPLES] * len(equation.outvars)
    else:
      outputs = (distinct or [None]) * len(equation.outvars)
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


class Part(NamedTuple):
  """What an unlearner that acts on a subspace is run with.

  Attributes:
    model: the network, in which only the subspace is trained. An unlearner that
      initialises it initialises the subspace and keeps the other parameters.
    tx: the optimiser, which leaves the other parameters bit-identical.
    variables: the variables of `model` to start from.
    examples: what `model` sees of the examples.
    whole: maps variables of `model` to those of the network itself.
  """

  model: Model
  tx: optax.GradientTransformation
  variables: Variables
  examples: Examples
  whole: Callable[[Variables], Variables]


# `(key, model, tx, variables, examples) -> part`.
Subspace = Callable[
    [Key, Model, optax.GradientTransformation, Variables, Examples], Part]


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


def low_rank(rank: int, *, alpha: float | None = None,
             adapted: Callable[[str], bool] | None = None) -> Subspace:
  """Adapters: each kernel `W` becomes `W + (alpha / rank) · A B`.

  A kernel is seen as a matrix `[m, n]`, where `n` is its last axis; a
  convolution's `[h, w, C, D]` as `[h · w · C, D]`. Only `A [m, rank]` and
  `B [rank, n]` are trained, so only they have gradients and a state of the
  optimiser. At the start `A` has random orthonormal columns and `B` is 0. So
  the unlearner starts from the given weights, and with `alpha = rank` the first
  step of gradient descent is the step of all weights, projected on `rank`
  random directions. At the end the product is added to the kernels.

  What a method does to parameters it does to `A` and `B`: weight decay draws
  the network back to the given weights, and SSD, which multiplies parameters,
  changes nothing while `B` is 0. A teacher such as SCRUB's is the network
  without adapters, which shares its weights with the student. Batch-norm's
  running moments are updated as usual.

  Args:
    rank: at least 1; for a kernel with fewer rows, as many as it has.
    alpha: above 0; by default `rank`.
    adapted: whether the array at a path, such as `blocks_0/attn/qkv/kernel`,
      gets adapters; it must have two axes or more. By default all arrays of two
      axes and of four: dense layers and convolutions.

  Returns:
    `(key, model, tx, variables, examples) -> part`.

  Raises:
    ValueError: if `rank` is not a whole number of at least 1 or `alpha` is not
      positive; when called, if no array is to be adapted, or one has fewer than
      two axes.
    TypeError: if `adapted` cannot be called.

  References:
    Hu et al., LoRA: low-rank adaptation of large language models, 2022; there
    a matrix multiplies from the left, and B is the factor that starts at 0, as
    here.

  >>> import rum_jax
  >>> model, tx, (key, variables, examples, split) = rum_jax.testing.example()
  >>> tune = lambda model, tx: rum_jax.finetune(model, tx, epochs=2)
  >>> unlearn = within(low_rank(2), tune, model, tx)
  >>> tuned, _ = unlearn(key, variables, examples, split)
  >>> change = jax.tree.map(jnp.subtract, tuned.params, variables.params)
  >>> int(jnp.linalg.matrix_rank(change['Dense_0']['kernel'], rtol=1e-3))
  2
  """
  _checks.check_count('rank', rank, 1)
  if alpha is not None:
    _checks.check_range('alpha', alpha, 0, open_low=True)
  if adapted is not None:
    _checks.check_callable('adapted', adapted)
  scale = 1.0 if alpha is None else alpha / rank

  def part(key: Key, model: Model, tx: optax.GradientTransformation,
           variables: Variables, examples: Examples) -> Part:
    params, stats = variables
    adapters = _low_rank.start(jax.random.fold_in(key, _SALT), params,
                               _low_rank.chosen(params, adapted), rank)
    begin = Variables(adapters, stats)
    network = _low_rank.network(model, params, scale)
    return Part(
        network._replace(init_from_data=lambda fresh, examples, rows: begin),
        tx, begin, examples, lambda inside: Variables(
            _low_rank.merged(params, inside.params, scale), inside.stats))

  return part


def within(subspace: Subspace,
           factory: Callable[[Model, optax.GradientTransformation], Unlearner],
           model: Model, tx: optax.GradientTransformation) -> Unlearner:
  """Makes an unlearner act on a subspace of the parameters.

      within(last_layers(2), lambda model, tx: rum_jax.salun(model, tx),
             model, tx)

  Args:
    subspace: such as `last_layers(2)` or `low_rank(8)`.
    factory: `(model, tx) -> unlearner`, with all other arguments given.
    model: the network.
    tx: the optimiser; a factory that needs none may ignore it.

  Returns:
    An unlearner. If `factory` makes a `sequential` one, it takes the splits of
    the stages, all of which act on the same subspace.

  Raises:
    TypeError: if `model` or `tx` is of another type.
    ValueError: as `factory` does and, when called, as `subspace` does.

  >>> import rum_jax
  >>> model, tx, (key, variables, examples, split) = rum_jax.testing.example()
  >>> tune = lambda model, tx: rum_jax.finetune(model, tx, epochs=1)
  >>> unlearn = within(last_layers(1), tune, model, tx)
  >>> tuned, _ = unlearn(key, variables, examples, split)
  >>> jax.tree.map(lambda old, new: bool((old == new).all()),
  ...              variables.params, tuned.params)['Dense_0']  # It is the same.
  {'bias': True, 'kernel': True}
  """
  _checks.check_model(model)
  _checks.check_optimizer(tx)
  factory(model, tx)  # Raises errors of the arguments now, before tracing.

  def unlearn(key: Key, variables: Variables, examples: Examples, split: Any
              ) -> tuple[Variables, Any]:
    _checks.check_runs(variables, examples, split)
    part = subspace(key, model, tx, variables, examples)
    inside, info = factory(part.model, part.tx)(
        key, part.variables, part.examples, split)
    return part.whole(inside), info

  return unlearn


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
