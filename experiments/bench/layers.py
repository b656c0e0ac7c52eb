"""Times of each layer, forward and backward, against XLA and PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from experiments.bench import timing
from rum_jax.models import kernels, layers
from rum_jax.models.kernels import layout
from rum_jax.reporting.speed import caught_up, Layer
from rum_jax.types import AnyArray

_BATCH, _LOOPS = 64, 2
# Pixels, channels in and out, size and stride.
_CONVOLUTIONS = (
    (32, 3, 16, 3, 1), (16, 16, 32, 3, 1), (32, 64, 64, 3, 1),
    (8, 64, 64, 3, 1), (8, 128, 128, 3, 1), (4, 256, 256, 3, 1),
    (16, 32, 64, 3, 2), (16, 32, 64, 1, 1), (16, 64, 128, 1, 2),
    (16, 32, 64, 5, 2))


def _norm(x: jax.Array) -> jax.Array:
  layer, mode = layers.BatchNorm(), {'train': True, 'mask': None}
  variables = layer.init(jax.random.key(0), x, **mode)
  return layer.apply(variables, x, **mode, mutable=['batch_stats'])[0]


def _plain_norm(x: jax.Array) -> jax.Array:
  mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
  return (x - mean) * lax.rsqrt(var + 1e-5)


def _plain_pool(x: jax.Array) -> jax.Array:
  size = (1, 2, 2, 1)
  return lax.reduce_window(x, -jnp.inf, lax.max, size, size, 'VALID')


def _cases(torch: Any) -> list[tuple]:
  """Cases: name, our layer, XLA's, PyTorch's, and shapes of the arguments."""
  cases = []
  for pixels, before, after, size, stride in _CONVOLUTIONS:
    ours, xla = (functools.partial(fn, stride=stride) for fn in (
        kernels.patch_convolution, kernels.lax_convolution))
    cases.append((
        f'{size}×{size} / {stride}, {before} to {after}', ours, xla,
        functools.partial(torch.conv2d, stride=stride, padding=size // 2),
        [(_BATCH, pixels, pixels, before), (size, size, before, after)]))
  for pixels, channels in ((32, 16), (8, 64)):
    image = [(_BATCH, pixels, pixels, channels)]
    cases += [
        (f'max-pool, {channels}', kernels.max_pool, _plain_pool,
         lambda x: torch.max_pool2d(x, 2), image),
        (f'batch-norm, {channels}', _norm, _plain_norm,
         torch.nn.BatchNorm2d(channels), image)]
  return cases


def _compiled(fn: Callable, args: Sequence[AnyArray], loops: int
              ) -> timing.Call:
  """A loop over steps that subtract the gradient from all arguments."""
  grad = jax.grad(lambda args: (fn(*args)**2).sum())
  step = lambda args, _: (
      jax.tree.map(lambda x, dx: x - 1e-9 * dx, args, grad(args)), None)
  return timing.compiled(
      lambda args: lax.scan(step, args, length=loops), args)[0]


def _inside(fn: Callable) -> Callable:
  """One of our layers in the layout that it has inside a network."""
  return lambda x, *args: layout.turned(fn(layout.turned(x), *args))


def layer_costs(repeats: int) -> list[Layer]:
  """One row for each layer, measured on one core.

  Each side has images in its own layout, which a network keeps from layer to
  layer. XLA's own layers, inside and outside a loop, are slow and are measured
  once. The last line says whether XLA has caught up.
  """
  import torch
  torch.set_num_threads(1)
  rng, rows = np.random.default_rng(0), []
  for name, ours, xla, theirs, shapes in _cases(torch):
    args = [rng.normal(size=s).astype(np.float32) for s in shapes]
    tensors = [torch.tensor(x).permute(order).contiguous(
        memory_format=torch.channels_last).requires_grad_()
               for x, order in zip(args, [(0, 3, 1, 2), (3, 2, 0, 1)])]
    other = lambda fn=theirs, x=tensors: torch.autograd.grad(
        (fn(*x)**2).sum(), x)
    mine = _compiled(_inside(ours), [layout.turned(args[0]), *args[1:]], _LOOPS)
    plain = [_compiled(xla, args, loops) for loops in (_LOOPS, 1)]
    with timing.one_core():
      taken = np.array(timing.all_seconds([mine, other], repeats))
      plain = np.array(timing.medians(plain, 1)) / (_LOOPS, 1)
    mine, other = taken / [[_LOOPS], [1]]
    loop, once = plain / np.median(mine)
    rows.append(Layer(
        **vars(timing.compared(mine, other, _BATCH)), layer=name,
        pixels=shapes[0][1], loop=float(loop), once=float(once)))
    print('{layer:20} {pixels:2} pixels: {microseconds:8,.0f} µs; times as '
          'fast as PyTorch {times_as_fast:5.2f} ({from_to[0]:.2f}–'
          '{from_to[1]:.2f}), as XLA in a loop {loop:6.2f}, outside '
          '{once:5.2f}'.format(**vars(rows[-1])), flush=True)
  print(caught_up(rows))
  return rows
