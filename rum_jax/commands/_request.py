"""Flags that several commands have, and the request that they make."""

from __future__ import annotations

import dataclasses
from typing import Any

from rum_jax.commands._flags import Flags, numbers
from rum_jax.pipeline import requests
from rum_jax.recipes.settings import parse_setting


def define_request(flags: Flags) -> None:
  """Defines groups of flags of the network, the data and what to forget."""
  flags.group('Your network')
  flags.string('weights', None, 'The trained weights: a .safetensors file with '
               "PyTorch's names.")
  define_network(flags)
  define_data(flags)
  flags.group('What to forget')
  define_rows(flags)
  flags.boolean('with_copies', 'Forget exact copies of these images, too.')


def define_network(flags: Flags) -> None:
  """Defines how a network is told and fed, in the current group."""
  flags.string('network', '', 'Where the tensors do not tell: resnet18 and the '
               'like, or package.module:factory of a Linen module, an NNX '
               'module, or a pair of functions (init, apply).')
  flags.string('mean', None, 'Mean of each channel that images were normalised '
               'with in training, in units of the full range, by commas. By '
               'default 0, or what the weights or their card say.')
  flags.string('std', None, 'Standard deviation, likewise. By default 1.')
  flags.string('classes', '', 'Names of all classes by commas, in the order of '
               "the network's outputs. By default the order of the data.")
  flags.integer('heads', None, "Heads of a ViT's attention, which no tensor "
                'tells; by default as in timm.')


def define_data(flags: Flags) -> None:
  """Defines a group of flags of the data, which may be a folder of images."""
  define_data_set(flags)
  flags.string('size', '', 'Pixels to which the images of a folder are scaled: '
               'HEIGHT,WIDTH or one number.')
  flags.number('test_share', None, 'Share of a folder without a test part that '
               'is held out. Give it only if the network was not trained on '
               'these images.')
  flags.string('cache', None, 'Folder to keep decoded images in; by default '
               'beside the data.')


def define_data_set(flags: Flags) -> None:
  """Begins a group of flags of the data, with where they are."""
  flags.group('Your data')
  flags.string('data', None, 'An npz file, a folder with a folder of images '
               'for each class, an archive of CIFAR, or the name of a data '
               'set.')
  flags.string('data_dir', 'data', 'Where data sets lie that are given by a '
               'name.')


def define_rows(flags: Flags) -> None:
  """Defines which rows are forgotten, in the current group."""
  flags.string('rows', None, 'Rows of the training part: a text, JSON, CSV or '
               'npy file of numbers or of names of images, or class=NAME.')


def define_page(flags: Flags, command: str) -> None:
  """Defines where evidence and page of a command go, in the current group."""
  flags.string('workdir', None, 'Where the evidence and its page go; by '
               f'default runs/{command}_<weights>-<hash>.')
  flags.boolean('show_images', 'Show the forgotten images on the page.')


def define_seeds(flags: Flags, text: str) -> None:
  """Defines how many copies there are, in the current group."""
  flags.integer('seeds', 3, text, 1)
  flags.integer('first_seed', 0, 'Number of the first.', 0)


def define_batch_size(flags: Flags, of: str = '') -> None:
  """Defines the size of batches, in the current group."""
  flags.integer('batch_size', 64, f'Examples in a step{of}.', 1)


def define_checks(flags: Flags) -> None:
  """Defines whether rows come back is checked, in the current group."""
  flags.boolean('checks', 'Also see whether training on what is retained, or '
                'new moments of batch-norm, bring the rows back.', True)


def define_retraining(flags: Flags) -> None:
  """Defines a group of flags of retrained networks."""
  flags.group('Networks retrained without the rows, to compare with')
  flags.integer('oracles', 0, 'How many; with at least 3 the evidence can say '
                'whether the new weights are as if retrained.', 0)
  flags.string('start', '', 'Weights from which the given network was '
               'fine-tuned, and from which retraining starts.')
  flags.integer('train_epochs', None, 'Epochs of retraining; by default by a '
                'rule for the size of the data, which is printed.', 1)
  flags.number('train_learning_rate', None, 'Learning rate, likewise.')
  flags.string('train_augment', 'none', 'How images are changed: none, '
               'crop_and_flip or flip_and_translate.')


def define_caution(flags: Flags) -> None:
  """Defines a group of flags of what is refused by default."""
  flags.group('Caution')
  flags.boolean('force', 'Go on with a network that is no better than chance.')


def request_of(values: Any, **others: Any) -> requests.Request:
  """The request that the flags make.

  Args:
    values: of the flags. A flag that a command does not have is as a `Request`
      has it by default.
    **others: values in place of those of flags.

  Raises:
    ValueError: naming a flag whose value is not understood.
  """
  given: dict[str, Any] = {
      x.name: values[x.name].value for x in dataclasses.fields(requests.Request)
      if x.name in values}
  given |= {name: others.get(name, given.get(name)) or ''
            for name in ('weights', 'data', 'rows')}
  given |= {'mean': numbers('mean', values.mean),
            'std': numbers('std', values.std), 'size': _size(values.size),
            'classes': tuple(filter(None, values.classes.split(','))),
            'setting': parse_setting(given.get('setting') or '')}
  return requests.Request(**given)


def _size(text: str) -> tuple[int, int] | None:
  size = numbers('size', text)
  if size is None:
    return None
  if len(size) > 2 or any(x != int(x) for x in size):
    raise ValueError(f'Expected size={text} to be one or two whole numbers.')
  return int(size[0]), int(size[-1])
