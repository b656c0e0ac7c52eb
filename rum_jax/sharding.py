"""Networks that are too large for one device: each holds a share of them.

The parameters, their gradients and the state of the optimiser are divided among
the devices along one axis of a mesh, and the examples of each batch along the
other. This module says where arrays lie; JAX decides what the devices exchange
and when. `parallel` and `seeds` are for networks that fit one device.

References:
  Zhao et al., PyTorch FSDP: experiences on scaling fully sharded data parallel,
  2023; Xu et al., GSPMD: general and scalable parallelization for ML
  computation graphs, 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np
import optax

from rum_jax import _checks
from rum_jax.parallel import EXAMPLES
from rum_jax.types import (
    Array, Examples, Key, Model, Outputs, PyTree, Unlearner, Variables)

WEIGHTS = 'weights'  # Name of the axis that parameters are divided along.


def mesh(devices: Sequence[jax.Device] | None = None,
         devices_per_batch: int = 1) -> Mesh:
  """Arranges devices as `[WEIGHTS, EXAMPLES]`.

  Args:
    devices: by default `jax.devices()`.
    devices_per_batch: number of devices among which a batch is divided, and
      which hold the same share of the parameters.

  Raises:
    ValueError: if `devices_per_batch` is not a whole number of at least 1 that
      divides the number of devices.
  """
  devices = jax.devices() if devices is None else devices
  _checks.check_count('devices_per_batch', devices_per_batch, 1)
  if len(devices) % devices_per_batch:
    raise ValueError(f'Expected devices_per_batch={devices_per_batch} to divide'
                     f' the number of devices, {len(devices)}.')
  return Mesh(np.reshape(devices, (-1, devices_per_batch)), (WEIGHTS, EXAMPLES))


def spread(tree: PyTree, mesh: Mesh) -> PyTree:
  """Where the arrays of a network lie: each is divided along one axis.

      start = jax.jit(model.init, out_shardings=spread(
          jax.eval_shape(model.init, key), mesh))

  This initialises a network that fits no single device.

  Args:
    tree: parameters or the like, arrays or their shapes.
    mesh: as `mesh` makes it.

  Returns:
    A `NamedSharding` for each array. Its longest axis that the number of shares
    divides is divided, the first of equal ones. An array without such an axis
    is whole on each device.
  """
  return jax.tree.map(lambda x: _of_weights(x.shape, mesh), tree)


def _of_weights(shape: Sequence[int], mesh: Mesh) -> NamedSharding:
  count = mesh.shape[WEIGHTS]
  fitting = [i for i, n in enumerate(shape) if n and n % count == 0]
  axes: list[str | None] = [None] * len(shape)
  if fitting:
    axes[max(fitting, key=lambda i: shape[i])] = WEIGHTS
  return NamedSharding(mesh, PartitionSpec(*axes))


def sharded(factory: Callable[[Model, optax.GradientTransformation], Unlearner],
            model: Model, tx: optax.GradientTransformation, *,
            devices: Sequence[jax.Device] | None = None,
            devices_per_batch: int = 1) -> Unlearner:
  """Runs an unlearner on a network that is divided among devices.

      unlearn = rum_jax.sharded(
          lambda model, tx: rum_jax.scrub(model, tx), model, tx,
          devices_per_batch=2)

  With 8 devices, this divides all parameters, their gradients and the state of
  the optimiser into 4 shares, and each batch into 2. The results are those of
  one device up to the rounding of sums; batch-norm uses the moments of the
  whole batch, and dropout draws the same masks. All examples are on each
  device.

  Args:
    factory: `(model, tx) -> unlearner`, with all other arguments given.
    model: the network.
    tx: the optimiser.
    devices: the devices to run on; by default `jax.devices()`.
    devices_per_batch: number of devices among which each batch is divided; a
      batch whose size it does not divide stays whole. The other devices divide
      the parameters, see `spread`.

  Returns:
    An unlearner, compiled; the variables that it returns are divided, too. If
    `factory` makes a `sequential` one, it takes the splits of the stages.

  Raises:
    TypeError: if `model` or `tx` is of another type.
    ValueError: as `factory` does, or if `devices_per_batch` is not a whole
      number of at least 1 that divides the number of devices.

  >>> import rum_jax
  >>> model, tx, run = rum_jax.testing.example()
  >>> unlearn = sharded(lambda model, tx: rum_jax.finetune(
  ...     model, tx, epochs=1), model, tx, devices=jax.devices()[:1])
  >>> _, info = unlearn(*run)
  >>> len(info.loss)  # One step, on one device.
  1
  """
  _checks.check_model(model)
  _checks.check_optimizer(tx)
  place = mesh(devices, devices_per_batch)
  whole = NamedSharding(place, PartitionSpec())
  run = factory(_divided_model(model, place), _divided_optimizer(tx, place))

  @jax.jit
  def on_devices(key: Key, variables: Variables, examples: Examples, split: Any
                 ) -> tuple[Variables, Any]:
    variables, info = run(key, variables, examples, split)
    return _constrained(variables, place), info

  def unlearn(key: Key, variables: Variables, examples: Examples, split: Any
              ) -> tuple[Variables, Any]:
    if variables is not None:  # As for what trains from scratch.
      _checks.check_runs(variables, examples, split)
    variables = jax.device_put(variables, spread(variables, place))
    return on_devices(jax.device_put(key, whole), variables,
                      *jax.device_put((examples, split), whole))

  return unlearn


def _constrained(tree: PyTree, mesh: Mesh) -> PyTree:
  """The same values, divided among the devices as parameters are."""
  return lax.with_sharding_constraint(tree, spread(tree, mesh))


def _divided_model(model: Model, mesh: Mesh) -> Model:
  """The network whose new variables and whose batches are divided."""
  count = mesh.shape[EXAMPLES]

  def part(x: Any) -> Any:
    if len(x) % count:
      return x
    return lax.with_sharding_constraint(
        x, NamedSharding(mesh, PartitionSpec(EXAMPLES)))

  def apply(variables: Variables, examples: Examples, *, train: bool,
            key: Key | None = None, mask: Array | None = None
            ) -> tuple[Outputs, PyTree]:
    outputs, stats = model.apply(
        variables, jax.tree.map(part, examples), train=train, key=key,
        mask=mask)
    return jax.tree.map(part, outputs), stats

  return model._replace(
      apply=apply, init=lambda key: _constrained(model.init(key), mesh))


def _divided_optimizer(tx: optax.GradientTransformation, mesh: Mesh
                       ) -> optax.GradientTransformation:
  """The optimiser whose gradients, updates and state are divided."""

  def update(updates: PyTree, state: PyTree, params: PyTree | None = None
             ) -> tuple[PyTree, PyTree]:
    return _constrained(tx.update(
        _constrained(updates, mesh), state, params), mesh)

  return optax.GradientTransformation(
      lambda params: _constrained(tx.init(params), mesh), update)
