"""The seam between any pair of pure functions and the rest."""

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

  For networks without batch-norm and dropout, of whatever library; what needs
  more is a `rum_jax.Model` in its own right. What looks at single layers wants
  parameters that are a dict of layers.

  Args:
    init: `key -> params`, a pytree of float arrays.
    apply: `(params, images) -> logits`, images being float `[B, H, W, C]` and
      logits `[B, K]`, which are then the features as well; or `-> Outputs`,
      whose features are `[B, D]`.
    image_shape: `(H, W, C)`.
    mean: the mean of every channel, in units of the full range; images arrive
      as uint8, are divided by 255, then normalised.
    std: the standard deviation of every channel, in the same units.
    task: what the network learns; by default `tasks.classification()`.

  Returns:
    The model. Its variables are `Variables(params, {})`.

  Raises:
    TypeError: if one of the functions cannot be called; when called, if the
      examples are no `Images`, or `apply` returns neither logits nor `Outputs`.
    ValueError: if `image_shape` does not have three entries, an `std` is not
      positive, or there is neither one value nor one a channel; when called, if
      images, logits or features have another shape.
  """
  _checks.check_callable('init', init)
  _checks.check_callable('apply', apply)
  normalise = _images.normaliser(image_shape, mean, std)

  def start(key: Key) -> Variables:
    return Variables(init(key), {})

  def run(variables: Variables, examples: Images, *, train: bool,
          key: Key | None = None, mask: Array | None = None
          ) -> tuple[Outputs, PyTree]:
    del train, key, mask  # Nothing here is random or mixes examples.
    images = _images.images_of(examples, image_shape)
    given = _images.with_features(apply(variables.params, normalise(images)))
    name = getattr(apply, '__name__', 'apply')
    return (_images.checked_outputs(name, given, len(images)),
            variables.stats)

  return Model(jax.jit(start), run, task or tasks.classification())
