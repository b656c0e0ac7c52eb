"""Builds data, network, training and unlearners from the names in a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import hashlib
import importlib
import inspect
import pathlib
import sys
from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
import numpy as np
import optax

import rum_jax
from rum_jax import algorithms, batch_norm, datasets, edits, entanglement
from rum_jax import models, objectives, optimizers, plans, resumable, trees
from rum_jax.entanglement import partitions
from rum_jax.memorization import shards
from rum_jax.recipes import FACTORIES, NETWORKS, one_of, Recipe, SPACES
from rum_jax.search import automatic
from rum_jax.types import AnyArray, Array, Images, Model, Unlearner, Variables

# The first share of the learning rate, the time of its peak, the last share.
_TRIANGLE = 0.2, 0.23, 0.07
PARTITIONS = ('distance', 'class', 'neighbours', 'random')
_EDITS = {'none': None, 'crop_and_flip': edits.crop_and_flip(),
          'flip_and_translate': edits.alternating_flip_and_translate()}
PLAN = 'plan'  # Several methods, each for a group of the forget set.
_FROM_SCRATCH = ('retrain', 'eu_k')  # Fresh layers have no moments to freeze.


class Loop(NamedTuple):
  """The hyper-parameters of the training loop, which all algorithms share."""

  batch_size: int
  momentum: float
  weight_decay: float
  batch_norm: str


class HasLoop(Protocol):
  """A value that has the fields of a `Loop`: a `Recipe`, or a `Request`."""

  @property
  def batch_size(self) -> int: ...

  @property
  def momentum(self) -> float: ...

  @property
  def weight_decay(self) -> float: ...

  @property
  def batch_norm(self) -> str: ...


def loop_of(recipe: HasLoop) -> Loop:
  """The loop of a recipe or of a request."""
  return Loop(*(getattr(recipe, name) for name in Loop._fields))


def load_source(recipe: Recipe, data_dir: str, rows: str = ''
                ) -> datasets.Source:
  """The data of a recipe, with their true labels.

  `validation` is the share of each class's training examples that is set apart,
  whether or not the models are judged on them. If it is 0 and the models are
  judged on validation examples, a fifth is set apart, without the examples that
  are to be forgotten.

  Args:
    recipe: names the data set, and what is done to it.
    data_dir: the folder of the data sets.
    rows: what is to be forgotten, as `datasets.read_rows` takes it; by default
      the groups of the recipe.
  """
  source = whole(recipe, data_dir)
  if recipe.held_out == 'validation':
    source = _validating(recipe, source, rows)
  elif recipe.validation:
    source = datasets.leave_out(source, recipe.validation, seed=1)
  if not recipe.examples:
    return source
  if recipe.examples >= source.num_train:
    raise ValueError(f'Expected examples={recipe.examples} to be fewer than '
                     f'the {source.num_train} training examples.')
  return datasets.sampled(source, recipe.examples, seed=5)


def load_validation(recipe: Recipe, data_dir: str) -> Images:
  """The examples that `load_source` sets apart for validation.

  Raises:
    ValueError: if the recipe sets no examples apart.
  """
  share = recipe.validation or 0.2 * (recipe.held_out == 'validation')
  if not share:
    raise ValueError(
        f'Expected validation={recipe.validation} to be above 0: some examples '
        'must be set apart, for the test set is not to be trained on.')
  source = whole(recipe, data_dir)
  apart = (datasets.hold_out(source, share, seed=1) if recipe.validation else
           _validating(recipe, source))
  return trees.take(apart.dataset, apart.test)


def _validating(recipe: Recipe, source: datasets.Source, rows: str = ''
                ) -> datasets.Source:
  """A data set whose validation part judges."""
  if recipe.validation:  # The training part that it gives whoever judges.
    return datasets.hold_out(source, recipe.validation, seed=1)
  keep = np.zeros(0, int)
  if rows:
    keep = datasets.read_rows(rows, source)
  elif recipe.groups:
    keep = np.concatenate(datasets.read_groups(recipe.groups, source))
  return datasets.hold_out(source, 0.2, seed=1, keep=keep)


def published_hash(recipe: Recipe, data_dir: str) -> str:
  """The hash of all published training examples, whatever is set apart."""
  source = whole(recipe, data_dir)
  return shards.published_hash(trees.take(source.dataset, source.train))


def whole(recipe: Recipe, data_dir: str) -> datasets.Source:
  """All of the data set of a recipe: bundled, prepared, or somebody's own."""
  return datasets.load(recipe.dataset, data_dir)


def build_model(recipe: Recipe, source: datasets.Source) -> Model:
  """The network of a recipe, normalised by the moments of its data set."""
  mean, std = _normal(source)
  return rum_jax.data_parallel(models.from_linen(
      *_network(recipe, source), mean=mean, std=std,
      precision=None if recipe.precision == 'float32' else jnp.bfloat16))


def describe(recipe: Recipe, source: datasets.Source) -> dict[str, Any]:
  """The description from which `models.build` makes the network again."""
  mean, std = _normal(source)
  return models.describe(
      *_network(recipe, source), mean=mean, std=std, classes=source.classes,
      precision=None if recipe.precision == 'float32' else recipe.precision)


def hidden_layers(recipe: Recipe, source: datasets.Source
                  ) -> Callable[[Variables, Array], list[Array]]:
  """The function that returns the outputs of the network's layers."""
  mean, std = _normal(source)
  return models.hidden_layers(*_network(recipe, source), mean=mean, std=std)


def _network(recipe: Recipe, source: datasets.Source) -> tuple[Any, ...]:
  shape = source.dataset.image.shape[1:]
  arguments: dict[str, Any] = dict(recipe.channels)
  if recipe.network in ('vit_small', 'vit_base'):
    arguments['patch'] = min(16, max(1, min(shape[:2]) // 8))
  return NETWORKS[recipe.network](len(source.classes), **arguments), shape


def _normal(source: datasets.Source) -> tuple[np.ndarray, np.ndarray]:
  """Mean and standard deviation of each channel of the training images."""
  image, level = source.dataset.image[source.train], np.arange(256)
  # Counts of each level are used, because float64 copies of large data sets
  # would fill the memory.
  counts = np.stack([np.bincount(image[..., c].ravel(), minlength=256)
                     for c in range(image.shape[-1])]) / image[..., 0].size
  mean = counts @ level
  spread = np.sqrt(np.maximum(counts @ level**2 - mean**2, 0)) / 255
  return mean / 255, spread + (spread == 0)


def partition(kind: str, count: int, features: Array, labels: AnyArray,
              seed: int) -> np.ndarray:
  """`[G, n]` rows of one of the `PARTITIONS`, from one model's features."""
  if kind == 'random':
    return partitions.at_random(len(features), count, seed=seed)
  if kind == 'neighbours':
    score = partitions.neighbour_margin(features, labels)
    return partitions.cut(score, count, seed=seed)
  score = entanglement.centroid_distance(features)
  if kind == 'class':
    return partitions.cut_by_class(score, labels, count, seed=seed)
  return partitions.cut(score, count, seed=seed)


def fit_of(recipe: Recipe, model: Model, num_examples: int) -> resumable.Fit:
  """Training from scratch on `num_examples` examples, as a recipe says."""
  length = plans.num_steps(num_examples, recipe.batch_size)
  tx = rum_jax.sgd(schedule(recipe, length), momentum=recipe.momentum,
                   weight_decay=recipe.weight_decay, nesterov=recipe.nesterov)
  if recipe.bias_rate != 1:
    tx = optax.chain(optimizers.scale_norm_biases(recipe.bias_rate), tx)
  objective = objectives.supervised(model, _EDITS[recipe.augment])
  return resumable.Fit(objective, tx,
                       plans.over_retain(recipe.batch_size), recipe.epochs,
                       recipe.epochs * length, num_examples)


def schedule(recipe: Recipe, length: int) -> optax.Schedule:
  """The learning rate of every step; an epoch has `length` steps."""
  if recipe.schedule == 'triangle':
    total = recipe.epochs * length
    start, peak, end = _TRIANGLE
    return optax.piecewise_interpolate_schedule(
        'linear', start * recipe.learning_rate,
        {max(1, int(peak * total)): 1 / start, total: end})
  if not recipe.milestones:
    return optax.cosine_decay_schedule(
        recipe.learning_rate, recipe.epochs * length)
  drops = {int(epoch) * length: 0.2 for epoch in recipe.milestones.split(',')}
  return optax.piecewise_constant_schedule(recipe.learning_rate, drops)


def factory(method: str) -> Callable[..., Unlearner]:
  """The factory of a method, by its name or as `package.module:factory`."""
  if method in algorithms.__all__:
    return getattr(algorithms, method)
  if ':' not in method:
    one_of('method', method, (*FACTORIES, 'or package.module:factory'))
  module, name = method.split(':', 1)
  try:
    found = getattr(importlib.import_module(module), name)
  except (ImportError, AttributeError, ValueError) as error:
    raise ValueError(f'Cannot import method={method}: {error}.') from error
  if not callable(found):
    raise ValueError(f'Expected method={method} to be callable, found '
                     f'{found!r}.')
  return found


def source_hash(method: str) -> str:
  """SHA-256 of the modules that a method imports from its own package.

  It is empty for the methods of this library.
  """
  if ':' not in method:
    return ''
  factory(method)  # Imports it.
  root, sha = method.split(':')[0].split('.')[0], hashlib.sha256()
  for name, module in sorted(sys.modules.items()):
    if name.split('.')[0] == root and getattr(module, '__file__', None):
      sha.update(name.encode() + pathlib.Path(module.__file__).read_bytes())
  return sha.hexdigest()


def searched(method: str) -> frozenset[str]:
  """The hyper-parameters that a program may take as arguments."""
  return frozenset(SPACES[method][1] if method in SPACES else ())


def takes(method: str, parameter: str) -> bool:
  """Whether the factory of a method has this parameter."""
  return parameter in inspect.signature(factory(method)).parameters


def build(recipe: HasLoop, model: Model, method: str,
          setting: Mapping[str, Any], steps: int | None = None) -> Unlearner:
  """An unlearner from the name of a method and its hyper-parameters.

  Args:
    recipe: gives batch size, momentum, weight decay and the mode of batch-norm.
    model: the network.
    method: a name, or `package.module:factory`; or `plan`, whose setting has
      `stages`, pairs of a method and its setting, as for
      `automatic.unlearner_of`.
    setting: `learning_rate`, and keyword arguments of the factory.
    steps: if given, the length of the run in steps.

  Raises:
    ValueError: if the factory does not take a hyper-parameter, or refuses its
      value.
  """
  if method == PLAN:
    return automatic.unlearner_of(
        lambda name, values: build(recipe, model, name, values),
        [automatic.Stage(name, dict(values))
         for name, values in setting['stages']])
  values = {k: v for k, v in setting.items() if k != 'learning_rate'}
  for name in setting:
    wanted = 'tx' if name == 'learning_rate' else name
    if name in ('model', 'tx') or not takes(method, wanted):
      known = [{'tx': 'learning_rate'}.get(x, x) for x in
               inspect.signature(factory(method)).parameters if x != 'model']
      raise ValueError(f'method={method} has no hyper-parameter {name}: it has '
                       f'{", ".join(known)}.')
  if method == 'identity':
    return rum_jax.identity()
  offered: dict[str, Any] = {'batch_size': recipe.batch_size}
  if takes(method, 'tx'):
    offered['tx'] = rum_jax.sgd(
        setting.get('learning_rate', 0.01), momentum=recipe.momentum,
        weight_decay=recipe.weight_decay)
  if steps is not None:
    offered['steps'] = steps
  frozen = recipe.batch_norm == 'freeze' and method not in _FROM_SCRATCH
  offered = {k: v for k, v in offered.items() if takes(method, k)}
  unlearner = factory(method)(
      batch_norm.frozen(model) if frozen else model, **{**offered, **values})
  if recipe.batch_norm == 'recalibrate':
    return batch_norm.recalibrated(unlearner, model, recipe.batch_size)
  return unlearner


@dataclasses.dataclass(frozen=True)
class Build:
  """The function `(method, setting) -> unlearner` of a search.

  Two equal ones make equal programs.

  Attributes:
    loop: batch size, momentum, weight decay and the mode of batch-norm.
    model: the network.
  """

  loop: Loop
  model: Model

  def __call__(self, method: str, setting: Mapping[str, Any]) -> Unlearner:
    return build(self.loop, self.model, method, setting)
