"""Recipes: all values that determine a result, and no others.

A `Recipe` gives the data, the network, the training and the forget set. Its
defaults are those of `python -m experiments.rum`. The hyper-parameters of the
algorithms are in `rum_jax/recipes/<dataset>_<network>.json`, or in the file
that `settings` names. `experiments/tune.py` writes such files, together with
the command that was used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
import dataclasses
import pathlib
import shlex
from typing import Any
import warnings

import rum_jax
from rum_jax import _checks, algorithms, models
from rum_jax.memorization import learning_events
from rum_jax.recipes.settings import read_settings, Setting, TunedSettings

TUNED = pathlib.Path(__file__).parent
VARIANTS = ('vanilla', 'matched', 'shuffle', 'rum_f')
REFINEMENT = ('vanilla', 'shuffle', 'rum_f')  # What the main job has to have.
MAIN = ('finetune', 'l1_sparse', 'neggrad_plus', 'salun')  # The paper's table.
# The spaces that experiments/tune.py searches: fixed values, and the limits of
# the others. The main methods come first, as in the tables.
SPACES = {name: algorithms.SPACES[name]
          for name in (*MAIN, *sorted({*algorithms.SPACES} - {*MAIN}))}
FACTORIES = {name: getattr(algorithms, name) for name in SPACES}
MEMORIZATION = 'memorization'
PROXIES = (*learning_events.NAMES, 'el2n', 'grand', 'curvature',
           'held_out_retraining')
NETWORKS: dict[str, Callable[..., Any]] = {  # Of the number of classes.
    'mlp': models.MLP, 'cnn': models.SmallCNN, 'airbench': models.AirBench,
    'resnet9': models.ResNet9, 'resnet18': models.resnet18,
    'resnet34': models.resnet34, 'resnet50': models.resnet50,
    'vgg16': models.vgg16, 'vit_small': models.vit_small,
    'vit_base': models.vit_base}
OF_ANY_WIDTH = ('airbench', 'cnn', 'mlp', 'resnet9')
AUGMENT = ('none', 'crop_and_flip', 'flip_and_translate')
BATCH_NORM = ('update', 'freeze', 'recalibrate')


def _field(default: Any, text: str) -> Any:
  return dataclasses.field(default=default, metadata={'help': text})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
  """All values that determine a result; each field is a flag of this name."""

  dataset: str = _field(
      'digits', 'Data set: digits; cifar10, cifar100, svhn_cropped, mnist, '
      'fashion_mnist or tiny_imagenet, prepared in --data_dir; or the NAME of '
      'a file NAME.npz there.')
  network: str = _field(
      'mlp', f'Network: {", ".join(NETWORKS)}. The patches of a vit have 16 '
      'pixels a side, or an eighth of the side of smaller images.')
  widths: str = _field(
      '', 'Channels of the stages of an airbench, cnn, mlp or resnet9 network, '
      'separated by commas; by default those of the network.')
  held_out: str = _field(
      'test', 'Examples to judge the models on: test; or validation, which are '
      'training examples set apart, for tuning (the test set is dropped).')
  validation: float = _field(
      0.0, 'Share of the training examples of each class that is set apart for '
      'validation, whatever held_out is. With 0, a fifth is set apart if '
      'held_out is validation, and none otherwise.')
  examples: int = _field(
      0, 'About how many training examples to use, the same share of each '
      'class; 0 for all.')
  corrupt: float = _field(
      0.05, 'Share of the training labels to make wrong. For data sets other '
      'than digits, labels are changed only if this flag is given.')
  forget: int = _field(144, 'Number of examples to forget, a multiple of 3.')
  seeds: int = _field(8, 'Number of seeds: of originals, oracles and unlearned '
                      'models each.')
  first_seed: int = _field(0, 'The first seed.')
  models: int = _field(256, 'Number of models that estimate memorization.')
  subset: float = _field(
      0.7, 'Share of the training examples that each such model trains on.')
  precision: str = _field(
      'float32', 'Precision of products and activations: float32; or bfloat16, '
      'for GPUs and TPUs.')
  epochs: int = _field(
      40, 'Epochs of training, of retraining and of the memorization models.')
  batch_size: int = _field(64, 'Number of examples in every step.')
  augment: str = _field(
      'none', 'Augmentation of images in training and retraining, but not in '
      'unlearning: none; crop_and_flip, after padding by 4 pixels; or '
      'flip_and_translate, mirrored in every second epoch and moved by up to 2 '
      'pixels.')
  learning_rate: float = _field(
      0.2, 'Highest learning rate of training.')
  milestones: str = _field(
      '', 'Epochs after which the learning rate of training is divided by 5, '
      'separated by commas; they replace the cosine.')
  schedule: str = _field(
      'cosine', 'Schedule of the learning rate of training: cosine, from its '
      'full value to 0; or triangle, from a fifth to the full value within '
      'the first 23 % of the steps, then down to 7 %.')
  momentum: float = _field(0.9, 'Momentum of SGD in all stages.')
  nesterov: bool = _field(False, "Use Nesterov's momentum in training.")
  bias_rate: float = _field(
      1.0, "Factor of the learning rate of batch-norm's biases in training.")
  weight_decay: float = _field(1e-4, 'Weight decay of SGD in all stages.')
  batch_norm: str = _field(
      'update', 'Running moments of batch-norm in unlearning: update them, as '
      'in the released code; freeze them; or recalibrate them on the retain '
      'set afterwards.')
  scores: str = _field(
      '', 'Memorization scores to use instead of an estimate: a '
      'memorization.npz, a published file, or the name of a file that comes '
      'with rum_jax.')
  refine_by: str = _field(
      MEMORIZATION, 'Scores by which the low, medium and high groups are '
      'chosen: memorization; or a proxy, which needs one training run instead '
      f'of many: {", ".join(PROXIES)}.')
  groups: str = _field(
      '', 'JSON file that lists the rows to forget as low, medium and high, so '
      'that they are not chosen. A row is the index of an example in the '
      'published training part.')
  with_copies: bool = _field(
      False, 'Whether exact copies of the images to forget, among the training '
      'examples, are forgotten, too.')
  settings: str = _field(
      '', 'JSON file of hyper-parameters, which experiments.tune writes and '
      'other commands read; by default that of the data set and network.')
  methods: str = _field(
      ','.join(MAIN),
      'Names of algorithms, separated by commas, or all.')

  def __post_init__(self) -> None:
    for name in ('seeds', 'models', 'epochs', 'batch_size', 'forget'):
      _checks.check_count(name, getattr(self, name), 1)
    _checks.check_count('first_seed', self.first_seed)
    if self.forget % 3:
      raise ValueError(f'Expected forget={self.forget} to be a multiple of 3.')
    if self.models < 2:
      raise ValueError(f'Expected models={self.models} to be at least 2.')
    _checks.check_range('corrupt', self.corrupt, 0, 1)
    _checks.check_range('validation', self.validation, 0, 0.9)
    _checks.check_count('examples', self.examples)
    if not all(x.isdecimal() for x in filter(None, self.milestones.split(','))):
      raise ValueError(f'Expected milestones={self.milestones} to be epochs by '
                       'commas.')
    if not 0 < self.subset < 1:
      raise ValueError(f'Expected subset={self.subset} in (0, 1).')
    _checks.check_range('learning_rate', self.learning_rate, 0, open_low=True)
    _checks.check_range('momentum', self.momentum, 0, 1)
    _checks.check_range('weight_decay', self.weight_decay, 0)
    _checks.check_range('bias_rate', self.bias_rate, 0)
    one_of('schedule', self.schedule, ('cosine', 'triangle'))
    one_of('network', self.network, NETWORKS)
    self._check_widths()
    one_of('refine_by', self.refine_by, (MEMORIZATION, *PROXIES))
    one_of('batch_norm', self.batch_norm, BATCH_NORM)
    one_of('augment', self.augment, AUGMENT)
    one_of('precision', self.precision, ('float32', 'bfloat16'))
    one_of('held_out', self.held_out, ('test', 'validation'))
    for name in self.method_names:
      one_of('methods', name, FACTORIES)
    if not self.method_names or len(set(self.method_names)) < len(
        self.method_names):
      raise ValueError(f'Expected methods={self.methods} to name at least one '
                       'algorithm, and none twice.')

  def _check_widths(self) -> None:
    if not self.widths:
      return
    one_of('network', self.network, OF_ANY_WIDTH)
    if not all(x.isdecimal() and int(x) for x in self.widths.split(',')):
      raise ValueError(f'Expected widths={self.widths} to be whole numbers of '
                       'at least 1, by commas.')

  @property
  def channels(self) -> dict[str, tuple[int, ...]]:
    """The keyword arguments of the network that follow from `widths`."""
    given = tuple(map(int, filter(None, self.widths.split(','))))
    return {'widths': given} if given else {}

  @property
  def method_names(self) -> tuple[str, ...]:
    if self.methods == 'all':
      return tuple(FACTORIES)
    return tuple(filter(None, map(str.strip, self.methods.split(','))))

  def part(self, *names: str) -> dict[str, Any]:
    """These fields and the version, for the identity of a stage."""
    named = {name: getattr(self, name) for name in names}
    return {'rum_jax': rum_jax.__version__, **named}

  @property
  def tuning(self) -> str:
    """The command that searches this recipe's settings."""
    # The search has its own values of these.
    own = ['seeds', 'first_seed', 'held_out', 'methods']
    if self.corrupt:  # It has other wrong labels, so these scores do not fit.
      own.append('scores')
    return ' '.join([
        'python -m experiments.tune', f'--methods={self.methods}',
        *(f'--{f.name}={shlex.quote(str(getattr(self, f.name)))}'
          for f in dataclasses.fields(self)
          if f.name not in own and getattr(self, f.name) != f.default)])


# Settings that are good for one value of these fields may be bad for another.
_DECISIVE = ('dataset', 'examples', 'network', 'epochs', 'batch_size',
             'augment', 'batch_norm', 'corrupt', 'momentum', 'weight_decay')


# The values of `augment` in older files.
_BOOLEAN = {False: 'none', True: 'crop_and_flip'}


def one_of(name: str, value: str, allowed: Any) -> None:
  """Raises a `ValueError` if `value` is not among `allowed`."""
  if value not in allowed:
    raise ValueError(f'Expected {name}={value} to be one of '
                     f'{", ".join(allowed)}.')


def tuned(recipe: Recipe, extra: str = '',
          variants: Collection[str] = REFINEMENT) -> TunedSettings:
  """The tuned settings for the data set and the network of a recipe.

  Args:
    recipe: names the data set and the network, or the file of settings.
    extra: flags of the command that an error names.
    variants: the variants that each method of the recipe must have a setting
      for.

  Raises:
    FileNotFoundError: if there is no such file; the message names the command
      that makes it.
    ValueError: if it is not such a file, or if it lacks a method.
  """
  path = settings_path(recipe)
  if not path.exists():
    raise FileNotFoundError(
        f'No file settings={path}.' if recipe.settings else
        f'No tuned settings for dataset={recipe.dataset} and '
        f'network={recipe.network}: there is no file {path}. This command '
        f'finds them: {recipe.tuning}{extra}')
  try:
    settings = read_settings(path)
  except ValueError as error:
    raise ValueError(f'Expected {path} to be what experiments.tune writes: '
                     f'{error}') from error
  missing = {method for method in recipe.method_names
             if not set(variants) <= set(settings.methods.get(method, ()))}
  if missing:
    names = ','.join(sorted(missing))
    command = dataclasses.replace(recipe, methods=names).tuning
    raise ValueError(f'No tuned settings for {names} in {path}. This command '
                     f'finds them: {command}{extra}')
  for method in recipe.method_names:
    search = settings.searched.rest.get(method)
    other = (_differing(recipe, search.recipe)
             if search and search.recipe else '')
    if other:
      warnings.warn(  # It is shown once, because it always comes from here.
          f'The settings of {method} in {path} were searched with {other}.',
          stacklevel=1)
  return settings


def unasked(recipe: Recipe, settings: TunedSettings) -> tuple[str, ...]:
  """Methods that the stages of full RUM take and the recipe does not name."""
  return tuple(dict.fromkeys(
      method for method, _ in settings.rum
      if method not in ('identity', *recipe.method_names)))


def full_rum(recipe: Recipe, settings: TunedSettings
             ) -> tuple[tuple[str, Setting], ...]:
  """The stages of full RUM.

  Args:
    recipe: names the methods that may be used.
    settings: the tuned settings, which hold the stages.

  Returns:
    The method and the setting of each stage. Empty if no stages were searched,
    or if one of them takes a method that the recipe does not name.
  """
  return () if unasked(recipe, settings) else settings.rum


def _differing(recipe: Recipe, made: Mapping[str, Any]) -> str:
  """The fields in which another recipe may need other settings.

  It may be of an older version, without some of the fields.
  """
  before = {f.name: made.get(f.name, f.default)
            for f in dataclasses.fields(recipe) if f.name in _DECISIVE}
  before['augment'] = _BOOLEAN.get(before['augment'], before['augment'])
  return ', '.join(f'{name}={value}' for name, value in before.items()
                   if value != getattr(recipe, name))


def settings_path(recipe: Recipe) -> pathlib.Path:
  """The path of the file of tuned settings of a recipe."""
  default = TUNED / f'{recipe.dataset}_{recipe.network}.json'
  return pathlib.Path(recipe.settings) if recipe.settings else default
