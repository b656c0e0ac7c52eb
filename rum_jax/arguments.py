"""Refuses what is not of the library's types, by name, before it is used."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax.types import (
    Array, Dataset, Info, Key, Model, Split, Unlearner, Variables)


def check_model(model: Any, tx: Any = None) -> None:
  """Raises `TypeError` if `model` is no `Model`, or `tx` no optimiser."""
  hint = ' (a Flax module becomes one by rum_jax.models.from_linen)'
  _check_kind('model', model, Model, hint)
  if tx is not None:
    check_optimizer(tx)


def check_optimizer(tx: Any) -> None:
  """Raises `TypeError` if `tx` has not the two functions of optax."""
  if not all(callable(getattr(tx, x, None)) for x in ('init', 'update')):
    raise TypeError('Expected tx to be an optax optimiser such as '
                    f'rum_jax.sgd(0.1), found {_described(tx)}.')


def check_run(variables: Any, dataset: Any, split: Any) -> None:
  """Refuses what no run can start from.

  Args:
    variables: of the network.
    dataset: all examples.
    split: rows of it; whether they are there is not asked of traced ones.

  Raises:
    TypeError: if one of them is of another type, or rows are no whole numbers.
    ValueError: if there are more images than labels or fewer, rows have more
      than one axis, or one is not there.
  """
  _check_kind('variables', variables, Variables)
  _check_kind('dataset', dataset, Dataset)
  _check_kind('split', split, Split)
  images, labels = (np.shape(x)[0] for x in dataset)
  if images != labels:
    raise ValueError('Expected as many images as labels, found '
                     f'{images} and {labels}.')
  for name, rows in split._asdict().items():
    _check_rows(name, rows, labels)


def checked(unlearn: Unlearner) -> Unlearner:
  """An unlearner that calls `check_run` before anything else."""

  @functools.wraps(unlearn)
  def whole(key: Key, variables: Variables, dataset: Dataset, split: Split
            ) -> tuple[Variables, Info]:
    check_run(variables, dataset, split)
    return unlearn(key, variables, dataset, split)

  return whole


def _check_kind(name: str, value: Any, kind: type, hint: str = '') -> None:
  if not isinstance(value, kind):
    raise TypeError(f'Expected {name} to be a rum_jax.{kind.__name__}{hint}, '
                    f'found {_described(value)}.')


def _check_rows(name: str, rows: Any, count: int) -> None:
  kind = getattr(rows, 'dtype', None)
  if kind is None or not jnp.issubdtype(kind, jnp.integer):
    hint = ('; np.flatnonzero turns a mask into rows'
            if kind == np.dtype(bool) else '')
    raise TypeError(f'Expected rows to {name} to be an array of whole numbers, '
                    f'found {_described(rows)}{hint}.')
  if rows.ndim != 1:
    raise ValueError(f'Expected rows to {name} to have one axis, found shape '
                     f'{rows.shape}.')
  if isinstance(rows, jax.core.Tracer):
    return
  values = np.asarray(rows)
  wrong = values[(values < 0) | (values >= count)]
  if wrong.size:
    raise ValueError(f'Expected rows to {name} in [0, {count}), found '
                     f'{wrong[0]}.')


def _described(value: Any) -> str:
  """A value as an error shows it: short, and with its type."""
  if isinstance(value, (Array, np.ndarray)):
    return f'an array of {value.dtype} {value.shape}'
  if value is None or isinstance(value, (bool, int, float, str)):
    return repr(value)
  return f'{type(value).__name__}(…)'
