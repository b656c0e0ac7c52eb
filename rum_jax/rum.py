"""RUM: unlearn groups of examples one after another, each by its own method.

RUM applies a sequence of unlearners to a sequence of splits, so it is an
unlearner, too. *Vanilla*, *shuffle*, *RUM^F* and full *RUM* are four choices of
groups and unlearners.

References:
  Zhao et al., What makes unlearning hard and what to do about it, 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from rum_jax import _checks
from rum_jax.types import (
    Examples, Info, Key, Sequential, Split, Unlearner, Variables)


def sequential(*unlearners: Unlearner) -> Sequential:
  """Runs `unlearners[i]` on `splits[i]` from the result of the one before.

  `θ_i = unlearners[i](θ_{i−1}, splits[i])`. Every stage initialises its own
  optimiser. The first stage gets the key unchanged, so `sequential(u)` gives
  the result of `u`.

  Args:
    *unlearners: one or more unlearners; RUM^F is the same unlearner k times.

  Returns:
    An unlearner that takes a sequence of splits, one for each of `unlearners`,
    and returns a tuple of their infos.

  Raises:
    TypeError: if an unlearner cannot be called, or, when called, returns
      something else than variables and info.
    ValueError: if there is none, or, when called, if the number of splits
      differs from that of the unlearners.

  >>> import rum_jax
  >>> model, tx, (key, variables, examples, _) = rum_jax.testing.example()
  >>> groups = jax.numpy.array([0, 1]), jax.numpy.array([2, 3])
  >>> splits = rum_jax.refinement.stages(groups, 12)
  >>> tune = rum_jax.finetune(model, tx, epochs=1, batch_size=4)
  >>> unlearn = sequential(rum_jax.identity(), tune)
  >>> _, infos = unlearn(key, variables, examples, splits)
  >>> [len(info.loss) for info in infos]  # The steps of each stage.
  [0, 2]
  """
  if not unlearners:
    raise ValueError('Expected at least one unlearner, found none.')
  for i, unlearner in enumerate(unlearners):
    _checks.check_callable(f'unlearners[{i}]', unlearner)

  def unlearn(key: Key, variables: Variables, examples: Examples,
              split: Sequence[Split]) -> tuple[Variables, tuple[Info, ...]]:
    if isinstance(split, Split) or len(split) != len(unlearners):
      number = 'a single Split' if isinstance(split, Split) else len(split)
      raise ValueError(f'Expected {len(unlearners)} splits, one for each '
                       f'unlearner, found {number}.')
    infos = []
    for i, (unlearner, stage) in enumerate(zip(unlearners, split)):
      stage_key = jax.random.fold_in(key, i) if i else key
      result = unlearner(stage_key, variables, examples, stage)
      variables, info = _checked(f'unlearners[{i}]', result)
      infos.append(info)
    return variables, tuple(infos)

  return unlearn


def _checked(name: str, result: Any) -> tuple[Variables, Info]:
  """What an unlearner returned, if it is what an unlearner returns."""
  # Variables alone are a pair, too, of parameters and statistics.
  pair = (isinstance(result, tuple) and len(result) == 2
          and not isinstance(result, Variables))
  if not pair or not isinstance(result[0], Variables):
    raise TypeError(
        f'Expected {name} to return (variables, info), a Variables and an '
        f'Info, found {_checks.described(result)}.')
  return result
