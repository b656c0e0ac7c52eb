"""Optimisers: SGD as in PyTorch, and masks that keep weights unchanged."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
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
  """SGD as in PyTorch: weight decay is added to the gradient before momentum.

  `v ← momentum · v + gradient + weight_decay · params`, then
  `params ← params − learning_rate · v`.

  Args:
    learning_rate: a number of at least 0, or an optax schedule.
    momentum: in `[0, 1]`.
    weight_decay: factor of `params` that is added to the gradient.
    nesterov: whether to use Nesterov momentum.

  Returns:
    The optimiser.

  Raises:
    ValueError: if a number is out of range.

  >>> tx = sgd(0.1, momentum=0.0, weight_decay=0.5)
  >>> params, gradient = jnp.array(4.0), jnp.array(1.0)
  >>> updates, _ = tx.update(gradient, tx.init(params), params)
  >>> round(float(updates), 6)  # −0.1 · (1 + 0.5 · 4)
  -0.3
  """
  if callable(learning_rate):
    learning_rate = _of_any_step(learning_rate)
  else:
    _checks.check_range('learning_rate', learning_rate, 0)
  _checks.check_range('momentum', momentum, 0, 1)
  _checks.check_range('weight_decay', weight_decay, 0)
  return optax.chain(
      optax.add_decayed_weights(weight_decay),
      optax.sgd(learning_rate, momentum=momentum, nesterov=nesterov))


def _of_any_step(schedule: optax.Schedule) -> optax.Schedule:
  """A schedule that also runs under JAX's strict promotion of types.

  The number of a step is a whole number, which many schedules of optax multiply
  by a real number. The strict promotion refuses that, and gets the number of
  the step as a real number.
  """

  def rate(count: ArrayLike) -> ArrayLike:
    try:
      return schedule(count)
    except jax.dtypes.TypePromotionError:
      return schedule(jnp.asarray(count, jnp.float32))

  return rate


def scale_norm_biases(factor: float) -> optax.GradientTransformation:
  """Multiplies the gradients of the biases of batch-norm.

  These are the parameters named `bias` in modules without a `kernel`. In a
  chain before `sgd` their learning rate becomes `factor` times that of the
  other parameters; their weight decay is the same.

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

  Unlike with `optax.masked`, the mask may depend on data, and it may differ
  between the weights of one array.

  Args:
    mask: pytree of bool arrays shaped like the parameters.

  Returns:
    A stateless transformation. In a chain *after* an optimiser it keeps the
    weights outside of the mask bit-identical under momentum and weight decay,
    too.
  """

  def update(updates: PyTree, params: PyTree) -> PyTree:
    del params
    return jax.tree.map(lambda m, u: jnp.where(m, u, 0), mask, updates)

  return optax.stateless(update)


def gated(tx: optax.GradientTransformation, mask: PyTree
          ) -> optax.GradientTransformation:
  """`tx` for the weights in `mask` alone; the others stay bit-identical."""
  return optax.chain(gate(mask), tx, gate(mask))
