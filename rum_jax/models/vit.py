"""Vision transformers with timm's layout.

References:
  Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021. Names of the
  tensors, sizes, the epsilon of layer-norm and the start are those of
  `vit_small_patch16_224` and `vit_base_patch16_224` in timm (Wightman, "PyTorch
  image models", 2019).
"""

from __future__ import annotations

from flax import linen as nn
import jax
import jax.numpy as jnp

from rum_jax import _checks
from rum_jax.models import kernels, layers
from rum_jax.types import Array, Outputs

_start = nn.initializers.truncated_normal(0.02)


class PatchEmbedding(nn.Module):
  """One linear map of each patch: a convolution whose stride is its size.

  Attributes:
    width: D.
    patch: the width of a patch in pixels.
  """

  width: int
  patch: int

  @nn.compact
  def __call__(self, x: Array) -> Array:
    size, (count, height, across, channels) = self.patch, x.shape
    if height % size or across % size:
      raise ValueError(f'Expected patch={size} to divide the sides of the '
                       f'images, found {height}×{across} pixels.')
    kernel = self.param('kernel', layers.torch_uniform,
                        (size, size, channels, self.width))
    bias = self.param('bias', nn.initializers.zeros, (self.width,))
    x = x.reshape(count, height // size, size, across // size, size, channels)
    x = x.swapaxes(2, 3).reshape(count, -1, size * size * channels)
    return x @ kernel.reshape(-1, self.width) + bias


class Attention(nn.Module):
  """Self-attention between all tokens of an image.

  Attributes:
    heads: the number of heads, each with D / heads channels.
  """

  heads: int

  @nn.compact
  def __call__(self, x: Array) -> Array:
    count, tokens, width = x.shape
    x = _dense(3 * width, 'qkv')(x).reshape(
        count, tokens, 3, self.heads, width // self.heads)
    query, key, value = jnp.moveaxis(x, 2, 0)
    query *= (width // self.heads)**-0.5
    look = jnp.einsum('bqhd,bkhd->bhqk', query, key)
    wide = look.astype(jnp.promote_types(look.dtype, jnp.float32))
    look = jax.nn.softmax(wide).astype(look.dtype)
    x = jnp.einsum('bhqk,bkhd->bqhd', look, value)
    return _dense(width, 'proj')(x.reshape(count, tokens, width))


class Block(nn.Module):
  """Attention, then two dense layers, both with a residual connection.

  Attributes:
    heads: the number of heads of the attention.
    hidden: channels between the two dense layers.
    dropout: the rate of dropout after the attention and after both dense
      layers.
  """

  heads: int
  hidden: int
  dropout: float

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:

    def drop(x: Array) -> Array:
      return nn.Dropout(self.dropout, deterministic=not train)(x)

    x += drop(Attention(self.heads, name='attn')(_norm('norm1', x)))
    y = drop(kernels.gelu(_dense(self.hidden, 'fc1')(_norm('norm2', x))))
    return x + drop(_dense(x.shape[-1], 'fc2')(y))


class ViT(nn.Module):
  """Patches and a class token, blocks `blocks_<i>`, layer-norm, head.

  The features are the class token after the last layer-norm. All images must
  have the size of the position embedding, `H / patch · W / patch` patches.

  Attributes:
    classes: K.
    patch: the width of a patch in pixels; it divides height and width.
    width: D, the number of channels of a token.
    depth: the number of blocks.
    heads: the number of heads of the attention; they divide the width.
    hidden: channels between the two dense layers of a block.
    dropout: the share of values that is set to 0 in training, after the
      position embedding and after every dense layer except the first one of the
      attention, as in the paper; by default none.
  """

  classes: int
  patch: int = 16
  width: int = 384
  depth: int = 12
  heads: int = 6
  hidden: int = 1536
  dropout: float = 0.0

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Outputs:
    del mask  # Images do not depend on each other.
    for name in ('patch', 'width', 'depth', 'heads', 'hidden'):
      _checks.check_count(name, getattr(self, name), 1)
    _checks.check_range('dropout', self.dropout, 0, 1)
    if self.width % self.heads:
      raise ValueError(f'Expected heads={self.heads} to divide '
                       f'width={self.width}.')
    x = PatchEmbedding(self.width, self.patch, name='patch_embed')(x)
    first = self.param('cls_token', nn.initializers.normal(1e-6),
                       (1, 1, self.width))
    x = jnp.concatenate(
        [jnp.broadcast_to(first, (len(x), 1, self.width)), x], 1)
    x += self.param('pos_embed', _start, (1, *x.shape[1:]))
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    for i in range(self.depth):
      x = Block(self.heads, self.hidden, self.dropout, name=f'blocks_{i}')(
          x, train=train)
    features = _norm('norm', x[:, 0])
    return Outputs(_dense(self.classes, 'head')(features), features)

  def torch_names(self) -> dict[str, str]:
    """Path of modules and arrays to their names in timm, for `from_torch`."""
    names = {'patch_embed': 'patch_embed.proj'} | {
        name: name for name in ('cls_token', 'pos_embed', 'norm', 'head')}
    for i in range(self.depth):
      for ours, theirs in (
          ('norm1', 'norm1'), ('attn/qkv', 'attn.qkv'),
          ('attn/proj', 'attn.proj'), ('norm2', 'norm2'), ('fc1', 'mlp.fc1'),
          ('fc2', 'mlp.fc2')):
        names[f'blocks_{i}/{ours}'] = f'blocks.{i}.{theirs}'
    return names


def _dense(width: int, name: str) -> nn.Dense:
  return nn.Dense(width, kernel_init=_start, name=name)


def _norm(name: str, x: Array) -> Array:
  """Layer-norm in single precision or better; the result has the type of x."""
  return nn.LayerNorm(epsilon=1e-6, name=name)(x).astype(x.dtype)


def vit_small(classes: int, patch: int = 16, *, dropout: float = 0.0) -> ViT:
  """ViT-S, 21.7 million parameters for 10 classes of 224×224; see `ViT`."""
  return ViT(classes, patch, 384, 12, 6, 1536, dropout)


def vit_base(classes: int, patch: int = 16, *, dropout: float = 0.0) -> ViT:
  """ViT-B, 85.8 million parameters for 10 classes of 224×224; see `ViT`."""
  return ViT(classes, patch, 768, 12, 12, 3072, dropout)
