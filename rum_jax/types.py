"""The types of the library: plain containers of arrays and functions, no logic.

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
# A pytree whose leaves have a leading axis [N, ...]. It holds all examples in
# their original order, never shuffled and never vmapped, or those of a batch.
Examples = Any
GROUPS = ('low', 'medium', 'high')


class Variables(NamedTuple):
  """The parameters of a network (the paper's theta) and its state.

  Attributes:
    params: pytree of float arrays that the optimiser changes.
    stats: pytree of float arrays that have no gradient, or an empty dict. These
      are the running mean and variance of batch-norm, which a forward pass in
      training mode updates, and values that are computed once from the training
      examples, such as a whitening.

  >>> import jax.numpy as jnp
  >>> variables = Variables(params={'w': jnp.ones((4, 2))}, stats={})
  >>> jax.tree.map(jnp.shape, variables)
  Variables(params={'w': (4, 2)}, stats={})
  """

  params: PyTree
  stats: PyTree


class Outputs(NamedTuple):
  """What a network returns for a batch.

  Attributes:
    prediction: the input of the task's loss; `[B, K]` logits of a classifier.
    features: `[B, D]`, the embedding before the last layer. Under `jax.jit` it
      costs nothing where it is not used.

  >>> import jax.numpy as jnp
  >>> outputs = Outputs(prediction=jnp.array([[2.0, 0.0]]), features=None)
  >>> outputs.prediction.argmax(axis=-1).tolist()
  [0]
  """

  prediction: Any
  features: Array


class Task(NamedTuple):
  """The loss, score and divergence that a model is trained and judged by.

  Each is a function of a batch. `jax.vmap` maps it over further leading axes.

  Attributes:
    loss: `(outputs, examples) -> [B]` nats, at least 0 and exact near 0; NaN
      where the outputs are not finite. Memorization and membership attacks use
      the confidence `exp(−loss)`.
    score: `(outputs, examples) -> [B]` in `[0, 1]`; 1 where the example is
      known: the class is correct, or all tokens are.
    divergence: `(student, teacher, temperature) -> [B]`, the distance of the
      outputs `student` from the outputs `teacher`; at least 0. No gradient
      flows to the teacher.

  A task for models that predict the average brightness of an image:

  >>> import jax.numpy as jnp
  >>> gap = lambda outputs, examples: jnp.abs(
  ...     outputs.prediction - examples.image.mean(axis=(1, 2, 3)))
  >>> task = Task(loss=gap, score=lambda *both: jnp.exp(-gap(*both)),
  ...             divergence=lambda student, teacher, temperature: jnp.abs(
  ...                 student.prediction - teacher.prediction))
  >>> images = Images(jnp.full((1, 2, 2, 1), 3.0), label=None)
  >>> task.loss(Outputs(jnp.array([5.0]), features=None), images).tolist()
  [2.0]
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
    init_from_data: `(variables, examples, rows [n]) -> variables`: computes
      those variables that depend on the training examples, such as a whitening
      of patches. By default it returns the variables as they are.

  >>> from rum_jax import models
  >>> model = models.from_linen(
  ...     models.MLP(3, (4,)), (2, 2, 1), mean=(0.5,), std=(0.3,))
  >>> images = Images(jax.numpy.zeros((5, 2, 2, 1)), jax.numpy.zeros(5, int))
  >>> outputs, stats = model.apply(
  ...     model.init(jax.random.key(0)), images, train=False)
  >>> outputs.prediction.shape, outputs.features.shape, stats
  ((5, 3), (5, 4), {})
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

  >>> import numpy as np
  >>> images = Images(np.zeros((10, 2, 2, 1), np.uint8), np.arange(10) % 3)
  >>> jax.tree.map(lambda leaf: leaf[:4], images).label
  array([0, 1, 2, 0])
  """

  image: AnyArray
  label: AnyArray


class Split(NamedTuple):
  """The examples to forget and the examples to retain, as rows of all examples.

  A row outside `[0, N)` raises an error. Under `jax.jit` the values of the rows
  are not known; there, every result that depends on such a row is NaN.

  Attributes:
    forget: `[F]` int32 indices; under seeds `[S, F]`.
    retain: `[R]` int32 indices; under seeds `[S, R]`.

  >>> import numpy as np
  >>> forget = np.array([1, 4])
  >>> Split(forget, np.setdiff1d(np.arange(6), forget)).retain
  array([0, 2, 3, 5])
  """

  forget: AnyArray
  retain: AnyArray


class Plan(NamedTuple):
  """The order in which one epoch visits the examples.

  Attributes:
    index: `[T, B]` int32 rows of all examples.
    forget: `[T, B]` bool, true where the row comes from the forget set.
    weight: `[T, B]` float32, 0 where the row only pads the last batch.
  """

  index: Array
  forget: Array
  weight: Array


class Batch(NamedTuple):
  """The examples of one step, as an objective receives them.

  Attributes:
    examples: the examples of the rows `index`, leaves `[B, ...]`.
    index: `[B]` int32 rows of all examples.
    forget: `[B]` bool.
    weight: `[B]` float32, 0 = padding.
    progress: `[]` float32 in `[0, 1)`, the share of the run that is done.
    epoch: `[]` int32, from 0.
  """

  examples: Examples
  index: Array
  forget: Array
  weight: Array
  progress: Array
  epoch: Array


class Info(NamedTuple):
  """A report on a run for the user; no algorithm reads it.

  Attributes:
    loss: `[T]` objective of every step; NaN in a run that diverged.
    probes: pytree of the values that the probe returned after each epoch,
      `[E, ...]`, or of other values that a method reports; an empty dict where
      there are none.

  >>> from rum_jax import identity
  >>> _, info = identity()(None, Variables({}, {}), None, None)
  >>> info.loss.shape, info.probes  # No step was taken.
  ((0,), {})
  """

  loss: Array
  probes: PyTree


class Signals(NamedTuple):
  """The loss and the score of all examples under S models, in evaluation mode.

  Attributes:
    loss: `[S, N]` nats; `exp(−loss)` is the confidence. Not finite in a model
      that diverged.
    score: `[S, N]` in `[0, 1]`, 1 where the example is known.
    features: `[S, N, D]`, or `None` where they were not requested.
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


class FromScratch(Unlearner, Protocol):
  """An unlearner that does not look at the variables, which may be `None`."""

  def __call__(
      self, key: Key, variables: Variables | None, examples: Examples,
      split: Any
  ) -> tuple[Variables, Info]:
    ...


class Sequential(Protocol):
  """An unlearner of several splits, one after the other; an info for each."""

  def __call__(
      self, key: Key, variables: Variables, examples: Examples,
      split: Sequence[Split]
  ) -> tuple[Variables, tuple[Info, ...]]:
    ...
