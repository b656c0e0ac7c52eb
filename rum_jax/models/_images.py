"""Checks and normalisation that all models of images share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from rum_jax import _checks
from rum_jax.types import AnyArray, Array, Images, Outputs


def normaliser(image_shape: Sequence[int], mean: Sequence[float] | AnyArray,
               std: Sequence[float] | AnyArray) -> Callable[[AnyArray], Array]:
  """The function that normalises uint8 images; the arguments are checked.

  Args:
    image_shape: `(H, W, C)`.
    mean: the mean of every channel, in units of the full range, or one for all.
    std: the standard deviation of every channel, in the same units.

  Raises:
    ValueError: if the shape does not have three entries, if an `std` is not
      positive, or if there is neither one value nor one value a channel.
  """
  if not (isinstance(image_shape, Sequence) and len(image_shape) == 3):
    raise ValueError(f'Expected image_shape={image_shape} to be (height, '
                     'width, channels).')
  for name, value in (('mean', mean), ('std', std)):
    if len(value) not in (1, image_shape[-1]):
      raise ValueError(f'Expected {name}={tuple(value)} to hold 1 or '
                       f'{image_shape[-1]} values, one a channel.')
  centre, spread = (  # Strict rank promotion requires as many axes as images.
      jnp.asarray(x).reshape(1, 1, 1, -1) for x in (mean, std))
  if not (spread > 0).all():
    raise ValueError(f'Expected std={tuple(std)} to be positive.')

  def normalise(images: AnyArray) -> Array:
    return jnp.asarray((images.astype(float) / 255 - centre) / spread)

  return normalise


def images_of(examples: Images, image_shape: Sequence[int]
              ) -> AnyArray:
  """The images `[B, H, W, C]` of the examples, whose shape is checked.

  Raises:
    TypeError: if the examples are not `Images`.
    ValueError: if the images have another shape.
  """
  if not isinstance(examples, Images):
    raise TypeError('Expected examples to be rum_jax.Images, found '
                    f'{_checks.described(examples)}.')
  images = examples.image
  if images.shape[1:] != tuple(image_shape):
    raise ValueError(f'Expected images of shape {tuple(image_shape)}, found '
                     f'{images.shape[1:]}.')
  return images


def checked_outputs(name: str, outputs: Any, count: int) -> Outputs:
  """The outputs, checked to be `Outputs` of `count` images.

  Args:
    name: the name of the network, for the message.
    outputs: the value that the network returned.
    count: B, the number of images.

  Raises:
    TypeError: if it is not `Outputs`.
    ValueError: if the prediction is not `[B, K]` or the features not `[B, D]`.
  """
  if not isinstance(outputs, Outputs):
    raise TypeError(
        f'Expected {name} to return Outputs(prediction, features), found '
        f'{_checks.described(outputs)}.')
  for (part, x), letter in zip(outputs._asdict().items(), 'KD'):
    if getattr(x, 'ndim', None) != 2 or len(x) != count:
      raise ValueError(f'Expected {name} to return {part} [{count}, {letter}], '
                       f'found {_checks.described(x)}.')
  return outputs


def with_features(outputs: Any) -> Any:
  """`Outputs` of a network that may return logits alone.

  Then the logits are also the features.
  """
  return (Outputs(outputs, outputs)
          if hasattr(outputs, 'ndim') else outputs)
