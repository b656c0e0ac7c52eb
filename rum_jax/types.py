"""The nouns of the library: plain containers of arrays and functions, no logic.

Letters for shapes, declared once and used in every docstring: **B** batch,
**C** channels, **D** features, **E** epochs, **F** forget, **G** groups,
**H W** image, **K** classes, **M** memorization models, **N** examples,
**R** retain, **S** seeds, **T** steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax

Array = jax.Array
Key = jax.Array
PyTree = Any
GROUPS = ('low', 'medium', 'high')


class Variables(NamedTuple):
  """All that a network carries: the paper's theta and batch-norm's state.

  Attributes:
    params: pytree of float arrays that an optimiser changes.
    stats: pytree of float arrays that no gradient changes: batch-norm's running
      mean and variance, which a forward pass moves, and what the training
      images decide; an empty dict where the network has none.
  """

  params: PyTree
  stats: PyTree


class Outputs(NamedTuple):
  """What a network says of a batch.

  Attributes:
    logits: `[B, K]` unnormalised log-probabilities.
    features: `[B, D]` the embedding before the last layer; jit prunes it where
      nobody asks for it.
  """

  logits: Array
  features: Array


class Apply(Protocol):
  """`(variables, images, *, train, mask=None) -> (Outputs, stats)`."""

  def __call__(
      self,
      variables: Variables,
      images: Array,
      *,
      train: bool,
      mask: Array | None = None,
  ) -> tuple[Outputs, PyTree]:
    ...


class Model(NamedTuple):
  """A network as two pure functions.

  Attributes:
    init: `key -> Variables`.
    apply: maps variables and images `[B, H, W, C]` (uint8) to `Outputs` and
      the new stats. With `train=True` batch-norm uses the moments of those
      examples whose `mask` `[B]` is not 0; otherwise its running moments.
    init_from_data: `(variables, dataset, rows [n]) -> variables`: replaces what
      the images decide that the network is about to train on, such as a
      whitening of patches. Most networks have nothing of the kind.
  """

  init: Callable[[Key], Variables]
  apply: Apply
  init_from_data: Callable[[Variables, Dataset, Array], Variables] = (
      lambda variables, dataset, rows: variables)


class Dataset(NamedTuple):
  """Labelled images in their original order; never shuffled, never vmapped.

  Attributes:
    image: `[N, H, W, C]` uint8.
    label: `[N]` int32 in `[0, K)`.
  """

  image: Array
  label: Array


class Split(NamedTuple):
  """Who is to be forgotten and who is to be kept, as rows of a `Dataset`.

  A row that the dataset does not have is an error or, where values are traced,
  makes whatever looks at it NaN.

  Attributes:
    forget: `[F]` int32 indices; under seeds `[S, F]`.
    retain: `[R]` int32 indices; under seeds `[S, R]`.
  """

  forget: Array
  retain: Array


class Plan(NamedTuple):
  """One epoch: which examples, in which order.

  Attributes:
    index: `[T, B]` int32 rows of the dataset.
    forget: `[T, B]` bool, true where the row comes from the forget set.
    weight: `[T, B]` float32, 0 where the row only pads the last batch.
  """

  index: Array
  forget: Array
  weight: Array


class Batch(NamedTuple):
  """What an objective sees.

  Attributes:
    image: `[B, H, W, C]` uint8.
    label: `[B]` int32.
    index: `[B]` int32 rows of the dataset.
    forget: `[B]` bool.
    weight: `[B]` float32, 0 = padding.
    progress: `[]` float32 in `[0, 1)`, the share of the run that is done.
    epoch: `[]` int32.
  """

  image: Array
  label: Array
  index: Array
  forget: Array
  weight: Array
  progress: Array
  epoch: Array


class Info(NamedTuple):
  """What people read of a run; no algorithm reads it.

  Attributes:
    loss: `[T]` objective of every step; NaN in a run that diverged.
    probes: pytree of what the probe returned after each epoch, `[E, ...]`, or
      whatever else a method has to report; an empty dict where nothing.
  """

  loss: Array
  probes: PyTree


Draw = Callable[[Key, Split], Plan]
Objective = Callable[[PyTree, PyTree, Batch, Key], tuple[Array, PyTree]]
Augment = Callable[[Key, Array], Array]


class Unlearner(Protocol):
  """The paper's U: `(key, variables, dataset, split) -> (variables, info)`."""

  def __call__(
      self, key: Key, variables: Variables, dataset: Dataset, split: Any
  ) -> tuple[Variables, Info]:
    ...
