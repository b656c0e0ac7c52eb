"""ResNet-9, with half of the work of ResNet-18.

FFCV reports an accuracy of about 93% on CIFAR-10.

References:
  The layout is that of FFCV's CIFAR-10 example (Leclerc et al., "FFCV:
  accelerating training by removing data bottlenecks", CVPR 2023), which has it
  from KakaoBrain's torchskeleton. Datamodels (Ilyas et al., ICML 2022) and the
  reference models of EasyDUB share it; David Page's ResNet-9 is another.
"""

from __future__ import annotations

from collections.abc import Sequence

from flax import linen as nn
import jax

from rum_jax.models import kernels, layers
from rum_jax.models.layers import BatchNorm, Conv
from rum_jax.types import Array, Outputs


class Unit(nn.Module):
  """Convolution, batch-norm, ReLU; the attributes are those of `Conv`."""

  features: int
  size: int = 3
  stride: int = 1
  padded: bool = True

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Array:
    x = Conv(self.features, self.size, self.stride, self.padded,
             initializer=layers.torch_uniform, name='conv')(x)
    return jax.nn.relu(
        BatchNorm(name='norm')(x, train=train, mask=mask))


class Residual(nn.Module):
  """Two units with a shortcut."""

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Array:
    y = Unit(x.shape[-1], name='unit1')(x, train=train, mask=mask)
    return x + Unit(x.shape[-1], name='unit2')(y, train=train, mask=mask)


class ResNet9(nn.Module):
  """Eight convolutions, maximum over pixels, head without bias.

  All parameters are initialised as in PyTorch.

  Attributes:
    classes: K.
    widths: the numbers of channels of the four units outside of residual
      blocks.
    scale: the scale of the logits.
  """

  classes: int
  widths: Sequence[int] = (64, 128, 256, 128)
  scale: float = 0.2

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Outputs:
    mode = {'train': train, 'mask': mask}
    first, second, third, fourth = self.widths
    x = Unit(first, name='unit1')(x, **mode)
    x = Unit(second, size=5, stride=2, name='unit2')(x, **mode)
    x = Residual(name='residual1')(x, **mode)
    x = Unit(third, name='unit3')(x, **mode)
    x = Residual(name='residual2')(kernels.max_pool(x), **mode)
    x = Unit(fourth, padded=False, name='unit4')(x, **mode)
    features = x.max(axis=(1, 2))
    head = nn.Dense(self.classes, use_bias=False, name='head',
                    kernel_init=layers.torch_uniform)
    return Outputs(self.scale * head(features), features)

  def torch_names(self) -> dict[str, str]:
    """Path of every module to its name in FFCV, for `from_torch`."""
    units = {'unit1': '0', 'unit2': '1', 'unit3': '3', 'unit4': '6'} | {
        f'residual{i}/unit{j}': f'{index}.module.{j - 1}'
        for i, index in ((1, 2), (2, 5)) for j in (1, 2)}
    return {'head': '9'} | {
        f'{ours}/{part}': f'{theirs}.{n}' for ours, theirs in units.items()
        for n, part in enumerate(('conv', 'norm'))}
