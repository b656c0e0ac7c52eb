"""Checks of arguments; their errors name the argument and its value."""

from __future__ import annotations

from collections.abc import Callable
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax.types import (
    Array, Examples, Images, Info, Key, Model, Split, Task, Unlearner,
    Variables)


def check_range(name: str, value: Any, low: float, high: float = math.inf,
                *, open_low: bool = False) -> None:
  """Raises `ValueError` unless `low <= value <= high`; traced values pass.

  Args:
    name: name of the argument, for the message.
    value: a number, or an array of them.
    low: smallest allowed value (not allowed itself with `open_low`).
    high: largest allowed value.
    open_low: whether `low` itself is refused.
  """
  if isinstance(value, jax.core.Tracer):
    return
  values = np.asarray(value)
  if not np.issubdtype(values.dtype, np.number):
    raise ValueError(f'Expected a number for {name}, found {value!r}.')
  fits = (values > low if open_low else values >= low) & (values <= high)
  if not fits.all():
    left, right = '(' if open_low else '[', ')' if math.isinf(high) else ']'
    raise ValueError(f'Expected {name}={value} in {left}{low}, {high}{right}.')


def check_count(name: str, value: Any, low: int = 0) -> None:
  """Raises `ValueError` unless `value` is a whole number of at least `low`."""
  if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
    raise ValueError(f'Expected a whole number for {name}, found {value!r}.')
  if value < low:
    raise ValueError(f'Expected {name}={value} to be at least {low}.')


def check_callable(name: str, value: Any) -> Callable[..., Any]:
  """Returns `value`, or raises `TypeError` where it cannot be called."""
  if not callable(value):
    raise TypeError(f'Expected {name} to be callable, found {value!r}.')
  return value


def check_model(model: Any) -> None:
  """Raises `TypeError` unless it is a `Model`."""
  hint = ' (a Flax module becomes one by rum_jax.models.from_linen)'
  _check_kind('model', model, Model, hint)
  _check_kind('model.task', model.task, Task)


def check_optimizer(tx: Any) -> None:
  """Raises `TypeError` if `tx` lacks optax's `init` or `update`."""
  if not all(callable(getattr(tx, x, None)) for x in ('init', 'update')):
    raise TypeError('Expected tx to be an optax optimiser such as '
                    f'rum_jax.sgd(0.1), found {described(tx)}.')


def check_run(variables: Any, examples: Any, split: Any) -> None:
  """Checks the arguments of an unlearner.

  Args:
    variables: the variables of the network.
    examples: leaves `[N, ...]`.
    split: forget `[F]` and retain `[R]`, rows of the examples. The range of
      rows is not checked where they are traced or held by other processes.

  Raises:
    TypeError: if an argument is of another type, or if rows, or the labels of
      images, are not whole numbers.
    ValueError: if the leaves of the examples differ in length, if labels or
      rows have more than one axis, or if a row is out of range or occurs twice.
  """
  _check_kind('variables', variables, Variables)
  count = check_examples(examples)
  _check_kind('split', split, Split)
  for name, rows in split._asdict().items():
    check_whole(f'rows to {name}', rows, 'np.flatnonzero of a mask')
  known = {name: np.asarray(rows) for name, rows in split._asdict().items()
           if _is_known(rows)}
  for name, rows in known.items():
    check_within(f'rows to {name}', rows, count)
  check_once(*known.values())


def check_runs(variables: Any, examples: Any, split: Any) -> None:
  """`check_run` for a split, or for each one of several stages."""
  alone = isinstance(split, Split) or not isinstance(split, (tuple, list))
  for stage in (split,) if alone else split:
    check_run(variables, examples, stage)


def check_examples(examples: Any) -> int:
  """Checks examples `[N, ...]` as `check_run` does, and returns N."""
  leaves = {
      f'examples{jax.tree_util.keystr(path)}': x
      for path, x in jax.tree.leaves_with_path(
          examples, is_leaf=lambda x: x is None)}
  if not leaves:
    raise TypeError('Expected examples to hold arrays, found '
                    f'{described(examples)}.')
  for name, values in leaves.items():
    if not getattr(values, 'ndim', 0):
      raise TypeError(f'Expected {name} to be an array with an axis of '
                      f'examples, found {described(values)}.')
  if isinstance(examples, Images):
    check_whole('examples.label', examples.label, 'class numbers')
  lengths = {name: len(values) for name, values in leaves.items()}
  if len(set(lengths.values())) > 1:
    raise ValueError(
        'Expected as many rows in each array of the examples, found ' +
        ', '.join(f'{n} in {name}' for name, n in lengths.items()) + '.')
  return len(next(iter(leaves.values())))


def check_within(name: str, rows: np.ndarray, count: int, where: str = ''
                 ) -> None:
  """Raises `ValueError` unless all rows `[n]` are in `[0, count)`.

  Args:
    name: the name of the rows, for the message.
    rows: whole numbers.
    count: number of examples.
    where: added to the message after the row.
  """
  outside = rows[(rows < 0) | (rows >= count)]
  if outside.size:
    raise ValueError(
        f'Expected {name} in [0, {count}), found {outside[0]}{where}.')


def check_once(*parts: np.ndarray) -> None:
  """Raises `ValueError` if a row occurs twice in the arrays `parts` `[n]`."""
  rows, counts = np.unique(
      np.concatenate([np.zeros(0, int), *parts]), return_counts=True)
  if (counts > 1).any():
    raise ValueError('Expected every row once, found row '
                     f'{rows[counts > 1][0]} twice.')


def check_whole(name: str, values: Any, such_as: str) -> None:
  """Checks that `values` are whole numbers `[n]`, of any range.

  Args:
    name: the name of the argument, for the message.
    values: anything.
    such_as: an example of a valid value, for the message.

  Raises:
    TypeError: if it is not an array of whole numbers.
    ValueError: if it does not have exactly one axis.
  """
  if not (isinstance(values, (Array, np.ndarray))
          and jnp.issubdtype(values.dtype, jnp.integer)):
    none = (not values if isinstance(values, (list, tuple)) else
            getattr(values, 'size', None) == 0)
    empty = '; for none np.zeros(0, int)' if none else ''
    raise TypeError(f'Expected {name} to be an array of whole numbers, such as '
                    f'{such_as}{empty}, found {described(values)}.')
  if values.ndim != 1:
    raise ValueError(f'Expected {name} to have one axis, found shape '
                     f'{values.shape}.')


def checked(unlearn: Unlearner) -> Unlearner:
  """The unlearner with its arguments checked by `check_run`."""

  @functools.wraps(unlearn)
  def whole(key: Key, variables: Variables, examples: Examples, split: Split
            ) -> tuple[Variables, Info]:
    check_run(variables, examples, split)
    return unlearn(key, variables, examples, split)

  return whole


def described(value: Any) -> str:
  """A short description of a value and its type, for messages of errors."""
  if isinstance(value, (Array, np.ndarray)):
    return f'an array of {value.dtype} {value.shape}'
  if value is None or isinstance(
      value, (bool, int, float, str, np.generic)):
    return repr(value)
  if callable(value) and hasattr(value, '__name__'):
    kind = 'class' if isinstance(value, type) else 'function'
    return f'the {kind} {value.__name__}'
  return f'{type(value).__name__}(…)'


def _check_kind(name: str, value: Any, kind: type, hint: str = '') -> None:
  if not isinstance(value, kind):
    raise TypeError(f'Expected {name} to be a rum_jax.{kind.__name__}{hint}, '
                    f'found {described(value)}.')


def _is_known(rows: Any) -> bool:
  """Whether this process can read the values: they are local, not traced."""
  return not isinstance(rows, jax.core.Tracer) and (
      getattr(rows, 'is_fully_addressable', True) or rows.is_fully_replicated)
