"""Do nothing: the baseline that every method has to beat.

For examples that are not memorized it is also the right answer, because a
retrained model predicts them as the original does. Full RUM uses it for them.

References:
  Zhao et al., What makes unlearning hard and what to do about it, 2024.
"""

from __future__ import annotations

import jax.numpy as jnp

from rum_jax.types import Examples, Info, Key, Split, Unlearner, Variables


def identity() -> Unlearner:
  """The unlearner that returns the variables unchanged.

  >>> from rum_jax import testing
  >>> _, _, (key, variables, examples, split) = testing.example()
  >>> identity()(key, variables, examples, split)[0] is variables
  True
  """

  def unlearn(key: Key, variables: Variables, examples: Examples, split: Split
              ) -> tuple[Variables, Info]:
    del key, examples, split
    return variables, Info(jnp.zeros((0,)), {})

  return unlearn
