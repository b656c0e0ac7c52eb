"""Unlearning within a part of the parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import optax

from rum_jax import _checks
from rum_jax.types import Examples, Key, Model, Unlearner, Variables


class Part(NamedTuple):
  """What an unlearner that acts on a subspace is run with.

  Attributes:
    model: the network, in which only the subspace is trained. An unlearner that
      initialises it initialises the subspace and keeps the other parameters.
    tx: the optimiser, which leaves the other parameters bit-identical.
    variables: the variables of `model` to start from.
    examples: what `model` sees of the examples.
    whole: maps variables of `model` to those of the network itself.
  """

  model: Model
  tx: optax.GradientTransformation
  variables: Variables
  examples: Examples
  whole: Callable[[Variables], Variables]


# `(key, model, tx, variables, examples) -> part`.
Subspace = Callable[
    [Key, Model, optax.GradientTransformation, Variables, Examples], Part]


def within(subspace: Subspace,
           factory: Callable[[Model, optax.GradientTransformation], Unlearner],
           model: Model, tx: optax.GradientTransformation) -> Unlearner:
  """Makes an unlearner act on a subspace of the parameters.

      within(last_layers(2), lambda model, tx: rum_jax.salun(model, tx),
             model, tx)

  Args:
    subspace: such as `last_layers(2)` or `low_rank(8)`.
    factory: `(model, tx) -> unlearner`, with all other arguments given.
    model: the network.
    tx: the optimiser; a factory that needs none may ignore it.

  Returns:
    An unlearner. If `factory` makes a `sequential` one, it takes the splits of
    the stages, all of which act on the same subspace.

  Raises:
    TypeError: if `model` or `tx` is of another type.
    ValueError: as `factory` does and, when called, as `subspace` does.

  >>> import jax
  >>> import rum_jax
  >>> from rum_jax.subspaces import last_layers
  >>> model, tx, (key, variables, examples, split) = rum_jax.testing.example()
  >>> tune = lambda model, tx: rum_jax.finetune(model, tx, epochs=1)
  >>> unlearn = within(last_layers(1), tune, model, tx)
  >>> tuned, _ = unlearn(key, variables, examples, split)
  >>> jax.tree.map(lambda old, new: bool((old == new).all()),
  ...              variables.params, tuned.params)['Dense_0']  # It is the same.
  {'bias': True, 'kernel': True}
  """
  _checks.check_model(model)
  _checks.check_optimizer(tx)
  factory(model, tx)  # Raises errors of the arguments now, before tracing.

  def unlearn(key: Key, variables: Variables, examples: Examples, split: Any
              ) -> tuple[Variables, Any]:
    _checks.check_runs(variables, examples, split)
    part = subspace(key, model, tx, variables, examples)
    inside, info = factory(part.model, part.tx)(
        key, part.variables, part.examples, split)
    return part.whole(inside), info

  return unlearn
