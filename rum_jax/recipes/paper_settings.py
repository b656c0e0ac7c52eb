"""Hyper-parameters of the algorithms from their papers, without tuning.

Learning rates are those of the papers, if these give them. Epochs are as large
a share of the epochs of training as in the RUM paper, which trains for 30: a
small data set takes more passes for as many steps. None was chosen on a
person's own data.
"""

from __future__ import annotations

import inspect
from typing import Any

from rum_jax import algorithms

# Learning rate and epochs of the RUM paper or its code, or else of the paper of
# the algorithm. Algorithms without a rate take no steps.
TRAINING = 30  # Epochs of training in the RUM paper.
_PAPERS: dict[str, dict[str, Any]] = {
    'bad_teacher': {'learning_rate': 1e-2, 'epochs': 1},
    'cf_k': {'learning_rate': 1e-2, 'epochs': 10},
    'eu_k': {'learning_rate': 0.1, 'epochs': 30},
    'finetune': {'learning_rate': 1e-2, 'epochs': 10},
    'identity': {},
    'influence': {},
    'l1_sparse': {'learning_rate': 1e-2, 'epochs': 10},
    'neggrad': {'learning_rate': 1e-4, 'epochs': 5},
    'neggrad_plus': {'learning_rate': 1e-2, 'epochs': 5},
    'random_label': {'learning_rate': 0.1, 'epochs': 10},
    'retrain': {'learning_rate': 0.1, 'epochs': 30},
    'salun': {'learning_rate': 0.1, 'epochs': 10},
    'scrub': {'learning_rate': 5e-3, 'epochs': 5},
    'ssd': {},
}


def setting_of(method: str, budget: float | None = None,
               training: int = TRAINING) -> dict[str, Any]:
  """The hyper-parameters of an algorithm from its paper.

  Args:
    method: the name of an algorithm.
    budget: the largest number of epochs, which are passes over the data; `None`
      for no limit.
    training: the number of epochs that training the network takes.

  Returns:
    Name to value, without the values that are defaults of the factory.

  Raises:
    ValueError: if `budget` allows no epoch, or if there is no such algorithm.

  >>> setting_of('finetune', budget=3)
  {'learning_rate': 0.01, 'epochs': 3}
  >>> setting_of('finetune', training=150)
  {'learning_rate': 0.01, 'epochs': 50}
  """
  if method not in _PAPERS:
    raise ValueError(f'Expected method={method} to be one of '
                     f'{", ".join(_PAPERS)}.')
  setting = dict(_PAPERS[method])
  if 'epochs' in setting:
    setting['epochs'] = max(1, round(setting['epochs'] * training / TRAINING))
  if budget is not None and 'epochs' in setting:
    if budget < 1:
      raise ValueError(f'Expected budget={budget} to be at least one epoch.')
    setting['epochs'] = min(setting['epochs'], int(budget))
  return setting


def spelled_out(method: str, setting: dict[str, Any]) -> dict[str, Any]:
  """A setting with the default values of the factory of the method."""
  factory = getattr(algorithms, method, None)
  if factory is None:
    return dict(setting)
  own = {name: x.default for name, x in inspect.signature(factory
                                                          ).parameters.items()
         if x.default is not x.empty and isinstance(
             x.default, (bool, int, float, str)) and name != 'batch_size'}
  return {**setting, **{k: v for k, v in own.items() if k not in setting}}
