"""Adapts a pair of pure functions to `Model`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax

from rum_jax import _checks, tasks
from rum_jax.models import _images
from rum_jax.types import (
    AnyArray, Array, Images, Key, Model, Outputs, PyTree, Task, Variables)


def from_functions(
    init: Callable[[Key], PyTree],
    apply: Callable[[PyTree, Array], Array | Outputs],
    image_shape: Sequence[int],
    *,
    mean: Sequence[float] | AnyArray = (0.0,),
    std: Sequence[float] | AnyArray = (1.0,),
    task: Task | None = None,
) -> Model:
  """Adapts a pair of pure functions to a `Model` of `Images`.

  It is for networks of any library without batch-norm and dropout. Others can
  be written as a `rum_jax.Model`. Methods that act on single layers need
  parameters that are a dict of layers.

  Args:
    init: `key -> params`, a pytree of float arrays.
    apply: `(params, images) -> logits`, with float images `[B, H, W, C]` and
      logits `[B, K]`, which are then also the features; or `-> Outputs` with
      features `[B, D]`.
    image_shape: `(H, W, C)`.
    mean: the mean of every channel, in units of the full range. Images are
      given as uint8; the model divides them by 255 and normalises them.
    std: the standard deviation of every channel, in the same units.
    task: the task of the model; by default `tasks.classification()`.

  Returns:
    The model. Its variables are `Variables(params, {})`.

  Raises:
    TypeError: if one of the functions is not callable. The model raises it if
      the examples are not `Images`, or if `apply` returns neither logits nor
      `Outputs`.
    ValueError: if `image_shape` does not have three entries, if an `std` is not
      positive, or if there is neither one value nor one value a channel. The
      model raises it if images, logits or features have another shape.
  """
  _checks.check_callable('init', init)
  _checks.check_callable('apply', apply)
  normalise = _images.normaliser(image_shape, mean, std)

  def start(key: Key) -> Variables:
    return Variables(init(key), {})

  def run(variables: Variables, examples: Images, *, train: bool,
          key: Key | None = None, mask: Array | None = None
          ) -> tuple[Outputs, PyTree]:
    del train, key, mask  # Without dropout and batch-norm, nothing uses them.
    images = _images.images_of(examples, image_shape)
    given = _images.with_features(apply(variables.params, normalise(images)))
    name = getattr(apply, '__name__', 'apply')
    return (_images.checked_outputs(name, given, len(images)),
            variables.stats)

  return Model(jax.jit(start), run, task or tasks.classification())
