"""Loads the models that a command saved with their description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import os
import pathlib
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp

from rum_jax.models import descriptions
from rum_jax.storage import artefacts
from rum_jax.types import Model, Variables

NOTE = 'model'  # The note of an artefact that describes its network.


class Saved(NamedTuple):
  """A network, its variables and its description.

  Attributes:
    model: the network, with the normalisation that it was trained with.
    variables: the variables of S networks, with a leading axis of S seeds; or
      those of one network, if a seed was given.
    description: what `describe` returned: the network, the shape of the images,
      the names of the classes and the moments of the channels.
  """

  model: Model
  variables: Variables
  description: Mapping[str, Any]


def load_saved(folder: str | os.PathLike[str], seed: int | None = None, *,
               networks: Mapping[str, Callable[..., nn.Module]] | None = None
               ) -> Saved:
  """Loads models that a command saved.

      model, variables, about = models.load_saved('runs/…/originals-…', seed=0)
      outputs, _ = model.apply(variables, Images(image, label), train=False)

  Args:
    folder: a folder of a workdir, such as `originals-…`, `oracles-…` or
      `unlearned/salun-vanilla-…`, or the folder `tree` in it. `oracles` has
      2 · S networks; the first S are those that rows are compared with.
    seed: the number of one of the networks, from 0; by default all of them.
    networks: as for `build`.

  Returns:
    The model, its variables and its description.

  Raises:
    OSError: if there is no such folder.
    ValueError: if a file was altered, if the folder holds no such models, or if
      `seed` is out of range.
  """
  place = pathlib.Path(folder)
  place = place.parent if place.name == 'tree' else place
  artefact = artefacts.load(place)
  description = artefact.notes.get(NOTE)
  if description is None or set(artefact.tree or {}) != {*Variables._fields}:
    raise ValueError(f'Expected {place} to hold models and their description, '
                     'found none: an older version wrote it, or it is no '
                     'folder of models.')
  variables = Variables(**jax.tree.map(jnp.asarray, artefact.tree))
  if seed is not None:
    count = jax.tree.leaves(variables)[0].shape[0]
    if not 0 <= seed < count:
      raise ValueError(f'Expected seed={seed} in [0, {count}), the number of '
                       f'models in {place}.')
    variables = jax.tree.map(lambda x: x[seed], variables)
  return Saved(descriptions.build(description, networks=networks), variables,
               description)
