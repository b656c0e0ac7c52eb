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
import optax

from rum_jax import _checks
from rum_jax.subspaces import _traces
from rum_jax.subspaces._within import Part, Subspace
from rum_jax.types import (
    Array, Examples, Key, Model, Outputs, PyTree, Variables)

_SALT = 0x10A4  # Makes the key of adapters differ from the unlearner's.
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
  >>> from rum_jax.subspaces import within
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
    adapters = _start(jax.random.fold_in(key, _SALT), params,
                               _chosen(params, adapted), rank)
    begin = Variables(adapters, stats)
    network = _network(model, params, scale)
    return Part(
        network._replace(init_from_data=lambda fresh, examples, rows: begin),
        tx, begin, examples, lambda inside: Variables(
            _merged(params, inside.params, scale), inside.stats))

  return part


def _by_path(params: PyTree) -> dict[str, Array]:
  """The arrays of a pytree by their paths, such as `blocks_0/fc1/kernel`."""
  return {jax.tree_util.keystr(path, simple=True, separator='/'): x
          for path, x in jax.tree.leaves_with_path(params)}


def _chosen(params: PyTree, adapted: Callable[[str], bool] | None
           ) -> dict[str, tuple[int, ...]]:
  """The paths and shapes of the arrays that get adapters.

  Raises:
    ValueError: if there is none, or if one has fewer than two axes.
  """
  shapes = {path: jnp.shape(x) for path, x in _by_path(params).items()}
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


def _start(key: Key, params: PyTree, paths: dict[str, tuple[int, ...]],
          rank: int) -> Adapters:
  """Adapters of no effect: A has random orthonormal columns, and B is 0."""
  arrays, adapters = _by_path(params), {}
  for i, (path, shape) in enumerate(paths.items()):
    m, n, dtype = math.prod(shape[:-1]), shape[-1], arrays[path].dtype
    r = min(rank, m)
    precise = jnp.promote_types(dtype, jnp.float32)
    left = jax.random.orthogonal(
        jax.random.fold_in(key, i), m, dtype=precise, m=r)
    adapters[path] = {'A': left.astype(dtype), 'B': jnp.zeros((r, n), dtype)}
  return adapters


def _merged(params: PyTree, adapters: Adapters, scale: float) -> PyTree:
  """The parameters of the network without adapters: `W + scale · A B`."""
  return jax.tree.map(_array, _sums(params, adapters, scale),
                      is_leaf=lambda x: isinstance(x, _Sum))


def _sums(params: PyTree, adapters: Adapters, scale: float) -> PyTree:
  leaves = [
      _Sum(x, adapters[path]['A'], scale * adapters[path]['B'])
      if path in adapters else x for path, x in _by_path(params).items()]
  return jax.tree.unflatten(jax.tree.structure(params), leaves)


def _array(x: Any) -> Any:
  return x.merged() if isinstance(x, _Sum) else x


def _network(model: Model, base: PyTree, scale: float) -> Model:
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
