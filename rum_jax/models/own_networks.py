"""Adapts a person's own network of any supported kind to `Model`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import inspect
from typing import Any

from flax import linen as nn
from flax import nnx
import jax

from rum_jax import _checks
from rum_jax.models.adapters import from_linen
from rum_jax.models.functions import from_functions
from rum_jax.models.nnx_modules import from_nnx
from rum_jax.types import AnyArray, Model

_KINDS = ('a Linen module, an NNX module, a pair of functions (init, apply) or '
          'a rum_jax.Model')


def from_factory(
    factory: Callable[..., Any],
    image_shape: Sequence[int],
    classes: int,
    *,
    mean: Sequence[float] | AnyArray = (0.0,),
    std: Sequence[float] | AnyArray = (1.0,),
) -> tuple[Model, Any]:
  """The model of the network that a function makes.

  Args:
    factory: is called with those of the arguments `classes` (the number of
      classes), `image_shape` `(H, W, C)` and `rngs` (an `nnx.Rngs`) that it
      has. It returns a Linen module, an NNX module, a pair of pure functions
      `(init, apply)` as for `from_functions`, or a `Model`. A `Model` must
      normalise images itself. An NNX module can be trained from scratch only if
      the function has the argument `rngs`.
    image_shape: `(H, W, C)`.
    classes: the number of classes of the data.
    mean: the mean of every channel, in units of the full range.
    std: the standard deviation of every channel, in the same units.

  Returns:
    The model, and the value that the function returned.

  Raises:
    TypeError: if the function needs other arguments, or returns anything else.
    ValueError: if `from_linen`, `from_nnx` or `from_functions` raises one.
  """
  given = {'classes': classes, 'image_shape': tuple(image_shape)}
  parameters = inspect.signature(factory).parameters
  name = getattr(factory, '__name__', repr(factory))
  for parameter in parameters.values():
    if parameter.name not in (*given, 'rngs') and (
        parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL,
                                   parameter.VAR_KEYWORD)):
      raise TypeError(f'Expected {name} to need none but classes, image_shape '
                      f'and rngs, found {parameter.name}.')
  taken = {k: v for k, v in given.items() if k in parameters}

  def make(rngs: nnx.Rngs) -> Any:
    return factory(**taken, **({'rngs': rngs} if 'rngs' in parameters else {}))

  made = make(nnx.Rngs(jax.random.key(0)))
  how: dict[str, Any] = {'mean': mean, 'std': std}
  if isinstance(made, Model):
    return made, made
  if isinstance(made, nn.Module):
    return from_linen(made, image_shape, **how), made
  if isinstance(made, nnx.Module):
    fresh = make if 'rngs' in parameters else None
    model, own = from_nnx(made, image_shape, fresh=fresh, **how)
    if fresh is None:  # Only the shapes of `init` are used.
      model = model._replace(init=lambda key: own)
    return model, made
  if isinstance(made, tuple) and len(made) == 2 and all(map(callable, made)):
    return from_functions(*made, image_shape, **how), made
  raise TypeError(f'Expected {name} to return {_KINDS}, found '
                  f'{_checks.described(made)}.')
