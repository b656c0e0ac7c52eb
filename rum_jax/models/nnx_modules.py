"""Adapts Flax NNX modules to `Model`, and puts weights back into modules.

The weights of a module become variables, and variables become a module:

    model, variables = models.from_nnx(network, (32, 32, 3))
    variables, info = unlearner(key, variables, examples, split)
    forgotten = models.to_nnx(variables, network)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
import inspect
from typing import Any, NamedTuple
import warnings

from flax import nnx
import jax
import jax.numpy as jnp

from rum_jax import _checks, tasks
from rum_jax.models import _images
from rum_jax.types import (
    AnyArray, Array, Images, Key, Model, Outputs, PyTree, Task, Variables)

_KNOWN = ('train', 'deterministic', 'mask', 'rngs')  # Arguments of a call.
_CALL = 'rum_jax_call'  # Name under which linear layers record their calls.


class _Parts(NamedTuple):
  """The graph and the state of a module.

  Attributes:
    training: the graph of the module in training mode.
    evaluation: the graph of the module in evaluation mode.
    params: the state that an optimiser changes.
    stats: all other floating-point state, such as batch-norm's running moments.
    keys: the keys of random streams and their counters.
    rest: all other state, which stays constant.
  """

  training: nnx.GraphDef
  evaluation: nnx.GraphDef
  params: nnx.State
  stats: nnx.State
  keys: nnx.State
  rest: nnx.State


class _Recorded(nnx.Linear):
  """A linear layer that records its inputs and outputs."""

  def __call__(self, inputs: Array, *args: Any, **kwargs: Any) -> Array:
    outputs = super().__call__(inputs, *args, **kwargs)
    self.sow(nnx.Intermediate, _CALL, (inputs, outputs))
    return outputs


def from_nnx(
    module: nnx.Module,
    image_shape: Sequence[int],
    *,
    mean: Sequence[float] | AnyArray = (0.0,),
    std: Sequence[float] | AnyArray = (1.0,),
    features: str | None = None,
    fresh: Callable[[nnx.Rngs], nnx.Module] | None = None,
    task: Task | None = None,
) -> tuple[Model, Variables]:
  """Adapts an NNX module that takes images to a `Model` of `Images`.

  The module itself is not changed, because the model works on copies. Dropout
  and batch-norm are put into training or evaluation mode as by `module.train()`
  and `module.eval()`.

  Args:
    module: is called as `module(images)` with float images `[B, H, W, C]`, and
      with those of the arguments `train`, `deterministic`, `mask` and `rngs`
      that its `__call__` has. It returns logits `[B, K]` or `Outputs`. Random
      numbers are drawn from the key of the model's `apply`. `mask` is `[B]`, 0
      for padding, or `None`.
    image_shape: `(H, W, C)`.
    mean: the mean of every channel, in units of the full range. Images are
      given as uint8; the model divides them by 255 and normalises them.
    std: the standard deviation of every channel, in the same units.
    features: the name of the `nnx.Intermediate` `[B, D]` that the module or a
      part of it sows as features. By default the features are those of
      `Outputs`. If the module returns logits that come directly from an
      `nnx.Linear`, they are the inputs of that layer. Otherwise they are the
      logits.
    fresh: `rngs -> module`, the same module with new weights, such as
      `lambda rngs: Network(10, rngs=rngs)`. Training from scratch, for example
      of a retrained oracle, needs it.
    task: the task of the model; by default `tasks.classification()`.

  Returns:
    The model, and the module's own weights as `Variables`. `params` holds every
    `nnx.Param`, and `stats` all other floating-point variables. Both are dicts
    of the module's attributes; items of a list are named by their numbers.
    Variables of whole numbers, and those that are not arrays, keep the values
    of the module.

  Raises:
    ValueError: if `image_shape` does not have three entries, if an `std` is not
      positive, or if there is neither one value nor one value a channel. The
      model's `init` raises it if there is no `fresh`, or if its module has
      other parameters. The model's `apply` raises it if images, logits or
      features have another shape; if no part or several parts of the module sow
      `features`; or if the module draws random numbers in evaluation mode, or
      in training without a key.
    TypeError: if `module` is not an NNX module, or needs other arguments. The
      model raises it if the module returns anything else, or if the examples
      are not `Images`.

  Warns:
    UserWarning: in training with a mask, if the module has an `nnx.BatchNorm`
      and does not take `mask`, because padding then counts as examples.

  References:
    Flax NNX, https://flax.readthedocs.io: `nnx.split`, `nnx.merge`,
    `nnx.capture`.
  """
  taken = _taken(module)
  normalise = _images.normaliser(image_shape, mean, std)
  name, parts = type(module).__name__, _apart(module)
  averages = [type(x).__name__ for _, x in nnx.iter_modules(module)
              if isinstance(x, nnx.BatchNorm)]
  own = _variables(parts)

  def init(key: Key) -> Variables:
    if fresh is None:
      raise ValueError(
          f'Expected fresh, a function of nnx.Rngs that makes {name} anew, '
          'found None. Without it, only the weights of the module are known.')
    new = _variables(_apart(fresh(nnx.Rngs(_typed(key)))))
    want, found = (jax.tree.map(jnp.shape, x) for x in (own, new))
    if want != found:
      raise ValueError(f'Expected fresh to make {name} with parameters of the '
                       f'shapes {want}, found {found}.')
    return new

  def apply(variables: Variables, examples: Images, *, train: bool,
            key: Key | None = None, mask: Array | None = None
            ) -> tuple[Outputs, PyTree]:
    images = _images.images_of(examples, image_shape)
    if train and mask is not None and averages and 'mask' not in taken:
      warnings.warn(
          f'{name} does not take the mask, so its {averages[0]} counts padding '
          'as examples; add the argument mask to __call__ and pass it on.',
          stacklevel=2)
    keyed = train and key is not None
    keys = _redrawn(parts.keys, key) if keyed else parts.keys
    whole = nnx.merge(
        parts.training if train else parts.evaluation,
        _filled(parts.params, variables.params),
        _filled(parts.stats, variables.stats), keys, parts.rest, copy=True)
    _record_linear(whole)
    given = {'train': train, 'deterministic': not train, 'mask': mask,
             'rngs': nnx.Rngs(_typed(key)) if keyed else None}
    logits, sown = nnx.capture(whole, nnx.Intermediate)(
        normalise(images), **{x: given[x] for x in taken})
    outputs = _images.checked_outputs(
        name, _outputs(name, logits, sown, features), len(images))
    after = dict(nnx.to_flat_state(nnx.state(whole)))
    if not keyed:
      _check_not_drawn(name, parts.keys, after, train)
    return (Outputs(*map(_wide, outputs)),
            _after(parts.stats, after, variables.stats) if train else
            variables.stats)

  return Model(jax.jit(init), apply, task or tasks.classification()), own


def to_nnx(variables: Variables, module: nnx.Module) -> nnx.Module:
  """A copy of an NNX module with the weights of its model.

  Args:
    variables: the variables of one network, without a leading axis of seeds.
    module: the module that `from_nnx` was given, or one of the same structure;
      it is not changed.

  Returns:
    The copy, in the same mode as `module`, training or evaluation.

  Raises:
    ValueError: if an array, which the message names, is missing or has another
      shape.
    TypeError: if `module` is not an NNX module.
  """
  _taken(module)
  whole = nnx.clone(module)
  parts = _apart(module)
  for state, tree in zip((parts.params, parts.stats), variables):
    for path, x in nnx.to_flat_state(state):
      found = _at(tree, path)
      shape = jnp.shape(x.get_value())
      if jnp.shape(found) != shape:
        raise ValueError(
            f'Expected {_named(path)} of shape {shape}, found '
            f'{jnp.shape(found)}. If seeds are stacked, give one of them.')
    nnx.update(whole, _filled(state, tree))
  return whole


def _taken(module: Any) -> tuple[str, ...]:
  """The known arguments that a module's `__call__` takes."""
  if not isinstance(module, nnx.Module):
    raise TypeError('Expected module to be a Flax NNX module, found '
                    f'{_checks.described(module)}. A Linen module becomes a '
                    'model by from_linen.')
  if not callable(module):
    raise TypeError(f'Expected {type(module).__name__} to have __call__.')
  signature = inspect.signature(module.__call__)
  taken = tuple(x for x in _KNOWN if x in signature.parameters)
  try:
    signature.bind(None, **dict.fromkeys(taken))
  except TypeError as error:
    raise TypeError(
        f'Expected {type(module).__name__} to take images and none but '
        f'{", ".join(_KNOWN)} besides, found {signature}.') from error
  return taken


def _apart(module: nnx.Module) -> _Parts:
  whole = nnx.clone(module)
  nnx.pop(whole, nnx.Intermediate)
  whole.eval()
  evaluation = nnx.graphdef(whole)
  whole.train()
  training, params, keys, stats, rest = nnx.split(
      whole, nnx.Param, nnx.RngState, _is_float, ...)
  return _Parts(training, evaluation, params, stats, keys, rest)


def _is_float(path: Any, value: Any) -> bool:
  del path
  value = value.get_value() if isinstance(value, nnx.Variable) else value
  kind = getattr(value, 'dtype', None)
  return kind is not None and jnp.issubdtype(kind, jnp.floating)


def _variables(parts: _Parts) -> Variables:
  return Variables(_tree(parts.params), _tree(parts.stats))


def _tree(state: nnx.State) -> dict[str, Any]:
  """Nested dicts of arrays, whose keys are the parts of the paths."""
  tree: dict[str, Any] = {}
  for path, x in nnx.to_flat_state(state):
    *parents, last = map(str, path)
    place = tree
    for part in parents:
      place = place.setdefault(part, {})
    place[last] = jnp.asarray(x.get_value())
  return tree


def _at(tree: PyTree, path: Sequence[Any]) -> Any:
  for part in map(str, path):
    if not isinstance(tree, Mapping) or part not in tree:
      raise ValueError(
          f'Expected variables to hold {_named(path)}, found none.')
    tree = tree[part]
  return tree


def _named(path: Sequence[Any]) -> str:
  return '/'.join(map(str, path))


def _filled(state: nnx.State, tree: PyTree) -> nnx.State:
  """The state with the arrays of the nested dicts that `_tree` makes."""
  return nnx.from_flat_state([
      (path, x.replace(_at(tree, path)))
      for path, x in nnx.to_flat_state(state)])


def _after(state: nnx.State, after: Mapping[Any, nnx.Variable],
           before: PyTree) -> PyTree:
  """The arrays after a pass, as a tree of the same types as before."""
  moved = nnx.from_flat_state([
      (path, x.replace(after[path].get_value()))
      for path, x in nnx.to_flat_state(state)])
  return jax.tree.map(lambda new, old: new.astype(old.dtype), _tree(moved),
                      before)


def _typed(key: Key) -> Key:
  """The key as a typed key, which NNX needs."""
  return (key if jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
          else jax.random.wrap_key_data(key))


def _redrawn(keys: nnx.State, key: Key) -> nnx.State:
  """The state of random streams, with keys that are drawn from one key."""

  def drawn() -> Iterator[tuple[Any, nnx.Variable]]:
    for i, (path, x) in enumerate(nnx.to_flat_state(keys)):
      value = x.get_value()
      if isinstance(x, nnx.RngKey):
        new = jax.random.fold_in(_typed(key), i)
        new = jax.random.split(new, value.shape) if value.shape else new
      else:
        new = jnp.zeros_like(value)  # The counter starts at 0.
      yield path, x.replace(new)

  return nnx.from_flat_state(list(drawn()))


def _check_not_drawn(name: str, keys: nnx.State,
                     after: Mapping[Any, nnx.Variable], train: bool) -> None:
  """Raises an error if a pass without a key drew random numbers."""
  for path, x in nnx.to_flat_state(keys):
    if (isinstance(x, nnx.RngCount)
        and after[path].get_value() is not x.get_value()):
      where = _named(path[:-1])
      raise ValueError(
          f'Expected a key for {name}, which draws random numbers in training '
          f"at {where}: pass key= to the model's apply." if train else
          f'Expected {name} to draw no random numbers in evaluation mode, '
          f'found some at {where}.')


def _record_linear(module: nnx.Module) -> None:
  """Lets all linear layers of a copy record their calls."""
  for _, part in nnx.iter_modules(module):
    if type(part) is nnx.Linear:
      object.__setattr__(part, '__class__', _Recorded)


def _outputs(name: str, given: Any, sown: nnx.State, features: str | None
             ) -> Any:
  """The outputs of a module with its features."""
  notes = {path: x.get_value() for path, x in nnx.to_flat_state(sown)}
  if features is not None:
    found = [path for path in notes if path[-1] == features]
    if len(found) != 1:
      others = sorted({str(x[-1]) for x in notes if x[-1] != _CALL})
      where = (f'found it in {", ".join(map(_named, found))}' if found else
               f'found {", ".join(others) or "none"}')
      raise ValueError(f'Expected {name} to sow one nnx.Intermediate '
                       f'{features}, {where}.')
    value = notes[found[0]]
    last = value[-1] if isinstance(value, tuple) else value
    logits = given.prediction if isinstance(given, Outputs) else given
    return Outputs(logits, last)
  for path, calls in notes.items():
    if path[-1] == _CALL:
      for inputs, outputs in calls:
        if outputs is given:
          return Outputs(given, inputs)
  return _images.with_features(given)


def _wide(x: Array) -> Array:
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))
