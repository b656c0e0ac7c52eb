"""Random search over hyper-parameters.

References:
  Bergstra and Bengio, Random search for hyper-parameter optimization, 2012.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rum_jax import _checks

Limits = tuple[float, float, str]


def draw(fixed: Mapping[str, Any], space: Mapping[str, Limits], count: int,
         seed: int) -> list[dict[str, Any]]:
  """Random settings to try; all values are independent.

  Args:
    fixed: name to the value that all settings share, such as the number of
      epochs of training.
    space: name to `(low, high, scale)`; the scale is `linear`, `log`, or
      `near_one`, which is logarithmic in 1 - value.
    count: the number of settings.
    seed: the same seed gives the same settings; a larger count adds settings to
      those of a smaller one.

  Returns:
    Settings as name to value, rounded to four digits.

  Raises:
    ValueError: if `count` is not positive, or if limits do not fit their scale.
  """
  _check(space, count)
  rng = np.random.default_rng(seed)
  return [{**fixed, **{name: _at(rng.uniform(), *limits)
                       for name, limits in space.items()}}
          for _ in range(count)]


def spread(fixed: Mapping[str, Any], space: Mapping[str, Limits], count: int,
           seed: int) -> list[dict[str, Any]]:
  """Random settings that cover every range evenly: a Latin hypercube.

  Each range is cut into `count` parts of equal length on its scale, and each
  part is visited once, in an order that is drawn for each parameter.

  Args:
    fixed: as for `draw`.
    space: as for `draw`.
    count: the number of settings.
    seed: the same seed and count give the same settings.

  Returns:
    As `draw`.

  Raises:
    ValueError: as `draw`.

  References:
    McKay, Beckman and Conover, A comparison of three methods for selecting
    values of input variables, 1979.
  """
  _check(space, count)
  rng = np.random.default_rng(seed)
  parts = {name: (rng.permutation(count) + rng.random(count)) / count
           for name in space}
  return [{**fixed, **{name: _at(parts[name][i], *limits)
                       for name, limits in space.items()}}
          for i in range(count)]


def _check(space: Mapping[str, Limits], count: int) -> None:
  """Refuses a count below 1, and limits that do not fit their scale."""
  _checks.check_count('count', count, 1)
  for name, (low, high, scale) in space.items():
    fits = {'linear': True, 'log': low > 0, 'near_one': high < 1}
    if not low < high or not fits.get(scale, False):
      raise ValueError(f'Expected limits of {name} that fit a scale of linear, '
                       f'log or near_one, found {(low, high, scale)}.')


def _at(share: float, low: float, high: float, scale: str) -> float:
  """The value at a share of the way from `low` to `high` on a scale."""
  if scale == 'near_one':
    value = 1 - np.exp(_between(share, np.log(1 - high), np.log(1 - low)))
  elif scale == 'log':
    value = np.exp(_between(share, np.log(low), np.log(high)))
  else:
    value = _between(share, low, high)
  return float(f'{value:.4g}')


def _between(share: float, low: float, high: float) -> float:
  return low + (high - low) * share
