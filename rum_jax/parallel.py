"""How devices share the work: by runs, and by the examples of a batch.

`seeds.over_seeds` arranges the devices along these two axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
from jax import lax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
import numpy as np

from rum_jax import _checks, trees
from rum_jax.types import (
    Array, Examples, Key, Model, Outputs, PyTree, Variables)

SEEDS, EXAMPLES = 'seeds', 'examples'  # Names of the axes.


def mesh(devices: Sequence[jax.Device], devices_per_run: int) -> Mesh:
  """Arranges the devices as `[SEEDS, EXAMPLES]`, or as `[SEEDS]`.

  Consecutive devices share a run. The second axis exists only if
  `devices_per_run` is more than 1.

  Raises:
    ValueError: if `devices_per_run` does not divide the number of devices.
  """
  _checks.check_count('devices_per_run', devices_per_run, 1)
  if len(devices) % devices_per_run:
    raise ValueError(f'Expected devices_per_run={devices_per_run} to divide '
                     f'the number of devices, {len(devices)}.')
  if devices_per_run == 1:
    return Mesh(np.asarray(devices), (SEEDS,))
  return Mesh(np.reshape(devices, (-1, devices_per_run)), (SEEDS, EXAMPLES))


def total(tree: PyTree) -> PyTree:
  """Sums over the devices that share a batch.

  Args:
    tree: arrays that each device has computed from its part of the batch, of
      the same shapes on all devices.

  Returns:
    The sums, the same on all devices; `tree` itself where no devices share a
    batch.
  """
  shared = EXAMPLES in jax.sharding.get_abstract_mesh().manual_axes
  return lax.psum(tree, EXAMPLES) if shared else tree


def data_parallel(model: Model) -> Model:
  """The network that divides each batch among the devices of its run.

      rum_jax.over_seeds(
          rum_jax.finetune(data_parallel(model), tx, epochs=1),
          in_axes=(0, 0, None, 0), devices_per_run=4)

  Its outputs and gradients equal those of `model` up to the rounding of sums,
  in evaluation mode and in training mode; batch-norm uses the moments of the
  whole batch. Dropout masks differ, because each device draws its own. With one
  device, as outside of `over_seeds`, and for batches smaller than the number of
  devices, it calls `model`.

  Args:
    model: the network. A layer that combines the examples of a batch must sum
      over the devices with `total`. The layers of `rum_jax.models` do; Flax's
      own batch-norm does not, so that each device would use other moments.

  Returns:
    A network with the same variables.

  >>> from rum_jax import testing
  >>> model, _, (_, variables, examples, _) = testing.example()
  >>> whole, _ = model.apply(variables, examples, train=False)
  >>> shared, _ = data_parallel(model).apply(variables, examples, train=False)
  >>> bool((whole.prediction == shared.prediction).all())  # On one device.
  True
  """

  def apply(variables: Variables, examples: Examples, *, train: bool,
            key: Key | None = None, mask: Array | None = None
            ) -> tuple[Outputs, PyTree]:
    current = jax.sharding.get_abstract_mesh()
    size, count = trees.length(examples), current.shape.get(EXAMPLES, 1)
    if count == 1 or size < count or EXAMPLES in current.manual_axes:
      return model.apply(variables, examples, train=train, key=key, mask=mask)
    mask = jnp.ones(size, bool) if mask is None else mask

    def padded(x: Array) -> Array:
      return jnp.pad(x, [(0, -size % count)] + [(0, 0)] * (x.ndim - 1))

    def apply_part(variables: Variables, examples: Examples, mask: Array,
                   key: Key | None):
      if key is not None:
        key = jax.random.fold_in(key, lax.axis_index(EXAMPLES))
      return model.apply(variables, examples, train=train, key=key, mask=mask)

    part, whole = PartitionSpec(EXAMPLES), PartitionSpec()
    outputs, stats = jax.shard_map(
        apply_part, axis_names={EXAMPLES}, in_specs=(whole, part, part, whole),
        out_specs=(part, whole), check_vma=False)(
            variables, jax.tree.map(padded, examples), padded(mask), key)
    return jax.tree.map(lambda x: x[:size], outputs), stats

  return model._replace(apply=apply)
