"""`rum-jax audit`: what weights that somebody else unlearned still show."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from rum_jax.commands import _pages, _request
from rum_jax.commands._flags import Command, Flags
from rum_jax.pipeline import audit_weights


def define(flags: Flags) -> None:
  """Defines the flags."""
  flags.group('The networks')
  flags.string('weights', None, 'The weights to judge: a .safetensors file.')
  flags.string('original', None, 'The weights before they were made to forget.')
  _request.define_network(flags)
  _request.define_data(flags)
  flags.group('What was forgotten')
  _request.define_rows(flags)
  flags.group('What comes out')
  _request.define_page(flags, 'audit')
  flags.group('How')
  _request.define_batch_size(flags, ' of the checks')
  _request.define_checks(flags)
  _request.define_retraining(flags)
  _request.define_caution(flags)


def run(values: Any) -> None:
  """Judges the weights."""
  if not values.original:
    raise ValueError('Expected original to be given, the weights before they '
                     'were made to forget, found nothing.')
  request = _request.request_of(values, weights=values.original)
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
