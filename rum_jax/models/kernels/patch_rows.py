"""Patches for one row of outputs at a time, in one buffer.

Two consecutive rows of outputs share most of their rows of inputs. For the next
row, only the new rows of inputs are written, in place of those that are no
longer needed. So the rows of the kernel are rotated relative to the buffer. XLA
would copy concatenated patches twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from jax import lax
import jax.numpy as jnp

from rum_jax.types import Array, PyTree

_Carry = TypeVar('_Carry', bound=PyTree)


def scan(step: Callable[[_Carry, Array, Array], tuple[_Carry, PyTree]],
         carry: _Carry, x: Array, size: Sequence[int], stride: int,
         shape: Sequence[int]) -> tuple[_Carry, PyTree]:
  """Scans over the rows of the outputs of a convolution.

  Args:
    step: `(carry, row [], patches [height · width · C, W' · B]) ->
      (carry, result)`. The patches are in the order of the numbers of
      `jnp.roll(kernel, row · stride, 0)`, for a kernel `[height, width, C, D]`.
    carry: the first carry.
    x: `[C, H, W, B]`, padded.
    size: height and width of the kernel.
    stride: the stride in both directions.
    shape: rows H' and columns W' of outputs.

  Returns:
    The last carry, and the results stacked.
  """
  (height, width), (channels, _, _, batch) = size, x.shape
  length = shape[1] * batch
  # The columns that one tap of the kernel reads become contiguous.
  columns = [x[:, :, j::stride] for j in range(stride)]

  def write(buffer: Array, row: Array | int) -> Array:
    for j in range(width):
      # Merges two axes. With separate ones, XLA would compute every index.
      lines = columns[j % stride].reshape(channels, x.shape[1], -1)
      start = 0, row, j // stride * batch
      line = lax.dynamic_slice(lines, start, (channels, 1, length))
      offset = (row % height * width + j) * channels
      buffer = lax.dynamic_update_slice(
          buffer, line.reshape(channels, length), (offset, 0))
    return buffer

  def go_on(state: tuple[_Carry, Array], row: Array):
    carry, buffer = state
    for i in range(max(height - stride, 0), height):
      buffer = write(buffer, row * stride + i)
    carry, result = step(carry, row, buffer)
    return (carry, buffer), result

  buffer = jnp.zeros((height * width * channels, length), x.dtype)
  for i in range(height - stride):
    buffer = write(buffer, i)
  (carry, _), results = lax.scan(go_on, (carry, buffer), jnp.arange(shape[0]))
  return carry, results
