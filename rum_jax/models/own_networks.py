"""Networks that somebody made, of whatever kind, as models."""

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
  """The model of whatever a function makes.

  Args:
    factory: called with those of `classes` (the number of classes),
      `image_shape` `(H, W, C)` and `rngs` (an `nnx.Rngs`) that it names. It
      returns a Linen module, an NNX module, a pair of pure functions `(init,
      apply)` as `from_functions` takes them, or a `Model`, which then
      normalises images itself. An NNX module can be trained from the beginning
      only if the function names `rngs`.
    image_shape: `(H, W, C)`.
    classes: how many classes the data have.
    mean: of every channel, in units of the full range, as `from_linen`.
    std: likewise.

  Returns:
    The model, and what the function returned.

  Raises:
    TypeError: if the function needs other arguments, or returns anything else.
    ValueError: as `from_linen`, `from_nnx` and `from_functions`.
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
    if fresh is None:  # Shapes are all that is wanted of it here.
      model = model._replace(init=lambda key: own)
    return model, made
  if isinstance(made, tuple) and len(made) == 2 and all(map(callable, made)):
    return from_functions(*made, image_shape, **how), made
  raise TypeError(f'Expected {name} to return {_KINDS}, found '
                  f'{_checks.described(made)}.')
