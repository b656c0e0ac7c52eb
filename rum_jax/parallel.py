"""How devices share the work: runs, or the examples of each batch of a run.

`seeds.over_seeds` lays the devices out along two axes, one for each.
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

SEEDS, EXAMPLES = 'seeds', 'examples'  # The axes.


def mesh(devices: Sequence[jax.Device], devices_per_run: int) -> Mesh:
  """The devices as `[SEEDS, EXAMPLES]`, or `[SEEDS]`; neighbours share a run.

  Raises:
    ValueError: if `devices_per_run` does not divide their number.
  """
  _checks.check_count('devices_per_run', devices_per_run, 1)
  if len(devices) % devices_per_run:
    raise ValueError(f'Expected devices_per_run={devices_per_run} to divide '
                     f'the number of devices, {len(devices)}.')
  if devices_per_run == 1:
    return Mesh(np.asarray(devices), (SEEDS,))
  return Mesh(np.reshape(devices, (-1, devices_per_run)), (SEEDS, EXAMPLES))


def total(tree: PyTree) -> PyTree:
  """Sums over devices what each has made of its part of a batch.

  Args:
    tree: arrays of equal shapes on all devices.

  Returns:
    The sums, the same on all of them; `tree` where nobody shares a batch.
  """
  shared = EXAMPLES in jax.sharding.get_abstract_mesh().manual_axes
  return lax.psum(tree, EXAMPLES) if shared else tree


def data_parallel(model: Model) -> Model:
  """The network that divides each batch among the devices of its run.

      rum_jax.over_seeds(
          rum_jax.finetune(data_parallel(model), tx, epochs=1),
          in_axes=(0, 0, None, 0), devices_per_run=4)

  It gives what `model` gives but for the rounding of sums, in evaluation and in
  training: batch-norm's moments are those of the whole batch. Dropout is
  another draw, as each device draws for its own part. Where a run has
  one device, as outside of `over_seeds`, and for fewer examples than devices,
  it is `model`.

  Args:
    model: the network. A layer that mixes the examples of a batch must sum
      them with `total`, as those of `rum_jax.models` do and Flax's own
      batch-norm does not; otherwise each device has other moments.

  Returns:
    A network with the same variables.
  """

  def apply(variables: Variables, examples: Examples, *, train: bool,
            key: Key | None = None, mask: Array | None = None
            ) -> tuple[Outputs, PyTree]:
    here = jax.sharding.get_abstract_mesh()
    size, count = trees.length(examples), here.shape.get(EXAMPLES, 1)
    if count == 1 or size < count or EXAMPLES in here.manual_axes:
      return model.apply(variables, examples, train=train, key=key, mask=mask)
    mask = jnp.ones(size, bool) if mask is None else mask

    def filled(x: Array) -> Array:
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
            variables, jax.tree.map(filled, examples), filled(mask), key)
    return jax.tree.map(lambda x: x[:size], outputs), stats

  return model._replace(apply=apply)
