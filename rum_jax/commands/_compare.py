"""`rum-jax compare`: several methods on the same request, in one table."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from rum_jax import reporting
from rum_jax.commands import _pages, _request
from rum_jax.commands._flags import Command, Flags
from rum_jax.pipeline import compare_methods
from rum_jax.recipes.settings import parse_setting
from rum_jax.storage import files

_METHODS = 'finetune,neggrad_plus,salun,scrub'


def define(flags: Flags) -> None:
  """Defines the flags."""
  _request.define_request(flags)
  flags.group('Methods')
  flags.string('methods', _METHODS, 'Names of algorithms by commas, or '
               'package.module:factory.')
  flags.string('settings', '', 'Hyper-parameters as method:name=value,name='
               'value;method:…; others are those of the papers, and are '
               'marked.')
  flags.number('budget', None, 'The most epochs that a copy may be trained '
               'for; by default as many as in the papers.')
  _request.define_seeds(flags, 'How many copies each method makes forget.')
  _request.define_batch_size(flags)
  _request.define_checks(flags)
  _request.define_retraining(flags)
  flags.group('What comes out')
  flags.string('workdir', None, 'Where the table, the page and the evidence of '
               'each method go; by default runs/compare_<weights>-<hash>.')
  _request.define_caution(flags)


def settings(text: str) -> dict[str, dict[str, Any]]:
  """Hyper-parameters by method, from `method:name=value,…;method:…`.

  Raises:
    ValueError: naming the text that is not understood.
  """
  found = {}
  for part in filter(None, text.split(';')):
    head, _, values = part.partition('=')
    method, colon, name = head.rpartition(':')
    if not colon:
      raise ValueError(f'Expected settings={text} to read method:name=value,'
                       f'name=value;method:…, found {part}.')
    found[method] = parse_setting(f'{name}={values}')
  return found


def run(values: Any) -> None:
  """Compares the methods."""
  methods = [x.strip() for x in values.methods.split(',') if x.strip()]
  done = compare_methods.compare(
      _request.request_of(values), methods, settings(values.settings),
      workdir=values.workdir, force=values.force,
      say=lambda text: print(text, flush=True),
      command=f'rum-jax {shlex.join(sys.argv[1:])}')
  files.write_text(done.workdir / 'results.csv', reporting.methods_csv(
      done.evidence, done.tuned))
  files.write_text(done.workdir / 'report.html', _pages.page_of(done.workdir))
  print(reporting.methods_text(done.evidence, done.tuned))
  for name, why in done.failed.items():
    print(f'{name} has no row: {why}')
  print(f'Wrote results.csv, report.html and the evidence of each method to '
        f'{done.workdir}.')


COMMAND = Command(
    'compare', 'compares methods on the same network, rows and data',
    (('Four methods, with three networks that are retrained here.',
      'compare --weights=model.safetensors --data=photos --rows=rows.txt '
      '--oracles=3'),
     ('Two methods, one of them with a setting of its own.',
      'compare --weights=model.safetensors --data=photos --rows=rows.txt '
      '--methods=salun,scrub --settings=salun:learning_rate=0.02,epochs=5')),
    define, run)
