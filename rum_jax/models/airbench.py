"""AirBench's network, which is small and trains in few epochs.

References:
  Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, whose
  networks `airbench93` (widths 64, 128, 128) and `airbench94` (64, 256, 256)
  have this layout. The fixed whitening of patches is David Page's, "How to
  train your ResNet", 2019.
"""

from __future__ import annotations

from collections.abc import Sequence

from flax import linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from rum_jax.models import kernels, layers
from rum_jax.types import Array, Key, Outputs, PyTree

_PATCH = 2  # Width of a whitened patch in pixels.
_EPSILON = 5e-4  # Added to the variances that whitening divides by.


def _dirac(key: Key, shape: Sequence[int], dtype: DTypeLike = float) -> Array:
  """PyTorch's initialisation, but the first kernels are identities."""
  size, _, channels, features = shape
  same = min(channels, features)
  identity = jnp.zeros((size, size, channels, same), dtype)
  identity = identity.at[size // 2, size // 2].set(
      jnp.eye(channels, same, dtype=dtype))
  drawn = layers.torch_uniform(key, shape, dtype)
  return drawn.at[..., :same].set(identity)


class Group(nn.Module):
  """Convolution, max-pool, convolution, each with batch-norm and GELU."""

  features: int

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Array:
    for i in (1, 2):
      x = layers.Conv(self.features, initializer=_dirac, name=f'conv{i}')(x)
      x = kernels.max_pool(x) if i == 1 else x
      x = layers.BatchNorm(0.6, 1e-12, fixed_scale=True, name=f'norm{i}')(
          x, train=train, mask=mask)
      x = kernels.gelu(x)
    return x


class AirBench(nn.Module):
  """Whitening of 2×2 patches, three groups, maximum over pixels, scaled head.

  The whitening is not trained. `from_images` computes it from the training
  images, and it is kept with the moments of batch-norm.

  Attributes:
    classes: K.
    widths: channels of the groups.
    scale: the scale of the logits.
  """

  classes: int
  widths: Sequence[int] = (64, 128, 128)
  scale: float = 1 / 9

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Outputs:
    x = kernels.gelu(Whitening(name='whiten')(x))
    for i, width in enumerate(self.widths, 1):
      x = Group(width, name=f'group{i}')(x, train=train, mask=mask)
    features = x.max(axis=(1, 2))
    head = nn.Dense(self.classes, use_bias=False, name='head',
                    kernel_init=layers.torch_uniform)
    return Outputs(self.scale * head(features), features)

  def from_images(self, images: Array) -> PyTree:
    """The statistics that are computed from the training images.

    Args:
      images: `[n, H, W, C]`, normalised; the first 5,000 training images are
        enough, as in the released code.

    Returns:
      The kernel of the whitening, as an entry of `Variables.stats`.
    """
    return {'whiten': {'kernel': whitening_kernel(images)}}

  def torch_names(self) -> dict[str, str]:
    """Path of every module to its name in airbench94, for `from_torch`."""
    groups = range(1, len(self.widths) + 1)
    return {'whiten': 'whiten', 'head': 'head'} | {
        f'group{g}/{part}{i}': f'layers.{g}.{part}{i}'
        for g in groups for part in ('conv', 'norm') for i in (1, 2)}


class Whitening(nn.Module):
  """A convolution with a fixed kernel and a trained bias."""

  @nn.compact
  def __call__(self, x: Array) -> Array:
    shape = (_PATCH, _PATCH, x.shape[-1], 2 * _PATCH**2 * x.shape[-1])
    kernel = self.variable(
        'batch_stats', 'kernel',
        lambda: layers.kaiming_normal(self.make_rng('params'), shape))
    bias = self.param('bias', nn.initializers.zeros, shape[-1:])
    return layers.convolved(x, kernel.value, padded=False) + bias


def whitening_kernel(images: Array) -> Array:
  """Kernels that turn patches into uncorrelated values of equal variance.

  They are the eigenvectors of the second moments of the patches, each divided
  by the square root of its eigenvalue, and their negatives.

  Args:
    images: `[n, H, W, C]` normalised.

  Returns:
    `[2, 2, C, 8 · C]`, large eigenvalues first. An eigenvector's largest entry
    is positive, so that the kernel does not depend on the solver.
  """
  n, height, width, channels = images.shape
  rows, columns = height - _PATCH + 1, width - _PATCH + 1
  taps = [images[:, i:i + rows, j:j + columns]
          for i in range(_PATCH) for j in range(_PATCH)]
  patches = jnp.concatenate(taps, -1).reshape(n * rows * columns, -1)
  moments = jnp.matmul(patches.T, patches, precision='highest') / len(patches)
  values, vectors = jnp.linalg.eigh(moments)
  values, vectors = values[::-1], vectors[:, ::-1]
  largest = jnp.take_along_axis(
      vectors, jnp.abs(vectors).argmax(0, keepdims=True), 0)
  scaled = vectors * jnp.sign(largest) / jnp.sqrt(values + _EPSILON)
  kernel = jnp.concatenate([scaled, -scaled], axis=1)
  return kernel.reshape(_PATCH, _PATCH, channels, -1)
