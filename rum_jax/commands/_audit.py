"""`rum-jax audit`: what weights that somebody else unlearned still show."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from rum_jax.commands import _pages, _unlearn
from rum_jax.commands._flags import Command, Flags
from rum_jax.pipeline import audit_weights


def define(flags: Flags) -> None:
  """Defines the flags."""
  flags.group('The networks')
  flags.string('weights', None, 'The weights to judge: a .safetensors file.')
  flags.string('original', None, 'The weights before they were made to forget.')
  _unlearn.define_network(flags)
  _unlearn.define_data(flags)
  flags.group('What was forgotten')
  flags.string('rows', None, 'Rows of the training part: a text, JSON, CSV or '
               'npy file of numbers or of names of images, or class=NAME.')
  flags.group('What comes out')
  flags.string('workdir', None, 'Where the evidence and its page go; by '
               'default runs/audit_<weights>-<hash>.')
  flags.boolean('show_images', 'Show the forgotten images on the page.')
  flags.group('How')
  flags.integer('batch_size', 64, 'Examples in a step of the checks.', 1)
  flags.boolean('checks', 'Also see whether training on what is retained, or '
                'new moments of batch-norm, bring the rows back.', True)
  _unlearn.define_retraining(flags)
  flags.group('Caution')
  flags.boolean('force', 'Go on with a network that is no better than chance.')


def run(values: Any) -> None:
  """Judges the weights."""
  if not values.original:
    raise ValueError('Expected original to be given, the weights before they '
                     'were made to forget, found nothing.')
  request = _unlearn.request_of(values, weights=values.original)
  done = audit_weights.audit(
      request, values.weights or '', workdir=values.workdir,
      force=values.force, say=lambda text: print(text, flush=True),
      command=f'rum-jax {shlex.join(sys.argv[1:])}')
  page = _pages.write_evidence(done.workdir, done.evidence, done.prepared,
                               values.show_images)
  print(f'The page is {page}.')


COMMAND = Command(
    'audit', 'judges weights that somebody else made to forget',
    (('Two files and the rows.',
      'audit --original=model.safetensors --weights=forgotten.safetensors '
      '--data=photos --rows=rows.txt'),
     ('Beside three networks that are retrained here.',
      'audit --original=model.safetensors --weights=forgotten.safetensors '
      '--data=photos --rows=rows.txt --oracles=3')),
    define, run)
