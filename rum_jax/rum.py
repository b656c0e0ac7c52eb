"""RUM: unlearn the groups one after another, each with what suits it.

A fold of unlearners over splits, so itself an unlearner. *Vanilla*, *shuffle*,
*RUM^F* and full *RUM* are not modes but four values of (groups, unlearners).

References:
  Zhao et al., What makes unlearning hard and what to do about it, 2024.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax

from rum_jax import _checks
from rum_jax.types import (
    Examples, Info, Key, Sequential, Split, Unlearner, Variables)


def sequential(*unlearners: Unlearner) -> Sequential:
  """Stage i unlearns `splits[i]` with `unlearners[i]`, from where i−1 ended.

  Every stage starts its optimiser afresh. The first stage consumes the key as
  it is, so `sequential(u)` is `u`.

  Args:
    *unlearners: at least one; the same one k times is RUM^F.

  Returns:
    An unlearner whose split is a sequence of as many splits as there are
    unlearners, and whose info is the tuple of theirs.

  Raises:
    TypeError: if an unlearner cannot be called.
    ValueError: if there is none, or, when called, if their number differs from
      that of the splits.
  """
  if not unlearners:
    raise ValueError('Expected at least one unlearner, found none.')
  for i, unlearner in enumerate(unlearners):
    _checks.check_callable(f'unlearners[{i}]', unlearner)

  def unlearn(key: Key, variables: Variables, examples: Examples,
              split: Sequence[Split]) -> tuple[Variables, tuple[Info, ...]]:
    if isinstance(split, Split) or len(split) != len(unlearners):
      found = 'one bare Split' if isinstance(split, Split) else len(split)
      raise ValueError(f'Expected {len(unlearners)} splits, one for each '
                       f'unlearner, found {found}.')
    infos = []
    for i, (unlearner, stage) in enumerate(zip(unlearners, split)):
      stage_key = jax.random.fold_in(key, i) if i else key
      variables, info = unlearner(stage_key, variables, examples, stage)
      infos.append(info)
    return variables, tuple(infos)

  return unlearn
