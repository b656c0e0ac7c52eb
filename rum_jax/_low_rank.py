"""Networks whose weights are given arrays plus products of two thin matrices.

A kernel `[m, n]` becomes `W + s · A B` with `A [m, r]` and `B [r, n]`. Where a
layer multiplies its input by a matrix, the network computes `x W + s · (x A) B`
and never adds the matrices up, so that there is neither a second copy of the
weights nor a gradient of their size. Where a kernel is used in another way, as
by convolutions, it is added up when it is used.
"""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp

from rum_jax import _traces
from rum_jax.types import (
    Array, Examples, Key, Model, Outputs, PyTree, Variables)

Adapters = dict[str, dict[str, Array]]  # Path of a kernel to its A and B.


class _Sum(NamedTuple):
  """The array `weight + left @ right`, seen as a matrix, not yet computed."""

  weight: Array
  left: Array
  right: Array

  def merged(self) -> Array:
    """The array itself, bit for bit `weight` where `right` is 0."""
    product = self.left @ self.right
    return self.weight + product.reshape(self.weight.shape)


def by_path(params: PyTree) -> dict[str, Array]:
  """The arrays of a pytree by their paths, such as `blocks_0/fc1/kernel`."""
  return {jax.tree_util.keystr(path, simple=True, separator='/'): x
          for path, x in jax.tree.leaves_with_path(params)}


def chosen(params: PyTree, adapted: Callable[[str], bool] | None
           ) -> dict[str, tuple[int, ...]]:
  """The paths and shapes of the arrays that get adapters.

  Raises:
    ValueError: if there is none, or if one has fewer than two axes.
  """
  shapes = {path: jnp.shape(x) for path, x in by_path(params).items()}
  if adapted is None:
    found = {path: s for path, s in shapes.items() if len(s) in (2, 4)}
  else:
    found = {path: s for path, s in shapes.items() if adapted(path)}
  if not found:
    raise ValueError('Expected adapted to choose at least one of the arrays '
                     f'{", ".join(shapes)}, found none.')
  for path, shape in found.items():
    if len(shape) < 2:
      raise ValueError('Expected arrays of at least two axes to be adapted, '
                       f'found {path} of shape {shape}.')
  return found


def start(key: Key, params: PyTree, paths: dict[str, tuple[int, ...]],
          rank: int) -> Adapters:
  """Adapters of no effect: A has random orthonormal columns, and B is 0."""
  arrays, adapters = by_path(params), {}
  for i, (path, shape) in enumerate(paths.items()):
    m, n, dtype = math.prod(shape[:-1]), shape[-1], arrays[path].dtype
    r = min(rank, m)
    precise = jnp.promote_types(dtype, jnp.float32)
    left = jax.random.orthogonal(
        jax.random.fold_in(key, i), m, dtype=precise, m=r)
    adapters[path] = {'A': left.astype(dtype), 'B': jnp.zeros((r, n), dtype)}
  return adapters


def merged(params: PyTree, adapters: Adapters, scale: float) -> PyTree:
  """The parameters of the network without adapters: `W + scale · A B`."""
  return jax.tree.map(_array, _sums(params, adapters, scale),
                      is_leaf=lambda x: isinstance(x, _Sum))


def _sums(params: PyTree, adapters: Adapters, scale: float) -> PyTree:
  leaves = [
      _Sum(x, adapters[path]['A'], scale * adapters[path]['B'])
      if path in adapters else x for path, x in by_path(params).items()]
  return jax.tree.unflatten(jax.tree.structure(params), leaves)


def _array(x: Any) -> Any:
  return x.merged() if isinstance(x, _Sum) else x


def network(model: Model, base: PyTree, scale: float) -> Model:
  """The network whose parameters are adapters of the parameters `base`.

  Args:
    model: the network without adapters.
    base: its parameters, which are not trained.
    scale: the scale of the products `A B`.

  Returns:
    A network. It also takes variables of `model`, such as its `init` draws; it
    runs without adapters on those.
  """
  whole = jax.tree.structure(base)

  def apply(variables: Variables, examples: Examples, *, train: bool,
            key: Key | None = None, mask: Array | None = None
            ) -> tuple[Outputs, PyTree]:
    how = {'train': train, 'key': key, 'mask': mask}
    if jax.tree.structure(variables.params) == whole:
      return model.apply(variables, examples, **how)

    def run(params: PyTree, stats: PyTree, examples: Examples,
            key: Key | None, mask: Array | None) -> tuple[Outputs, PyTree]:
      return model.apply(Variables(params, stats), examples, train=train,
                         key=key, mask=mask)

    rest = variables.stats, examples, key, mask
    program, tree = _traces.flat(run, base, *rest)
    inputs = jax.tree.leaves(
        (_sums(base, variables.params, scale), *rest),
        is_leaf=lambda x: isinstance(x, _Sum))
    return tree.unflatten(map(_array, _traces.evaluated(
        program, inputs, _multiplied, _array)))

  return model._replace(apply=apply)


def _multiplied(equation: Any, values: list[Any]) -> list[Any] | None:
  """`x W + (x A) B` for a product with a matrix; `None` for other uses."""
  kind, how = equation.primitive, equation.params
  if kind is lax.convert_element_type_p and isinstance(values[0], _Sum):
    return [_Sum(*(kind.bind(x, **how) for x in values[0]))]
  if (kind is lax.dot_general_p and isinstance(values[1], _Sum)
      and not isinstance(values[0], _Sum)):
    (_, contracted), batch = how['dimension_numbers']
    x, (weight, left, right) = values
    if weight.ndim == 2 and tuple(contracted) == (0,) and not any(batch):
      thin = kind.bind(x, left, **how)
      last = (((thin.ndim - 1,), (0,)), ((), ()))
      more = kind.bind(thin, right, **{**how, 'dimension_numbers': last})
      return [kind.bind(x, weight, **how) + more]
  return None
