"""`rum-jax unlearn`: your network and your rows in, new weights out."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from typing import Any

from rum_jax.audits import verdicts
from rum_jax.commands import _pages
from rum_jax.commands._flags import Command, Flags, numbers
from rum_jax.pipeline import choosing, leftovers, requests, unlearn_request

_NEXT = ('What may help against traces: another method (rum-jax compare shows '
         'several beside each other), more epochs with --budget, and --oracles'
         '=3 to see whether retrained networks show the same.')


def define(flags: Flags) -> None:
  """Defines the flags."""
  flags.group('Your network')
  flags.string('weights', None, 'The trained weights: a .safetensors file with '
               "PyTorch's names.")
  define_network(flags)
  define_data(flags)
  flags.group('What to forget')
  flags.string('rows', None, 'Rows of the training part: a text, JSON, CSV or '
               'npy file of numbers or of names of images, or class=NAME.')
  flags.boolean('with_copies', 'Forget exact copies of these images, too.')
  flags.group('What comes out')
  flags.string('out', None, 'Where the new weights go, a .safetensors file. '
               'A card lies beside them.')
  flags.boolean('overwrite', 'Replace an old file there.')
  flags.string('workdir', None, 'Where the evidence and its page go; by '
               'default runs/unlearn_<weights>-<hash>.')
  flags.boolean('show_images', 'Show the forgotten images on the page.')
  flags.group('How')
  flags.string('method', requests.AUTO, 'Name of an algorithm, or '
               'package.module:factory; auto searches methods, settings and '
               'groups without retraining.')
  flags.string('setting', '', 'Hyper-parameters as name=value by commas; '
               'others are those of the paper.')
  flags.number('budget', None, 'The most epochs that a copy may be trained '
               'for, or that a search with auto may take in all; by default as '
               f'many as in the paper, or those of {choosing.TRAININGS} '
               'trainings.')
  flags.string('ensemble', '', 'Folder of rum-jax memorize, or of shards, for '
               'the same data: with auto, its out-of-sample accuracy stands in '
               'for retraining.')
  flags.integer('seeds', 3, 'How many copies of the weights are made to '
                'forget, so that there are intervals. The first comes out.', 1)
  flags.integer('first_seed', 0, 'Number of the first.', 0)
  flags.integer('batch_size', 64, 'Examples in a step.', 1)
  flags.boolean('checks', 'Also see whether training on what is retained, or '
                'new moments of batch-norm, bring the rows back.', True)
  define_retraining(flags)
  flags.group('Caution')
  flags.boolean('force', 'Go on with a network that is no better than chance.')
  flags.boolean('dry_run', 'Print the plan, seconds, memory and price, and do '
                'nothing.')


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
  """Defines a group of flags of the data."""
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
            'setting': setting(given.get('setting') or '')}
  return requests.Request(**given)


def _size(text: str) -> tuple[int, int] | None:
  size = numbers('size', text)
  if size is None:
    return None
  if len(size) > 2 or any(x != int(x) for x in size):
    raise ValueError(f'Expected size={text} to be one or two whole numbers.')
  return int(size[0]), int(size[-1])


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
  try:
    done = unlearn_request.carry_out(
        request_of(values), out=values.out, overwrite=values.overwrite,
        workdir=values.workdir, force=values.force, dry_run=values.dry_run,
        say=lambda text: print(text, flush=True),
        command=f'rum-jax {shlex.join(sys.argv[1:])}')
  except requests.Taken as error:
    raise ValueError(f'{error} --overwrite replaces it.') from error
  if done is None:
    return
  page = _pages.write_evidence(done.workdir, done.evidence, done.prepared,
                               values.show_images)
  print(f'The page is {page}.')
  if done.evidence.verdict.answer == verdicts.TRACES:
    print(_NEXT)
  print(*leftovers.sentences(leftovers.of_run(done.workdir)), sep='\n')


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
