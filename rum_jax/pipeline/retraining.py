"""Networks of the given kind that never saw the rows: the oracles of a request.

They are trained as the request says; what it does not say follows the rule of
`own_data`. Where the given network was fine-tuned from other weights, training
starts from those.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax.pipeline import fitting, given_networks, own_data
from rum_jax.pipeline.programs import Programs
from rum_jax.pipeline.requests import Prepared
from rum_jax.recipes import Recipe
from rum_jax.storage import artefacts
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import Key, Model, Split, Variables

_FIELDS = ('epochs', 'batch_size', 'augment', 'learning_rate', 'schedule',
           'momentum', 'nesterov', 'bias_rate', 'weight_decay', 'milestones')


def recipe_of(prepared: Prepared) -> own_data.Suited:
  """How the network is trained from the beginning, and why so."""
  request = prepared.request
  # Of a factory, only the name of the function: a package may be called so.
  name = prepared.network.name.rpartition(':')[2].lower()
  kind = 'vit_small' if 'vit' in name else 'mlp' if 'mlp' in name else 'cnn'
  given: dict[str, Any] = {
      'epochs': request.train_epochs,
      'learning_rate': request.train_learning_rate}
  given = {k: v for k, v in given.items() if v is not None}
  recipe = Recipe(
      dataset=prepared.source.name or 'data', network=kind, corrupt=0.0,
      batch_size=request.batch_size, augment=request.train_augment,
      momentum=request.momentum, weight_decay=request.weight_decay, **given)
  if recipe.dataset == 'digits':  # The rule is for all other data.
    recipe = dataclasses.replace(recipe, dataset='data')
  return own_data.suited(recipe, given.keys(), prepared.network.image_shape,
                         prepared.source.num_train, forgets=False)


class Start(NamedTuple):
  """Weights that training starts from.

  Attributes:
    digest: SHA-256 of their file.
    init: `key -> variables`, those of the file; what the file does not fit,
      such as a head of other classes, is drawn anew.
    fresh: names of the arrays that are drawn anew.
  """

  digest: str
  init: Callable[[Key], Variables]
  fresh: tuple[str, ...]


def start_of(prepared: Prepared) -> Start | None:
  """The weights that the request names as the start of training.

  Raises:
    OSError: if they cannot be read.
    ValueError: if they are those of another network.
  """
  if not prepared.request.start:
    return None
  weights = given_networks.read(prepared.request.start, 'start')
  network = prepared.network
  given = network.named(network.variables)
  fresh = tuple(name for name, x in given.items()
                if name not in weights.state
                or weights.state[name].shape != x.shape)
  if 2 * len(fresh) > len(given):
    raise ValueError(
        f'Expected start={weights.path} to be weights of the same network, '
        f'found that {len(fresh)} of {len(given)} tensors are missing or of '
        f'another shape, such as {fresh[0]}.')
  state = {name: np.full_like(x, np.nan) if name in fresh else
           np.asarray(weights.state[name]).astype(x.dtype)
           for name, x in given.items()}
  found = network.read(state)

  def init(key: Key) -> Variables:
    return jax.tree.map(
        lambda old, new: jnp.where(jnp.isnan(old).all(), new, old),
        found, network.model.init(key))

  return Start(weights.digest, init, fresh)


def retrained(prepared: Prepared, workdir: pathlib.Path, programs: Programs
              ) -> Artefact | None:
  """The oracles, trained or read from the workdir; `None` if none are wanted.

  Returns:
    `tree`: variables `[S, ...]`; `notes`: the seconds.
  """
  request = prepared.request
  if not request.oracles:
    return None
  recipe, start = recipe_of(prepared).recipe, start_of(prepared)
  retain = jnp.asarray(prepared.split.retain)
  identity = {
      'data': prepared.data_hash, 'rows': artefacts.array_digest(retain),
      'network': prepared.network.name, 'size': prepared.network.size,
      'feeding': prepared.network.feeding, 'source': prepared.network.source,
      'start': start and start.digest, 'oracles': request.oracles,
      **recipe.part(*_FIELDS)}
  folder = artefacts.path_of(workdir, 'oracles', identity)
  model: Model = prepared.network.model
  if start is not None:
    model = model._replace(init=start.init)

  def compute() -> Artefact:
    keys = jax.vmap(lambda s: jax.random.fold_in(jax.random.key(s), 0x0AC1E))(
        jnp.arange(request.oracles))
    split = Split(jnp.zeros(0, jnp.int32), retain)
    rows = prepared.test if len(prepared.test) else prepared.split.retain
    watch = fitting.watcher(
        model, prepared.examples, np.asarray(rows),
        'held-out' if len(prepared.test) else 'training')
    run, notes = fitting.train(
        'retraining', folder, identity,
        fitting.Course(recipe, model, len(retain)), programs, keys,
        prepared.examples, split, watch)
    return Artefact(
        {'training_loss': np.asarray(run.loss)},
        jax.tree.map(np.asarray, run.state.variables._asdict()), notes)

  artefact = artefacts.stage(folder, identity, compute)
  fitting.forget_states(folder)
  return artefact
