"""Requests to unlearn rows of a person's own data in their own network."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import errno
import os
import pathlib
import shutil
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import _checks, datasets
from rum_jax.pipeline import builders, cards, given_networks, inputs, own_data
from rum_jax.recipes import AUGMENT, BATCH_NORM, Recipe, one_of, paper_settings
from rum_jax.search import automatic
from rum_jax.storage import artefacts
from rum_jax.types import Images, Split

METHOD = 'neggrad_plus'
AUTO = 'auto'  # A search chooses; see `choosing`.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
  """All values that determine the new weights.

  Attributes:
    weights: the path of the given weights.
    data: the name or path of a data set, as for `datasets.load`.
    rows: the rows to forget, as for `datasets.read_rows`.
    network: the network, as for `given_networks.network_of`.
    mean: the mean of every channel, in units of the full range; `None` for that
      of the weights or their card.
    std: the standard deviation of every channel; `None` as for `mean`.
    size: `(H, W)` to which the images of a folder are scaled.
    classes: the names of all classes in the order of the network's outputs;
      empty for the order of the data set.
    heads: the number of attention heads of a ViT.
    data_dir: the folder of data sets that are given by a name.
    test_share: the share of the images that is held out, for a folder of images
      without a test part. Give it only if the network was not trained on these
      images.
    cache: the folder in which decoded images are kept.
    with_copies: whether exact copies of the rows are also forgotten.
    method: the name of an algorithm, `package.module:factory`, or `auto` for
      a search.
    setting: hyper-parameters of the method; others are those of its paper.
    budget: the largest number of epochs for a copy; of a search, for all of
      it.
    ensemble: the folder of a memorization ensemble of the same data, by which
      the search judges; empty for none.
    seeds: the number of copies of the weights that unlearn, each with its own
      key. The first copy is written.
    first_seed: the number of the first key.
    batch_size: the number of examples in a step.
    momentum: the momentum of SGD.
    weight_decay: the weight decay of SGD.
    batch_norm: the mode of running moments: `update`, `freeze`, or
      `recalibrate`.
    checks: whether copies are also fine-tuned on what is retained, and
      batch-norm is checked, to see whether that brings the rows back.
    oracles: how many networks are retrained without the rows, to compare with.
    start: path of weights that retraining starts from; by default random ones.
    train_epochs: of retraining; by default by the rule of `own_data`.
    train_learning_rate: likewise.
    train_augment: how images are changed in retraining, as in a `Recipe`.
  """

  weights: str
  data: str
  rows: str
  network: str = ''
  mean: tuple[float, ...] | None = None
  std: tuple[float, ...] | None = None
  size: tuple[int, int] | None = None
  classes: tuple[str, ...] = ()
  heads: int | None = None
  data_dir: str = 'data'
  test_share: float | None = None
  cache: str | None = None
  with_copies: bool = False
  method: str = METHOD
  setting: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  budget: float | None = None
  ensemble: str = ''
  seeds: int = 3
  first_seed: int = 0
  batch_size: int = 64
  momentum: float = 0.9
  weight_decay: float = 5e-4
  batch_norm: str = 'update'
  checks: bool = True
  oracles: int = 0
  start: str = ''
  train_epochs: int | None = None
  train_learning_rate: float | None = None
  train_augment: str = 'none'

  def __post_init__(self) -> None:
    for name in ('weights', 'data', 'rows'):
      if not getattr(self, name):
        raise ValueError(f'Expected {name} to be given, found nothing.')
    _checks.check_count('seeds', self.seeds, 1)
    _checks.check_count('first_seed', self.first_seed)
    _checks.check_count('batch_size', self.batch_size, 1)
    _checks.check_range('momentum', self.momentum, 0, 1)
    _checks.check_range('weight_decay', self.weight_decay, 0)
    one_of('batch_norm', self.batch_norm, BATCH_NORM)
    one_of('train_augment', self.train_augment, AUGMENT)
    _checks.check_count('oracles', self.oracles)
    if self.ensemble and self.method != AUTO:
      raise ValueError(f'Expected method={self.method} to be {AUTO} with '
                       f'ensemble={self.ensemble}: the search alone uses it.')
    if self.setting and self.method == AUTO:
      raise ValueError(f'Expected no setting={dict(self.setting)} with method='
                       f'{AUTO}, which searches for one.')
    if self.start and not self.oracles:
      raise ValueError(f'Expected no start={self.start} without oracles: it is '
                       'where retraining starts.')
    if self.train_epochs is not None:
      _checks.check_count('train_epochs', self.train_epochs, 1)


class Prepared(NamedTuple):
  """A request whose files were read and whose values were checked.

  Attributes:
    request: the request, with values from the card.
    weights: the given weights.
    network: the network of the weights.
    card: the card of the weights, if they unlearned before.
    source: the data set, with the classes and channels of the network.
    examples: its images and labels, on the device.
    data_hash: SHA-256 of the training part, as it was read.
    rows: published rows to forget.
    split: positions to forget, and those to retain, without the rows of earlier
      requests.
    earlier: positions of the rows of earlier requests that are in the data.
    missing: the number of rows of earlier requests that are not in the data.
    setting: hyper-parameters of the method.
    notes: sentences on changes of the data and on copies.
    choice: what a search chose; `None` where there was none.
  """

  request: Request
  weights: given_networks.Weights
  network: given_networks.Network
  card: cards.Card | None
  source: datasets.Source
  examples: Images
  data_hash: str
  rows: np.ndarray
  split: Split
  earlier: np.ndarray
  missing: int
  setting: dict[str, Any]
  notes: tuple[str, ...]
  choice: automatic.Choice | None = None

  @property
  def test(self) -> np.ndarray:
    """Positions of the held-out examples."""
    return self.source.test


def prepare(request: Request) -> Prepared:
  """Reads all files that a request names, and checks its values.

  Raises:
    OSError: if a file cannot be read.
    TypeError: if a factory returns a value of a wrong type.
    ValueError: that names the value that does not fit.
  """
  setting_of(request)  # Refuses unknown methods before anything is read.
  weights = given_networks.read(request.weights)
  card = cards.read(weights.path, weights.digest)
  request = _as_before(request, card)
  if card is not None and weights.description is None:
    weights = weights._replace(description=card.network.get('description'))
  source = datasets.load(
      request.data, request.data_dir, size=request.size,
      test_share=request.test_share, cache=request.cache, needs_test=False)
  train = slice(0, source.num_train)
  data_hash = artefacts.array_digest(*(x[train] for x in source.dataset))
  if request.classes:
    source = datasets.with_classes(source, request.classes)
  channels = given_networks.channels_of(weights, request.network)
  if channels is not None:
    source = datasets.with_channels(source, channels)
    found = source.dataset.image.shape[-1]
    if found != channels:
      raise ValueError(
          f'Expected images of {channels} channels, as the network in '
          f'weights={weights.path} takes them, found {found} in '
          f'{source.name}.')
  network = given_networks.network_of(
      weights, request.network, source, mean=request.mean, std=request.std,
      heads=request.heads)
  _check_classes(source, network)
  rows = datasets.read_rows(request.rows, source)
  notes = [*source.notes, *_copies(rows, source, request.with_copies)]
  if request.with_copies:
    rows = datasets.with_copies(rows, source)
  forget = datasets.positions(rows, source)
  earlier, missing = cards.earlier_positions(card, source, data_hash)
  new = _new(request, source, forget, earlier)
  if not new.all():
    notes.append(f'{(~new).sum():,} of {len(rows):,} rows were forgotten '
                 'before and stay so.')
  rows, forget = rows[new], forget[new]
  split = _split(request, source, forget, earlier)
  setting = setting_of(request, source)
  if request.method != AUTO:
    builders.build(request, network.model, request.method, setting)
  return Prepared(
      request, weights, network, card, source,
      jax.tree.map(jnp.asarray, source.dataset), data_hash, rows, split,
      earlier, missing, setting, tuple(notes))


def setting_of(request: Request, source: datasets.Source | None = None
               ) -> dict[str, Any]:
  """The hyper-parameters of a request's method.

  Args:
    request: names the method, and gives some of them.
    source: the data, whose size decides about epochs; `None` for those of the
      paper.

  Raises:
    ValueError: if there is no such method, or if the budget allows no epoch.
  """
  if request.method == AUTO:
    return {}
  builders.factory(request.method)  # Refuses unknown methods.
  if ':' in request.method:
    return dict(request.setting)
  epochs = paper_settings.TRAINING
  if source is not None:
    suited = own_data.suited(
        Recipe(dataset='data', batch_size=request.batch_size, corrupt=0.0), (),
        source.dataset.image.shape[1:], source.num_train, forgets=False)
    epochs = request.train_epochs or suited.recipe.epochs
  own = paper_settings.setting_of(request.method, request.budget, epochs)
  return {**own, **request.setting}


def with_method(prepared: Prepared, request: Request) -> Prepared:
  """The same prepared request with another method and setting.

  Raises:
    ValueError: if the method refuses its setting.
  """
  setting = setting_of(request, prepared.source)
  builders.build(request, prepared.network.model, request.method, setting)
  said = prepared.request  # Completed by the card of the weights.
  return prepared._replace(setting=setting, request=dataclasses.replace(
      said, method=request.method, setting=request.setting))


class Taken(ValueError):
  """A place for new weights where a file lies already."""


def setting_text(prepared: Prepared) -> str:
  """The values of the method, in words."""
  if prepared.choice is not None:
    return automatic.described(prepared.choice.stages)
  request = prepared.request
  values = paper_settings.spelled_out(request.method, prepared.setting)
  said = {k: f'{k}={v}' for k, v in values.items()}
  if 'epochs' in values and ':' not in request.method and (
      'epochs' not in request.setting):
    whole = setting_of(dataclasses.replace(request, budget=None),
                       prepared.source)['epochs']
    said['epochs'] += (
        f' (cut from {whole} by the budget)' if whole > values['epochs'] else
        ' (as large a share of training as in the paper)')
  return ', '.join(said.values()) or 'no settings'


def setting_origin(prepared: Prepared) -> str:
  """A sentence on where the values of the method come from; or nothing."""
  request = prepared.request
  if prepared.choice is not None:
    return 'Method and values are as the search chose.'
  values = paper_settings.spelled_out(request.method, prepared.setting)
  given = [x for x in values if x in request.setting]
  if not values:
    return ''
  if len(given) == len(values):
    return 'These values were given.'
  if not given:
    return ('These values follow the papers, and none was tuned on these '
            'data.')
  return (f'Given: {", ".join(given)}. The other values follow the papers, and '
          'none was tuned on these data.')


def check_place(out: pathlib.Path, overwrite: bool, size: int = 0) -> None:
  """Refuses a path that cannot be written to, before anything is computed.

  Args:
    out: the path of the new weights.
    overwrite: whether an old file may be replaced.
    size: the number of bytes that are needed.

  Raises:
    OSError: if it cannot be written to, or if there is no space.
    Taken: if it exists already.
    ValueError: if it does not end in `.safetensors`.
  """
  if out.suffix != '.safetensors':
    raise ValueError(f'Expected out={out} to end in .safetensors.')
  if out.is_dir():
    raise ValueError(f'Expected out={out} to be a file, found a folder.')
  found = [x for x in (out, cards.path_of(out)) if x.exists()]
  if found and not overwrite:
    raise Taken(f'Expected out={out} to be new, found {found[0]}: give '
                'another place, or overwrite.')
  folder = out.absolute().parent
  if not folder.is_dir():
    raise OSError(f'Cannot write out={out}: there is no folder {folder}.')
  if not os.access(folder, os.W_OK):
    raise OSError(f'Cannot write out={out}: permission denied in {folder}.')
  if shutil.disk_usage(folder).free < size:
    raise OSError(errno.ENOSPC, f'Cannot write out={out}: no space is left on '
                  f'the device, {size:,} bytes are needed.')


def _as_before(request: Request, card: cards.Card | None) -> Request:
  """The request, with missing values of the network from the card.

  Raises:
    ValueError: if only the card names the code that makes the network. A card
      may come from anybody, so code that it names is never run.
  """
  if card is None:
    return request
  said = dict(card.network)
  if not request.network and ':' in str(said.get('network')):
    raise ValueError(
        f'Expected network to be given for weights={request.weights}, found '
        f'nothing. Their card names network={said["network"]}, but code that a '
        'file names is not run: give it if you trust it.')
  new: dict[str, Any] = {
      name: tuple(said[name]) for name in (
          'mean', 'std', 'size', 'classes')
      if said.get(name) and not getattr(request, name)}
  new |= {name: said[name] for name in ('network', 'heads')
          if said.get(name) and not getattr(request, name)}
  return dataclasses.replace(request, **new)


def _check_classes(source: datasets.Source, network: given_networks.Network
                   ) -> None:
  """Refuses classes that do not match the outputs of the network."""
  count, outputs = len(source.classes), network.classes
  if count > outputs:
    raise ValueError(
        f'Expected at most the {outputs} classes that the network tells apart, '
        f'found {count} in {source.name}.')
  if count < outputs and not all(x.isdecimal() for x in source.classes):
    raise ValueError(
        f'Expected classes to name all {outputs} outputs of the network in '
        f'their order, as {source.name} has {count} classes only: '
        f'{", ".join(source.classes)}.')


def _copies(rows: np.ndarray, source: datasets.Source, forgotten: bool
            ) -> list[str]:
  """Sentences about exact copies: of the rows, and between the parts."""
  found = [datasets.describe_copies(x)
           for x in datasets.exact_copies(rows, source)
           if x.part != 'retain' or not forgotten]
  found.append(datasets.describe_copies(
      datasets.part_copies(source), 'training examples'))
  return [x for x in found if x]


def _new(request: Request, source: datasets.Source, forget: np.ndarray,
         earlier: np.ndarray) -> np.ndarray:
  """`[F]` whether a position was not forgotten before.

  Raises:
    ValueError: if all were.
  """
  new = ~np.isin(forget, earlier)
  if not new.any():
    rest = f' and {len(new) - 1:,} more' if len(new) > 1 else ''
    raise ValueError(
        f'Expected rows={request.rows} to name a new row, found row '
        f'{source.row[forget[0]]}{rest}, which the card of '
        f'weights={request.weights} says was forgotten before.')
  return new


def _split(request: Request, source: datasets.Source, forget: np.ndarray,
           earlier: np.ndarray) -> Split:
  gone = np.concatenate([forget, earlier])
  retain = np.setdiff1d(source.train, gone).astype(np.int32)
  if len(retain) < request.batch_size:
    inputs.check_retain(source.num_train, request.batch_size, len(gone),
                        f'{len(gone)} rows to forget')
  return Split(forget, retain)
