"""Small networks for 8×8 to 32×32 images."""

from __future__ import annotations

from collections.abc import Sequence

from flax import linen as nn
import jax

from rum_jax.models import kernels
from rum_jax.models.layers import BatchNorm, Conv
from rum_jax.types import Array, Outputs


class MLP(nn.Module):
  """Fully connected network with ReLU and without batch-norm.

  Attributes:
    classes: K.
    widths: the widths of the hidden layers; the last one gives the features.
  """

  classes: int
  widths: Sequence[int] = (128, 64)

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Outputs:
    del train, mask
    x = x.reshape(x.shape[0], -1)
    for width in self.widths:
      x = jax.nn.relu(nn.Dense(width)(x))
    return Outputs(prediction=nn.Dense(self.classes)(x), features=x)


class SmallCNN(nn.Module):
  """3×3 convolutions with batch-norm, ReLU and max-pool, then a mean.

  Attributes:
    classes: K.
    widths: the numbers of channels of the convolutions. A 2×2 max-pool follows
      each convolution except the last one, whose spatial mean is the features.
  """

  classes: int
  widths: Sequence[int] = (16, 32, 64)

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Outputs:
    for i, width in enumerate(self.widths):
      x = Conv(width)(x)
      x = BatchNorm()(x, train=train, mask=mask)
      x = jax.nn.relu(x)
      if i + 1 < len(self.widths):
        x = kernels.max_pool(x)
    features = kernels.mean_pool(x)
    return Outputs(nn.Dense(self.classes)(features), features)
