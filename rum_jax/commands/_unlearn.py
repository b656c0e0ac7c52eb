"""`rum-jax unlearn`: your network and your rows in, new weights out."""

from __future__ import annotations

import json
import pathlib
import shlex
import sys
from typing import Any

from rum_jax.commands._flags import Command, Flags, numbers
from rum_jax.pipeline import requests, unlearn_request


def define(flags: Flags) -> None:
  """Defines the flags."""
  flags.group('Your network')
  flags.string('weights', None, 'The trained weights: a .safetensors file with '
               "PyTorch's names.")
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
  flags.group('Your data')
  flags.string('data', None, 'An npz file, a folder with a folder of images '
               'for each class, an archive of CIFAR, or the name of a data '
               'set.')
  flags.string('data_dir', 'data', 'Where data sets lie that are given by a '
               'name.')
  flags.string('size', '', 'Pixels to which the images of a folder are scaled: '
               'HEIGHT,WIDTH or one number.')
  flags.number('test_share', None, 'Share of a folder without a test part that '
               'is held out. Give it only if the network was not trained on '
               'these images.')
  flags.string('cache', None, 'Folder to keep decoded images in; by default '
               'beside the data.')
  flags.group('What to forget')
  flags.string('rows', None, 'Rows of the training part: a text, JSON, CSV or '
               'npy file of numbers or of names of images, or class=NAME.')
  flags.boolean('with_copies', 'Forget exact copies of these images, too.')
  flags.group('What comes out')
  flags.string('out', None, 'Where the new weights go, a .safetensors file. '
               'A card lies beside them.')
  flags.boolean('overwrite', 'Replace an old file there.')
  flags.string('workdir', None, 'Where the evidence goes; by default '
               'runs/unlearn_<weights>-<hash>.')
  flags.group('How')
  flags.string('method', requests.METHOD, 'Name of an algorithm, or '
               'package.module:factory.')
  flags.string('setting', '', 'Hyper-parameters as name=value by commas; '
               'others are those of the paper.')
  flags.number('budget', None, 'The most epochs that a copy may be trained '
               'for; by default as many as in the paper.')
  flags.integer('seeds', 3, 'How many copies of the weights are made to '
                'forget, so that there are intervals. The first comes out.', 1)
  flags.integer('first_seed', 0, 'Number of the first.', 0)
  flags.integer('batch_size', 64, 'Examples in a step.', 1)
  flags.boolean('force', 'Go on with a network that is no better than chance.')
  flags.boolean('dry_run', 'Print the plan, seconds, memory and price, and do '
                'nothing.')


def request_of(values: Any) -> requests.Request:
  """The request that the flags make.

  Raises:
    ValueError: naming a flag whose value is not understood.
  """
  size = numbers('size', values.size)
  if size is not None:
    if len(size) > 2 or any(x != int(x) for x in size):
      raise ValueError(f'Expected size={values.size} to be one or two whole '
                       'numbers.')
    size = (int(size[0]), int(size[-1]))
  return requests.Request(
      weights=values.weights or '', data=values.data or '',
      rows=values.rows or '', network=values.network,
      mean=numbers('mean', values.mean), std=numbers('std', values.std),
      size=size, classes=tuple(filter(None, values.classes.split(','))),
      heads=values.heads, data_dir=values.data_dir,
      test_share=values.test_share, cache=values.cache,
      with_copies=values.with_copies, method=values.method,
      setting=setting(values.setting), budget=values.budget,
      seeds=values.seeds, first_seed=values.first_seed,
      batch_size=values.batch_size)


def setting(text: str) -> dict[str, Any]:
  """Hyper-parameters as `name=value,name=value`.

  Raises:
    ValueError: naming the text.
  """
  pairs = [part.partition('=') for part in text.split(',') if part]
  try:
    return {name.strip(): json.loads(value) for name, _, value in pairs}
  except ValueError as error:
    raise ValueError(f'Expected setting={text} to read name=value,name=value, '
                     f'each value a number: {error}.') from error


def run(values: Any) -> None:
  """Carries the request out."""
  if not values.out and not values.dry_run:
    raise ValueError('Expected out to be given, found nothing.')
  unlearn_request.carry_out(
      request_of(values), out=pathlib.Path(values.out) if values.out else None,
      overwrite=values.overwrite, workdir=values.workdir, force=values.force,
      dry_run=values.dry_run, say=lambda text: print(text, flush=True),
      command=f'rum-jax {shlex.join(sys.argv[1:])}')


COMMAND = Command(
    'unlearn',
    'makes a trained network forget given rows, and shows that it did',
    (('A network of PyTorch, as torchvision or timm names its tensors.',
      'unlearn --weights=model.safetensors --data=photos --rows=rows.txt '
      '--out=forgotten.safetensors'),
     ('Images normalised as for ImageNet; what it would cost, first.',
      'unlearn --weights=model.safetensors --mean=0.485,0.456,0.406 '
      '--std=0.229,0.224,0.225 --data=photos --size=224 --rows=rows.txt '
      '--dry_run'),
     ('A whole class of a network of your own, one copy.',
      'unlearn --weights=mine.safetensors --network=my_package.nets:make '
      '--data=mine.npz --rows=class=3 --seeds=1 --out=forgotten.safetensors')),
    define, run)
