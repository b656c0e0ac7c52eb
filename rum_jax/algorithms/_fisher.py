"""The empirical Fisher information of some examples, damped, as an operator.

    A = damping · I + (1 / N) Σ_i g_i g_iᵀ = damping · I + (1 / N) Gᵀ G

with `g_i` the gradient of example i, in evaluation mode. The matrix `G`, of N
rows as long as the parameters, is never in memory: its rows are recomputed in
chunks.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jax.scipy import linalg
import optax

from rum_jax import gradients
from rum_jax.types import AnyArray, Array, Examples, Model, PyTree, Variables


class Fisher(NamedTuple):
  """The matrix `A`, represented by the inputs that define it.

  Attributes:
    model: the network.
    variables: the variables at which the gradients are computed.
    examples: all examples.
    index: `[N]` rows of the examples.
    damping: added to the diagonal.
    chunk: number of per-example gradients in memory at a time.
  """

  model: Model
  variables: Variables
  examples: Examples
  index: AnyArray
  damping: float
  chunk: int


def rows_of(f: Fisher, rows: AnyArray) -> PyTree:
  """The rows of `G` of the given examples: a pytree of leaves `[B, ...]`."""
  return gradients.per_example(f.model, f.variables, f.examples, rows)


def project(f: Fisher, x: PyTree) -> Array:
  """`G x` `[N]`, a chunk of per-example gradients at a time."""
  rows, _ = gradients.in_batches(f.index, f.chunk)

  def along(rows: Array) -> Array:
    products = jax.tree.map(
        lambda g, leaf: (g * leaf).reshape(g.shape[0], -1).sum(axis=1),
        rows_of(f, rows), x)
    return jnp.asarray(sum(jax.tree.leaves(products)))

  return lax.map(along, rows).reshape(-1)[:f.index.shape[0]]


def combine(f: Fisher, c: Array) -> PyTree:
  """`Gᵀ c` for `c` `[N]`: the gradient of a weighted sum of losses."""
  return gradients.weighted(f.model, f.variables, f.examples, f.index, c,
                            f.chunk)


def times(f: Fisher, x: PyTree) -> PyTree:
  """`A x`."""
  curved = combine(f, project(f, x) / f.index.shape[0])
  return optax.tree.add_scale(curved, f.damping, x)


def gram(f: Fisher) -> Array:
  """`G Gᵀ` `[N, N]` from pairs of chunks; symmetry gives half of the pairs."""
  rows, _ = gradients.in_batches(f.index, f.chunk)
  steps, width = rows.shape

  def fill(out: Array, i: Array):
    left = rows_of(f, rows[i])

    def block(j: Array, out: Array) -> Array:
      product = gradients.inner(left, rows_of(f, rows[j]))
      out = lax.dynamic_update_slice(out, product, (i * width, j * width))
      return lax.dynamic_update_slice(out, product.T, (j * width, i * width))

    return lax.fori_loop(i, steps, block, out), None

  first = jax.eval_shape(lambda i: rows_of(f, rows[i]), 0)
  dtype = jax.eval_shape(gradients.inner, first, first).dtype
  blank = jnp.zeros((steps * width,) * 2, dtype)
  out, _ = lax.scan(fill, blank, jnp.arange(steps))
  return out[:f.index.shape[0], :f.index.shape[0]]


def solve(f: Fisher, v: PyTree, rounds: int = 2) -> tuple[PyTree, PyTree]:
  """`A⁻¹ v`, exactly, by Woodbury's identity.

  `A⁻¹ v = (v − Gᵀ (N · damping · I + G Gᵀ)⁻¹ G v) / damping`. `G Gᵀ` comes from
  pairs of chunks of per-example gradients, and `Gᵀ c` is the gradient of
  `Σ c_i CE_i`. The memory is that of two chunks of gradients and of `[N, N]`.
  The second round corrects the rounding errors of float32, which matter where
  `damping` is small.

  Args:
    f: the matrix.
    v: pytree shaped like the parameters.
    rounds: how often the identity is applied: first to `v`, then to the
      residual of the round before.

  Returns:
    `(x, v − A x)`.
  """
  n = f.index.shape[0]
  factor = linalg.cho_factor(gram(f) + n * f.damping * jnp.eye(n))

  def improve(carry: tuple[PyTree, PyTree], _):
    x, missing = carry
    spanned = combine(f, linalg.cho_solve(factor, project(f, missing)))
    inverted = optax.tree.scale(1 / f.damping, optax.tree.sub(missing, spanned))
    x = optax.tree.add(x, inverted)
    return (x, optax.tree.sub(v, times(f, x))), None

  return lax.scan(improve, (optax.tree.zeros_like(v), v), length=rounds)[0]
