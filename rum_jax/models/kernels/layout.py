"""The layout of images that suits a platform.

A CPU works with the batch as the minor axis, `[C, H, W, B]`; other platforms
with `[B, H, W, C]` and XLA's own convolution. Both give the same but for
rounding. All layers take and return `[B, H, W, C]`; between two of them XLA
drops the transposes.
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


def separately(function: Callable[..., PyTree], *args: PyTree) -> PyTree:
  """`function(*args)`, written out before anything else is made of it.

  For slices of images of which a product of matrices follows, on a CPU. XLA
  would fuse the slices with the change of shape between the two, and then
  compute the place of every number anew. It fuses nothing into the branches of
  a condition, so here is one that always holds; the barrier hides that until
  XLA has no more use for it.

  Args:
    function: of arrays.
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
  """`function(x, *args, channel)`, on a CPU with `x` turned.

  Args:
    function: returns arrays of which those with as many axes as `x` are laid
      out like `x`. It must not sum over devices: XLA would keep the choice of
      platform, and around it transposes.
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
