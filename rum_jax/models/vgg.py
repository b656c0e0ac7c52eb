"""VGG-16 with batch-norm, as in the paper's code.

References:
  Simonyan, Zisserman, "Very deep convolutional networks for large-scale image
  recognition", ICLR 2015. Ioffe, Szegedy, "Batch normalization", ICML 2015.
  The head for small images is that of the code released with RUM and, before
  it, with "Model sparsity can simplify machine unlearning" (Jia et al., 2023).
"""

from __future__ import annotations

from collections.abc import Sequence

from flax import linen as nn
import jax

from rum_jax.models import kernels
from rum_jax.models.layers import ConvNorm
from rum_jax.types import Array, Outputs


class VGG(nn.Module):
  """Stages of 3×3 convolutions with 2×2 max-pools between, then dense layers.

  The released code also has a variant with `hidden=(), pooled=1, bias=True`.

  Attributes:
    classes: K.
    widths: the number of channels in each stage.
    depths: the number of convolutions `conv<i>_<j>` in each stage.
    hidden: the widths of the dense layers `hidden<i>` before the head; the last
      one gives the features.
    pooled: the height and the width after mean-pooling of the last stage.
    bias: whether the convolutions have a bias. Batch-norm makes it ineffective.
    imagenet_head: whether a max-pool also follows the last stage, and PyTorch's
      names count a dropout after each hidden layer. So it is in torchvision,
      which also has `hidden=(4096, 4096), pooled=7, bias=True, dropout=0.5`.
    dropout: the share of each hidden layer that is set to 0 in training.
  """

  classes: int
  widths: Sequence[int] = (64, 128, 256, 512, 512)
  depths: Sequence[int] = (2, 2, 3, 3, 3)
  hidden: Sequence[int] = (256, 256)
  pooled: int = 2
  bias: bool = False
  imagenet_head: bool = False
  dropout: float = 0.0

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Outputs:
    for i, (depth, width) in enumerate(zip(self.depths, self.widths), 1):
      x = kernels.max_pool(x) if i > 1 else x
      for j in range(1, depth + 1):
        x = ConvNorm(width, bias=self.bias, name=f'conv{i}_{j}')(
            x, train=train, mask=mask)
        x = jax.nn.relu(x)
    x = kernels.max_pool(x) if self.imagenet_head else x
    x = kernels.mean_pool(x, self.pooled)
    small = nn.initializers.normal(0.01)
    for i, width in enumerate(self.hidden, 1):
      x = jax.nn.relu(nn.Dense(width, kernel_init=small, name=f'hidden{i}')(x))
      x = nn.Dropout(self.dropout, deterministic=not train)(x)
    head = nn.Dense(self.classes, kernel_init=small, name='head')
    return Outputs(head(x), x)

  def torch_names(self) -> dict[str, str]:
    """Path of every module to its name in the code, for `from_torch`."""
    names, index = {}, 0
    for i, depth in enumerate(self.depths, 1):
      for j in range(1, depth + 1):
        names[f'conv{i}_{j}/conv'] = f'features.{index}'
        names[f'conv{i}_{j}/norm'] = f'features.{index + 1}'
        index += 3  # ReLU is the third.
      index += 1
    dense = [f'hidden{i}' for i in range(1, len(self.hidden) + 1)] + ['head']
    step = 3 if self.imagenet_head else 2  # Dropout is the third.
    for i, name in enumerate(dense):
      names[name] = f'classifier.{step * i}' if self.hidden else 'classifier'
    return names


def vgg16(classes: int, widths: Sequence[int] = (64, 128, 256, 512, 512),
          hidden: Sequence[int] = (256, 256)) -> VGG:
  """VGG-16, 15.3 million parameters for 10 classes; see `VGG`."""
  return VGG(classes, widths, (2, 2, 3, 3, 3), hidden)
