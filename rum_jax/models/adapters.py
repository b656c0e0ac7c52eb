"""Adapts Flax Linen modules to `Model`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
import contextlib
import functools
import inspect
from typing import Any
import warnings

from flax import errors
from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rum_jax import _checks, tasks
from rum_jax.models import _images
from rum_jax.models.layers import BatchNorm
from rum_jax.types import (
    AnyArray, Array, Images, Key, Model, Outputs, PyTree, Task, Variables)

_ENOUGH = 5000  # The number of images for a module's `from_images`.


def from_linen(
    module: nn.Module,
    image_shape: Sequence[int],
    *,
    mean: Sequence[float] | AnyArray = (0.0,),
    std: Sequence[float] | AnyArray = (1.0,),
    precision: DTypeLike | None = None,
    task: Task | None = None,
) -> Model:
  """Adapts a Linen module that takes images to a `Model` of `Images`.

  Args:
    module: is called as `module(images, train=..., mask=...)` with float images
      `[B, H, W, C]`, and returns `Outputs`. In training, it may draw random
      numbers from the stream `dropout`, as `flax.linen.Dropout` does.
    image_shape: `(H, W, C)`.
    mean: the mean of every channel, in units of the full range. Images are
      given as uint8; the model divides them by 255 and normalises them.
    std: the standard deviation of every channel, in the same units.
    precision: the precision of products and activations, such as
      `jnp.bfloat16`. Parameters and batch-norm keep their own precision. Logits
      and features are cast back to the precision of the parameters; they keep
      only the digits of `precision`. By default nothing is cast.
    task: the task of the model; by default `tasks.classification()`.

  Returns:
    The model. If the module has a method `from_images(images) -> dict`, these
    entries of its statistics are computed from the first training images, at
    most 5,000 of them, before training.

  Raises:
    ValueError: if `image_shape` does not have three entries, if an `std` is not
      positive, or if there is neither one value nor one value a channel. The
      model raises it if images, logits or features have another shape, or if
      the module draws random numbers in training and there is no key.
    TypeError: if `module` is not a Linen module, or takes other arguments. The
      model raises it if the module returns anything else, or if the examples
      are not `Images`.

  Warns:
    UserWarning: in training, if a batch-norm is not given the mask, because it
      then counts padding as examples.
  """
  normalise = _images.normaliser(image_shape, mean, std)
  _check_call(module)

  def init(key: Key) -> Variables:
    blank = jnp.zeros((1, *image_shape), jnp.uint8)
    outputs, tree = module.init_with_output(
        key, normalise(blank), train=False, mask=None)
    _images.checked_outputs(type(module).__name__, outputs, 1)
    return Variables(tree['params'], tree.get('batch_stats', {}))

  def apply(variables: Variables, examples: Images, *, train: bool,
            key: Key | None = None, mask: Array | None = None
            ) -> tuple[Outputs, PyTree]:
    images = _images.images_of(examples, image_shape)
    params, x = variables.params, normalise(images)
    kind = jax.tree.leaves(params)[0].dtype
    if precision is not None:
      params, x = _lowered(params, precision), x.astype(precision)
    tree = {'params': params, 'batch_stats': variables.stats}
    run = functools.partial(module.apply, tree, x, train=train, mask=mask)
    with (nn.intercept_methods(_warn_of_padding)
          if train and mask is not None else contextlib.nullcontext()):
      if train:
        with _needs_key(module):
          outputs, new = run(mutable=['batch_stats'],
                             rngs=None if key is None else {'dropout': key})
      else:
        outputs, new = run(), {}
    found = _images.checked_outputs(type(module).__name__, outputs, len(images))
    return (Outputs(*(x.astype(kind) for x in found)),
            new.get('batch_stats', variables.stats))

  return Model(jax.jit(init), apply, task or tasks.classification(),
               _init_from_data(module, normalise))


@contextlib.contextmanager
def _needs_key(module: nn.Module) -> Generator[None, None, None]:
  """Raises a `ValueError` if a module draws random numbers without a key."""
  try:
    yield
  except errors.InvalidRngError as error:
    raise ValueError(
        f'Expected a key for {type(module).__name__}, which draws random '
        "numbers in training: pass key= to the model's apply. Only the "
        f"stream 'dropout' has a key. Flax says: {error}") from error


def _init_from_data(module: nn.Module, normalise: Callable[[AnyArray], Array]
                    ) -> Callable[[Variables, Images, AnyArray], Variables]:
  """The function that adds the results of `from_images` to the variables.

  It changes nothing if the module has no such method.
  """

  def replaced(variables: Variables, examples: Images, rows: AnyArray
               ) -> Variables:
    if not hasattr(module, 'from_images'):
      return variables
    new = module.from_images(normalise(examples.image[rows[:_ENOUGH]]))
    return variables._replace(stats={**variables.stats, **new})

  return replaced


def _check_call(module: nn.Module) -> None:
  """Refuses a module that cannot be called as `Model.apply` calls it."""
  if not isinstance(module, nn.Module):
    raise TypeError('Expected module to be a Flax module such as MLP(10), '
                    f'found {_checks.described(module)}.')
  taken = inspect.signature(module.__call__)
  try:
    taken.bind(None, train=False, mask=None)
  except TypeError as error:
    raise TypeError(f'Expected {type(module).__name__} to take (images, *, '
                    f'train, mask), found {taken}.') from error


def _warn_of_padding(call: Callable[..., Any], args: Any, kwargs: Any,
                     context: nn.module.InterceptorContext) -> Any:
  """Warns if a batch-norm, ours or Flax's, is not given the mask."""
  module, moves = context.module, False
  if isinstance(module, BatchNorm):
    moves = kwargs.get('train', False)
  elif isinstance(module, nn.BatchNorm):
    still = args[1] if args[1:] else kwargs.get('use_running_average')
    moves = not (module.use_running_average if still is None else still)
  if (moves and context.method_name == '__call__'
      and kwargs.get('mask') is None):
    warnings.warn(
        f'{"/".join(module.path)} was not given the mask, so it counts padding '
        'as examples; rum_jax.models.layers.BatchNorm takes it as it is.',
        stacklevel=1)
  return call(*args, **kwargs)


def _lowered(params: PyTree, precision: DTypeLike) -> PyTree:
  """Casts all parameters to `precision` except those of batch-norm."""
  if not isinstance(params, Mapping):
    return params.astype(precision)
  return params if set(params) <= {'scale', 'bias'} else {
      name: _lowered(x, precision) for name, x in params.items()}


def hidden_layers(
    module: nn.Module,
    image_shape: Sequence[int],
    *,
    mean: Sequence[float] | AnyArray = (0.0,),
    std: Sequence[float] | AnyArray = (1.0,),
) -> Callable[[Variables, AnyArray], list[Array]]:
  """The function that returns the outputs of all layers of a network.

  Args:
    module: a Linen module, as for `from_linen`.
    image_shape: `(H, W, C)`.
    mean: the mean of every channel.
    std: the standard deviation of every channel, in the same units.

  Returns:
    The function `(variables, images) -> outputs`, a list of arrays `[B, D]`. It
    has one for each of the module's direct layers, in the order of their first
    calls. The module is in evaluation mode and in full precision. Feature maps
    are averaged over their pixels.
  """
  normalise = _images.normaliser(image_shape, mean, std)

  def look(variables: Variables, images: AnyArray) -> list[Array]:
    tree = {'params': variables.params, 'batch_stats': variables.stats}
    _, state = module.apply(
        tree, normalise(images), train=False, mask=None,
        capture_intermediates=lambda _, method: method == '__call__')
    seen = [x['__call__'] if isinstance(x, dict) else x
            for name, x in state['intermediates'].items() if name != '__call__']
    first = [jax.tree.leaves(x)[0] for x in seen]
    return [x.mean(range(1, x.ndim - 1)) for x in first]

  return look
