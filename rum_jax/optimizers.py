"""Optimisers: SGD as PyTorch has it, and gates that hold weights still."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax

from rum_jax import _checks
from rum_jax.types import PyTree


def sgd(
    learning_rate: float | optax.Schedule,
    *,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> optax.GradientTransformation:
  """SGD as PyTorch has it: decay joins the gradient, before momentum.

  Args:
    learning_rate: a number of at least 0, or an optax schedule.
    momentum: in `[0, 1]`.
    weight_decay: factor of `params` that is added to the gradient.
    nesterov: whether to look ahead.

  Returns:
    The optimiser.

  Raises:
    ValueError: if a number is out of range.
  """
  if not callable(learning_rate):
    _checks.check_range('learning_rate', learning_rate, 0)
  _checks.check_range('momentum', momentum, 0, 1)
  _checks.check_range('weight_decay', weight_decay, 0)
  return optax.chain(
      optax.add_decayed_weights(weight_decay),
      optax.sgd(learning_rate, momentum=momentum, nesterov=nesterov))


def scale_norm_biases(factor: float) -> optax.GradientTransformation:
  """Multiplies the gradients of batch-norm's biases.

  These are the parameters named `bias` of modules that have no `kernel`. Before
  `sgd` in a chain this gives them `factor` times the learning rate, with the
  weight decay of all others.

  Args:
    factor: at least 0.

  Returns:
    A stateless transformation.

  Raises:
    ValueError: if `factor` is below 0.
  """
  _checks.check_range('factor', factor, 0)

  def scaled(tree: PyTree) -> PyTree:
    if not isinstance(tree, Mapping):
      return tree
    return {name: factor * x if name == 'bias' and 'kernel' not in tree
            else scaled(x) for name, x in tree.items()}

  return optax.stateless(lambda updates, params: scaled(updates))


def gate(mask: PyTree) -> optax.GradientTransformation:
  """Passes updates where `mask` is true and writes exact zeros elsewhere.

  Unlike `optax.masked`, the mask may depend on data and mask single weights.

  Args:
    mask: pytree of bool arrays shaped like the parameters.

  Returns:
    A stateless transformation. Chained *after* an optimiser it keeps masked
    weights bit-identical, whatever momentum or weight decay ask for.
  """

  def update(updates: PyTree, params: PyTree) -> PyTree:
    del params
    return jax.tree.map(lambda m, u: jnp.where(m, u, 0), mask, updates)

  return optax.stateless(update)


def gated(tx: optax.GradientTransformation, mask: PyTree
          ) -> optax.GradientTransformation:
  """An optimiser that neither sees nor moves the weights outside `mask`."""
  return optax.chain(gate(mask), tx, gate(mask))
