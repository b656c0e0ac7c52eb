"""The three inputs of every stage: recipe, data and runtime.

The recipe determines every result. `Data` holds the examples of its data set.
`Runtime` holds the workdir, the network and the compiled programs. Functions
take those of the three that they need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import pathlib
import types
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import datasets
from rum_jax.pipeline import builders, inputs
from rum_jax.pipeline.programs import Programs
from rum_jax.recipes import Recipe
from rum_jax.storage import artefacts, hosts
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import Images, Model


class Data(NamedTuple):
  """The examples of a run, and their source.

  Attributes:
    source: images and labels as they are trained on, in the memory of the host,
      with the names of the classes and the published row of each example.
    examples: the same images and labels, on the device.
    corrupted: positions of the training examples whose labels were made wrong.
    true_label: `[N]` labels before they were made wrong.
    hash: the hash of the training part, with its wrong labels.
    held_out_hash: the hash of the held-out part.
    folder: the folder that holds the data sets.
  """

  source: datasets.Source
  examples: Images
  corrupted: np.ndarray
  true_label: np.ndarray
  hash: str
  held_out_hash: str
  folder: str

  @property
  def num_train(self) -> int:
    """The number of training examples."""
    return self.source.num_train


class Runtime(NamedTuple):
  """The workdir, the programs and the network of a run.

  Attributes:
    workdir: the folder of artefacts and results.
    programs: the compiled programs.
    model: the network.
    others: folders of other runs, whose models are used again where they are
      the same.
    description: the description of the network, which is kept beside saved
      models.
  """

  workdir: pathlib.Path
  programs: Programs
  model: Model
  others: tuple[pathlib.Path, ...] = ()
  description: Mapping[str, Any] = types.MappingProxyType({})


def load(recipe: Recipe, folder: str, forgets: bool = True, rows: str = ''
         ) -> Data:
  """Loads the data of a recipe and puts them on the device.

  Args:
    recipe: names the data set, and the changes to it.
    folder: the folder that holds the data sets.
    forgets: whether the recipe's forget set is used; it is then checked.
    rows: what is to be forgotten, where it is not the recipe's forget set; it
      is left out of a validation part that the recipe gives no share of.

  Raises:
    OSError: if a file cannot be read.
    ValueError: if the data or the forget set are not valid.
  """
  clean = builders.load_source(recipe, folder, rows)
  source, corrupted = datasets.corrupted(clean, recipe.corrupt, seed=2)
  if forgets:
    inputs.check_forget_set(recipe, source)
  train = slice(0, source.num_train)
  return Data(
      source, jax.tree.map(jnp.asarray, source.dataset), corrupted,
      np.asarray(clean.dataset.label),
      artefacts.array_digest(*(x[train] for x in source.dataset)),
      artefacts.array_digest(*(x[source.test] for x in source.dataset)),
      folder)


def start(recipe: Recipe, data: Data, workdir: pathlib.Path,
          programs: Programs | None = None,
          others: tuple[pathlib.Path, ...] = ()) -> Runtime:
  """A runtime for the network of a recipe.

  Args:
    recipe: names the network.
    data: the data, which give the network its shapes and its normalisation.
    workdir: the folder of artefacts and results.
    programs: compiles and runs programs; `None` for a new one with one device a
      run.
    others: folders of other runs, whose models may be used again.
  """
  return Runtime(workdir, programs or Programs(),
                 builders.build_model(recipe, data.source), others,
                 builders.describe(recipe, data.source))


def stage(runtime: Runtime, folder: pathlib.Path, identity: dict[str, Any],
          compute: Callable[[], Artefact]) -> Artefact:
  """`artefacts.stage`, which first looks into the folders of other runs.

  An artefact of the same identity that is whole is put into this run's folder,
  too, and the other run's folder is named.
  """
  if runtime.others and hosts.first():
    inside = folder.relative_to(runtime.workdir)
    source = artefacts.adopt(
        folder, identity, [x / inside for x in runtime.others])
    if source:
      print(f'Found {inside.with_name(inside.name.rpartition("-")[0])} of the '
            f'same recipe and data in {source}.', flush=True)
  return artefacts.stage(folder, identity, compute)
