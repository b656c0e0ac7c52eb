"""The nouns of the library: plain containers of arrays and functions, no logic.

Letters for shapes, declared once and used in every docstring: **B** batch,
**C** channels, **D** features, **E** epochs, **F** forget, **G** groups,
**H W** image, **K** classes, **M** memorization models, **N** examples,
**R** retain, **S** seeds, **T** steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

Array = jax.Array
AnyArray = jax.Array | np.ndarray  # On a device or on the host.
Key = jax.Array
PyTree = Any
# A pytree whose leaves have a leading axis [N, ...]: all examples in their
# original order, never shuffled and never vmapped; or those of a batch.
Examples = Any
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
  """What a network returns for a batch.

  Attributes:
    prediction: what the task's loss takes; `[B, K]` logits of a classifier.
    features: `[B, D]` the embedding before the last layer; jit prunes it where
      nobody asks for it.
  """

  prediction: Any
  features: Array


class Task(NamedTuple):
  """What it means to know an example: three functions of a batch.

  All three map over further leading axes with `jax.vmap`.

  Attributes:
    loss: `(outputs, examples) -> [B]` nats, at least 0 and exact near 0; NaN
      where the outputs are not finite. Its exponential, `exp(−loss)`, is the
      confidence that memorization and membership attacks look at.
    score: `(outputs, examples) -> [B]` in `[0, 1]`; 1 where the example is
      known, such as a correct class or all tokens correct.
    divergence: `(student, teacher, temperature) -> [B]`, how far the outputs
      `student` are from the outputs `teacher`; at least 0, and no gradient
      reaches the teacher.
  """

  loss: Callable[[Outputs, Examples], Array]
  score: Callable[[Outputs, Examples], Array]
  divergence: Callable[[Outputs, Outputs, float], Array]


class Apply(Protocol):
  """`(variables, examples, *, train, key, mask) -> (Outputs, stats)`."""

  def __call__(
      self,
      variables: Variables,
      examples: Examples,
      *,
      train: bool,
      key: Key | None = None,
      mask: Array | None = None,
  ) -> tuple[Outputs, PyTree]:
    ...


class Model(NamedTuple):
  """A network as pure functions, and the task that it learns.

  Attributes:
    init: `key -> Variables`.
    apply: maps variables and a batch of examples `[B, ...]` to `Outputs` and
      the new stats. With `train=True` batch-norm uses the moments of those
      examples whose `mask` `[B]` is not 0, and `key` draws what is random in
      the network, such as dropout; otherwise batch-norm uses its running
      moments and nothing is random.
    task: loss, score and divergence of the outputs.
    init_from_data: `(variables, examples, rows [n]) -> variables`: replaces
      what is computed from the examples that the network is about to train on,
      such as a whitening of patches. Most networks have nothing of the kind.
  """

  init: Callable[[Key], Variables]
  apply: Apply
  task: Task
  init_from_data: Callable[[Variables, Examples, AnyArray], Variables] = (
      lambda variables, examples, rows: variables)


class Images(NamedTuple):
  """Labelled images: the `Examples` of a classifier.

  Attributes:
    image: `[N, H, W, C]` uint8.
    label: `[N]` int32 in `[0, K)`.
  """

  image: AnyArray
  label: AnyArray


class Split(NamedTuple):
  """Who is to be forgotten and who is to be kept, as rows of all examples.

  A row that is not there is an error. Where values are traced, whatever looks
  at such a row becomes NaN.

  Attributes:
    forget: `[F]` int32 indices; under seeds `[S, F]`.
    retain: `[R]` int32 indices; under seeds `[S, R]`.
  """

  forget: AnyArray
  retain: AnyArray


class Plan(NamedTuple):
  """One epoch: which examples, in which order.

  Attributes:
    index: `[T, B]` int32 rows of all examples.
    forget: `[T, B]` bool, true where the row comes from the forget set.
    weight: `[T, B]` float32, 0 where the row only pads the last batch.
  """

  index: Array
  forget: Array
  weight: Array


class Batch(NamedTuple):
  """What an objective sees.

  Attributes:
    examples: their rows, leaves `[B, ...]`.
    index: `[B]` int32 rows of all examples.
    forget: `[B]` bool.
    weight: `[B]` float32, 0 = padding.
    progress: `[]` float32 in `[0, 1)`, the share of the run that is done.
    epoch: `[]` int32.
  """

  examples: Examples
  index: Array
  forget: Array
  weight: Array
  progress: Array
  epoch: Array


class Info(NamedTuple):
  """What a run reports to people; no algorithm reads it.

  Attributes:
    loss: `[T]` objective of every step; NaN in a run that diverged.
    probes: pytree of what the probe returned after each epoch, `[E, ...]`, or
      whatever else a method has to report; an empty dict where nothing.
  """

  loss: Array
  probes: PyTree


class Signals(NamedTuple):
  """What judging needs of S models, in evaluation mode.

  Attributes:
    loss: `[S, N]` nats; `exp(−loss)` is the confidence. Not finite in a model
      that diverged.
    score: `[S, N]` in `[0, 1]`, 1 where the example is known.
    features: `[S, N, D]`, or `None` where nobody asked for them.
  """

  loss: AnyArray
  score: AnyArray
  features: AnyArray | None = None


Draw = Callable[[Key, Split], Plan]
Objective = Callable[[PyTree, PyTree, Batch, Key], tuple[Array, PyTree]]
Edit = Callable[[Key, Batch], Examples]  # Augmentation and relabelling.


class Unlearner(Protocol):
  """The paper's U: `(key, variables, examples, split) -> (variables, info)`."""

  def __call__(
      self, key: Key, variables: Variables, examples: Examples, split: Any
  ) -> tuple[Variables, Info]:
    ...


class Sequential(Protocol):
  """An unlearner of several splits, one after the other; an info for each."""

  def __call__(
      self, key: Key, variables: Variables, examples: Examples,
      split: Sequence[Split]
  ) -> tuple[Variables, tuple[Info, ...]]:
    ...
