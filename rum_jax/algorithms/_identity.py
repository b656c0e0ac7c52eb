"""Do nothing: the floor that every method has to beat.

On examples that are not memorized it is also the right answer, since
retraining predicts them as before; full RUM uses it for such subsets.

References:
  Zhao et al., What makes unlearning hard and what to do about it, 2024.
"""

from __future__ import annotations

import jax.numpy as jnp

from rum_jax.types import Examples, Info, Key, Split, Unlearner, Variables


def identity() -> Unlearner:
  """The unlearner that returns the variables as they are."""

  def unlearn(key: Key, variables: Variables, examples: Examples, split: Split
              ) -> tuple[Variables, Info]:
    del key, examples, split
    return variables, Info(jnp.zeros((0,)), {})

  return unlearn
