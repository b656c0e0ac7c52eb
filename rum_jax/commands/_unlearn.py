"""`rum-jax unlearn`: your network and your rows in, new weights out."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from rum_jax.audits import verdicts
from rum_jax.commands import _pages, _request
from rum_jax.commands._flags import Command, Flags
from rum_jax.pipeline import choosing, leftovers, requests, unlearn_request

_NEXT = ('What may help against traces: another method (rum-jax compare shows '
         'several beside each other), more epochs with --budget, and --oracles'
         '=3 to see whether retrained networks show the same.')


def define(flags: Flags) -> None:
  """Defines the flags."""
  _request.define_request(flags)
  flags.group('What comes out')
  flags.string('out', None, 'Where the new weights go, a .safetensors file. '
               'A card lies beside them.')
  flags.boolean('overwrite', 'Replace an old file there.')
  _request.define_page(flags, 'unlearn')
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
  _request.define_seeds(
      flags, 'How many copies of the weights are made to forget, so that there '
      'are intervals. The first comes out.')
  _request.define_batch_size(flags)
  _request.define_checks(flags)
  _request.define_retraining(flags)
  _request.define_caution(flags)
  flags.boolean('dry_run', 'Print the plan, seconds, memory and price, and do '
                'nothing.')


def run(values: Any) -> None:
  """Carries the request out."""
  if not values.out and not values.dry_run:
    raise ValueError('Expected out to be given, found nothing.')
  try:
    done = unlearn_request.carry_out(
        _request.request_of(values), out=values.out, overwrite=values.overwrite,
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
