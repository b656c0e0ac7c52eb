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
  _checks.check_count('count', count, 1)
  for name, (low, high, scale) in space.items():
    fits = {'linear': True, 'log': low > 0, 'near_one': high < 1}
    if not low < high or not fits.get(scale, False):
      raise ValueError(f'Expected limits of {name} that fit a scale of linear, '
                       f'log or near_one, found {(low, high, scale)}.')
  rng = np.random.default_rng(seed)
  return [{**fixed, **{name: _value(rng, *limits)
                       for name, limits in space.items()}}
          for _ in range(count)]


def _value(rng: np.random.Generator, low: float, high: float, scale: str
           ) -> float:
  if scale == 'near_one':
    value = 1 - np.exp(rng.uniform(np.log(1 - high), np.log(1 - low)))
  elif scale == 'log':
    value = np.exp(rng.uniform(np.log(low), np.log(high)))
  else:
    value = rng.uniform(low, high)
  return float(f'{value:.4g}')
