"""Arithmetic on pytrees, and the checks of arguments that all floors share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax.types import Array, PyTree


def size(tree: PyTree) -> int:
  """Number of scalars in a pytree."""
  return sum(math.prod(jnp.shape(x)) for x in jax.tree.leaves(tree))


def l1_norm(tree: PyTree) -> Array:
  """Sum of the absolute values of all leaves: a scalar."""
  return sum(jnp.abs(x).sum() for x in jax.tree.leaves(tree))


def take(tree: PyTree, index: Any) -> PyTree:
  """`leaf[index]` of every leaf: picks one seed, or some, of a stacked tree."""
  return jax.tree.map(lambda x: x[index], tree)


def concatenate(trees: Sequence[PyTree]) -> PyTree:
  """Concatenates equal pytrees along their leading axis (host arrays)."""
  return jax.tree.map(lambda *xs: np.concatenate(xs), *trees)


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
