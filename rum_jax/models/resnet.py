"""ResNet-18, ResNet-34 and ResNet-50, for small images or for ImageNet.

References:
  He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR
  2016. Layout, stride and initialisation are those of torchvision, whose
  bottlenecks halve the image in their 3×3 convolution.
"""

from __future__ import annotations

from collections.abc import Sequence

from flax import linen as nn
import jax

from rum_jax.models import kernels, layers
from rum_jax.models.layers import ConvNorm
from rum_jax.types import Array, Outputs


class Stem(nn.Module):
  """The layers before the blocks.

  Attributes:
    width: the number of output channels.
    imagenet: whether it is a 7×7 convolution and a 3×3 max-pool, both with
      stride 2; otherwise it is a 3×3 convolution with stride 1.
  """

  width: int
  imagenet: bool

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Array:
    size, stride = (7, 2) if self.imagenet else (3, 1)
    x = ConvNorm(self.width, size, stride, name='conv1')(
        x, train=train, mask=mask)
    x = jax.nn.relu(x)
    return kernels.overlapping_max_pool(x) if self.imagenet else x


class ResidualBlock(nn.Module):
  """Two 3×3 convolutions, or 1×1, 3×3 and 1×1, with a shortcut.

  Attributes:
    width: the number of inner channels; a bottleneck has four times as many
      output channels.
    stride: the stride of the first 3×3 convolution and of the shortcut.
    bottleneck: whether there are three convolutions.
  """

  width: int
  stride: int = 1
  bottleneck: bool = False

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Array:
    convolutions = (
        ((self.width, 1, 1), (self.width, 3, self.stride),
         (4 * self.width, 1, 1))
        if self.bottleneck else
        ((self.width, 3, self.stride), (self.width, 3, 1)))
    y = x
    for i, (features, size, stride) in enumerate(convolutions, 1):
      y = jax.nn.relu(y) if i > 1 else y
      y = ConvNorm(features, size, stride, name=f'conv{i}')(
          y, train=train, mask=mask)
    if self.stride > 1 or x.shape[-1] != y.shape[-1]:
      x = ConvNorm(y.shape[-1], 1, self.stride, name='around')(
          x, train=train, mask=mask)
    return jax.nn.relu(x + y)


class ResNet(nn.Module):
  """Stem, blocks `layer<i>_<j>`, mean over pixels, head.

  Convolutions are initialised by Kaiming's normal distribution with fan-out.
  The head is initialised as in PyTorch, but its bias is zero.

  Attributes:
    classes: K.
    depths: the number of blocks in each stage; every stage except the first one
      halves the image.
    widths: the number of inner channels of the blocks in each stage.
    bottleneck: whether each block has three convolutions.
    imagenet_stem: whether the stem divides height and width by 4, as for
      ImageNet.
  """

  classes: int
  depths: Sequence[int] = (2, 2, 2, 2)
  widths: Sequence[int] = (64, 128, 256, 512)
  bottleneck: bool = False
  imagenet_stem: bool = False

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Outputs:
    x = Stem(self.widths[0], self.imagenet_stem, name='stem')(
        x, train=train, mask=mask)
    for i, (depth, width) in enumerate(zip(self.depths, self.widths), 1):
      for j in range(depth):
        stride = 2 if i > 1 and j == 0 else 1
        x = ResidualBlock(width, stride, self.bottleneck, name=f'layer{i}_{j}')(
            x, train=train, mask=mask)
    features = kernels.mean_pool(x)
    head = nn.Dense(
        self.classes, kernel_init=layers.torch_uniform, name='head')
    return Outputs(head(features), features)

  def torch_names(self) -> dict[str, str]:
    """Path of every module to its name in torchvision, for `from_torch`."""
    names = {'stem/conv1/conv': 'conv1', 'stem/conv1/norm': 'bn1', 'head': 'fc'}
    for i, depth in enumerate(self.depths, 1):
      for j in range(depth):
        ours, theirs = f'layer{i}_{j}', f'layer{i}.{j}'
        for n in range(1, 4 if self.bottleneck else 3):
          names[f'{ours}/conv{n}/conv'] = f'{theirs}.conv{n}'
          names[f'{ours}/conv{n}/norm'] = f'{theirs}.bn{n}'
        names[f'{ours}/around/conv'] = f'{theirs}.downsample.0'
        names[f'{ours}/around/norm'] = f'{theirs}.downsample.1'
    return names


def resnet18(classes: int, widths: Sequence[int] = (64, 128, 256, 512), *,
             imagenet_stem: bool = False) -> ResNet:
  """ResNet-18, 11.2 million parameters for 10 classes; see `ResNet`."""
  return ResNet(classes, (2, 2, 2, 2), widths, imagenet_stem=imagenet_stem)


def resnet34(classes: int, widths: Sequence[int] = (64, 128, 256, 512), *,
             imagenet_stem: bool = False) -> ResNet:
  """ResNet-34, 21.3 million parameters for 10 classes; see `ResNet`."""
  return ResNet(classes, (3, 4, 6, 3), widths, imagenet_stem=imagenet_stem)


def resnet50(classes: int, widths: Sequence[int] = (64, 128, 256, 512), *,
             imagenet_stem: bool = False) -> ResNet:
  """ResNet-50, 23.7 million parameters for 100 classes; see `ResNet`."""
  return ResNet(classes, (3, 4, 6, 3), widths, True, imagenet_stem)
