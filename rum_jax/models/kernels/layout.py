"""The memory layout of images for each platform.

On a CPU the batch is the minor axis, `[C, H, W, B]`. Other platforms use
`[B, H, W, C]` and XLA's own convolution. The results differ by rounding alone.
All layers take and return `[B, H, W, C]`; XLA removes the transposes between
two layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools

import jax
from jax import lax
import jax.numpy as jnp

from rum_jax.types import Array, PyTree


def turned(x: Array) -> Array:
  """`[B, ..., C]` to `[C, ..., B]` and back."""
  return x.swapaxes(0, -1)


def interleaved(parts: Sequence[Array], axis: int) -> Array:
  """Along an axis, what `[x[i::n] for i in range(n)]` took apart."""
  y = jnp.stack(parts, axis + 1)
  length = len(parts) * y.shape[axis]
  return y.reshape(*y.shape[:axis], length, *y.shape[axis + 2:])


def block_size(batch: int) -> int:
  """Number of images at a time, so that intermediate results fit in the cache.

  It is a divisor of `batch` from 16 to 32: the largest multiple of 16, else the
  largest multiple of 8, else the largest. If there is none, it is `batch`.
  """
  fitting = [n for n in range(16, min(batch, 32) + 1) if batch % n == 0]
  whole = [n for n in fitting if n % 16 == 0] or [
      n for n in fitting if n % 8 == 0]
  return max(whole or fitting, default=batch)


def in_blocks(function: Callable[..., tuple[Array, PyTree]], x: PyTree,
              *args: PyTree) -> tuple[Array, PyTree]:
  """`function(x, *args)`, a block of images at a time.

  Args:
    function: `(x, *args) -> (y [..., B], totals)`; the totals are summed over
      the blocks.
    x: arrays `[..., B]`.
    *args: the same for all blocks.
  """
  batch = jax.tree.leaves(x)[0].shape[-1]
  size = block_size(batch)
  if size == batch:
    return function(x, *args)

  def part(i: Array) -> tuple[Array, PyTree]:
    mine = jax.tree.map(
        lambda a: lax.dynamic_slice_in_dim(a, i * size, size, -1), x)
    return function(mine, *args)

  def step(sums: tuple[Array, PyTree], i: Array):
    whole, totals = sums
    y, more = part(i)
    whole = lax.dynamic_update_slice_in_dim(whole, y, i * size, -1)
    return (whole, jax.tree.map(jnp.add, totals, more)), None

  y, totals = jax.eval_shape(part, jnp.int32(0))
  empty = (lax.empty((*y.shape[:-1], batch), y.dtype),
           jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), totals))
  return lax.scan(step, empty, jnp.arange(batch // size))[0]


def separately(function: Callable[..., PyTree], *args: PyTree) -> PyTree:
  """`function(*args)`, computed without fusion with later operations.

  It is for slices of images that are followed by a matrix product, on a CPU.
  XLA would fuse the slices with the reshape between the two, and then compute
  the index of every number. XLA does not fuse into the branches of a condition.
  So this function uses a condition that is always true. The optimization
  barrier hides its value from the compiler.

  Args:
    function: a function of arrays.
    *args: its arguments.

  Returns:
    What `function` returns.
  """

  def never(*args: PyTree) -> PyTree:
    return jax.tree.map(jnp.zeros_like, jax.eval_shape(function, *args))

  return lax.cond(
      lax.optimization_barrier(jnp.array(True)), function, never, *args)


def in_platform_layout(function: Callable[..., PyTree], x: PyTree, *args: Array
                       ) -> PyTree:
  """`function(x, *args, channel)`, on a CPU with the batch as the minor axis.

  Args:
    function: returns arrays; those with as many axes as `x` have the layout of
      `x`. It must not sum over devices: XLA would then keep the conditional on
      the platform, and transposes around it.
    x: one or several `[B, ..., C]`.
    *args: have fewer axes than `x`.
  """

  def on_cpu(x: PyTree, *args: Array) -> PyTree:
    axes = jax.tree.leaves(x)[0].ndim
    results = function(jax.tree.map(turned, x), *args, channel=0)
    return jax.tree.map(
        lambda y: turned(y) if y.ndim == axes else y, results)

  return lax.platform_dependent(
      x, *args, cpu=on_cpu, default=functools.partial(function, channel=-1))
