"""`rum-jax memorize`: what a network memorizes of your data."""

from __future__ import annotations

import pathlib
from typing import Any

from rum_jax import reporting
from rum_jax.commands import _request
from rum_jax.commands._flags import Command, Flags
from rum_jax.pipeline import memorize_data
from rum_jax.recipes import NETWORKS
from rum_jax.storage import files


def define(flags: Flags) -> None:
  """Defines the flags."""
  _request.define_data_set(flags)
  flags.group('Models that estimate memorization')
  flags.string('network', 'cnn', f'What is trained: {", ".join(NETWORKS)}.')
  flags.integer('models', 128, 'How many, each on a random part of the '
                'examples; more make the scores more reliable.', 2)
  flags.number('subset', 0.7, 'Share of the examples that each trains on.')
  flags.integer('epochs', None, 'Epochs of each; by default by a rule for the '
                'size of the data, which is printed.', 1)
  flags.number('learning_rate', None, 'Learning rate, likewise.')
  _request.define_batch_size(flags)
  flags.group('What comes out')
  flags.string('workdir', None, 'Where scores and page go; by default '
               'runs/memorize_<data>-<hash>.')
  flags.integer('shown', 24, 'How many of the most memorized images the page '
                'shows.', 1)


def run(values: Any) -> None:
  """Estimates, and writes scores and page."""
  done = memorize_data.memorize(
      values.data or '', values.data_dir, network=values.network,
      models=values.models, subset=values.subset, epochs=values.epochs,
      learning_rate=values.learning_rate, batch_size=values.batch_size,
      workdir=values.workdir, say=lambda text: print(text, flush=True))
  page: pathlib.Path = done.workdir / 'report.html'
  source, train = done.source, slice(0, done.source.num_train)
  files.write_text(page, reporting.memorized_page(
      done.record, source.name, source.dataset.image[train],
      source.dataset.label[train], source.row[train], source.classes,
      done.score, done.suspects, memorize_data.SUSPECT, values.shown))
  print(*reporting.sentences.lines(done.record), sep='\n')
  print(f'{len(done.suspects):,} labels are likely wrong, or their images '
        f'hard: {memorize_data.SUSPECT}.')
  print(f'Wrote memorization.npz, suspects.csv and the page {page}.')


COMMAND = Command(
    'memorize', 'finds what a network memorizes of your data, and wrong labels',
    (('A folder of images, with a small network.',
      'memorize --data=photos --models=128'),
     ('More models, for scores that are more reliable.',
      'memorize --data=mine.npz --network=resnet9 --models=500')),
    define, run)
