"""3×3 convolution with 16 products for every four outputs instead of 36.

A tile of 4×4 inputs d gives a tile of 2×2 outputs Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A, the
product ⊙ being one of matrices for each of 16 points, summed over channels. The
sums before and after it are exact but for rounding, which is that of a direct
sum within a factor of two or three.

References:
  Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR
  2016: F(2×2, 3×3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from rum_jax.models.layout import interleaved, separately
from rum_jax.models.patches import Margins
from rum_jax.types import Array

# Arrays by row and column of a tile or of the 16 points.
Grid = list[list[Array]]


def _input(d: Sequence[Array]) -> tuple[Array, ...]:
  return d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]


def _input_transposed(t: Sequence[Array]) -> tuple[Array, ...]:
  return t[0], t[1] - t[2] + t[3], t[1] + t[2] - t[0], -t[3]


def _output(m: Sequence[Array]) -> tuple[Array, ...]:
  return m[0] + m[1] + m[2], m[1] - m[2] - m[3]


def _output_transposed(y: Sequence[Array]) -> tuple[Array, ...]:
  return y[0], y[0] + y[1], y[0] - y[1], -y[1]


def _kernel(g: Sequence[Array]) -> tuple[Array, ...]:
  return g[0], (g[0] + g[1] + g[2]) / 2, (g[0] - g[1] + g[2]) / 2, g[2]


def _kernel_transposed(u: Sequence[Array]) -> tuple[Array, ...]:
  return u[0] + (u[1] + u[2]) / 2, (u[1] - u[2]) / 2, (u[1] + u[2]) / 2 + u[3]


def _both(transform: Callable, grid: Grid) -> Grid:
  """Transforms rows, then columns."""
  columns = zip(*(transform(row) for row in grid))
  return [list(row) for row in zip(*(transform(x) for x in columns))]


def _counts(shape: Sequence[int], margins: Margins) -> tuple[int, int]:
  """Tiles down and right for an input of this shape `[C, H, W, B]`."""
  return tuple(-(-(n + sum(margin) - 2) // 2)
               for n, margin in zip(shape[1:3], margins))


def _flat(x: Array, widths: Sequence[tuple[int, int]],
          points: Callable[[Array], Grid]) -> Grid:
  """The points of `x` with so many zeros around, each `[C, tiles · B]`."""
  grid = separately(
      lambda x: points(jnp.pad(x, ((0, 0), *widths, (0, 0)))), x)
  return [[point.reshape(len(x), -1) for point in row] for row in grid]


def _inputs(x: Array, margins: Margins, counts: tuple[int, int]) -> Grid:
  """Points of tiles of inputs."""
  widths = [(low, 2 * count + 2 - low - n) for (low, _), count, n in zip(
      margins, counts, x.shape[1:3])]
  down, right = (2 * count - 1 for count in counts)
  return _flat(x, widths, lambda x: _both(_input, [
      [x[:, i:i + down:2, j:j + right:2] for j in range(4)]
      for i in range(4)]))


def _slopes(dy: Array, counts: tuple[int, int]) -> Grid:
  """Points of tiles of the gradient of outputs."""
  widths = [(0, 2 * count - n) for count, n in zip(counts, dy.shape[1:3])]
  return _flat(dy, widths, lambda dy: _both(_output_transposed, [
      [dy[:, i::2, j::2] for j in range(2)] for i in range(2)]))


def _by_tap(kernel: Array) -> Grid:
  return [[kernel[i, j] for j in range(3)] for i in range(3)]


def _multiply(x: Array, kernel: Array, margins: Margins) -> Array:
  """Convolution with stride 1.

  Args:
    x: `[C, H, W, B]`.
    kernel: `[3, 3, C, D]`.
    margins: of zeros, above and below, left and right.

  Returns:
    `[D, H', W', B]`.
  """
  counts = _counts(x.shape, margins)
  points = _inputs(x, margins, counts)
  weights = _both(_kernel, _by_tap(kernel.swapaxes(2, 3)))
  products = [[(w @ p).reshape(-1, *counts, x.shape[-1])
               for w, p in zip(*rows)] for rows in zip(weights, points)]
  rows, columns = (n + sum(margin) - 2
                   for n, margin in zip(x.shape[1:3], margins))
  return separately(lambda products: interleaved(_both(_output, products))[
      :, :rows, :columns], products)


def _forward(x: Array, kernel: Array, margins: Margins):
  return _multiply(x, kernel, margins), (x, kernel)


def _backward(margins: Margins, saved, cotangent: Array):
  """The transposes of the forward's steps, in reverse order."""
  x, kernel = saved
  counts = _counts(x.shape, margins)
  points = _inputs(x, margins, counts)
  slopes = _slopes(cotangent, counts)
  dkernel = _both(_kernel_transposed, [
      [p @ s.T for p, s in zip(*rows)] for rows in zip(points, slopes)])
  weights = _both(_kernel, _by_tap(kernel))
  dpoints = [[(w @ s).reshape(-1, *counts, x.shape[-1])
              for w, s in zip(*rows)] for rows in zip(weights, slopes)]
  (top, _), (left, _) = margins
  dx = separately(lambda points: _overlapped(_both(_input_transposed, points))[
      :, top:top + x.shape[1], left:left + x.shape[2]], dpoints)
  return dx, jnp.stack([jnp.stack(row) for row in dkernel])


def _overlapped(tiles: Grid) -> Array:
  """Sums tiles of 4×4 that lie two apart: the transpose of how they are cut."""

  def add(early: Array, late: Array, axis: int) -> Array:
    before, after = [[(0, 0)] * 4 for _ in range(2)]
    after[axis], before[axis] = (0, 1), (1, 0)
    return jnp.pad(early, after) + jnp.pad(late, before)

  halves = [[add(a, b, 1) for a, b in zip(tiles[i], tiles[i + 2])]
            for i in range(2)]
  return interleaved([[add(row[j], row[j + 2], 2) for j in range(2)]
                      for row in halves])


multiply = jax.custom_vjp(_multiply, nondiff_argnums=(2,))
multiply.defvjp(_forward, _backward)
