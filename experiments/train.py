"""Trains the original models and prints their accuracy.

Run it as `python -m experiments.train --seeds=8`.
"""

from __future__ import annotations

from rum_jax import evaluation, recipes
from rum_jax.commands import app
from rum_jax.evaluation import metrics
from rum_jax.pipeline import outlook, trained_models
from rum_jax.reporting.vocabulary import counted, figure
from rum_jax.types import Signals


def main() -> None:
  recipe, data, runtime = app.start_run(
      None, forgets=False,
      stages=lambda recipe, data: [outlook.originals(recipe, data)])
  artefact = trained_models.originals(recipe, data, runtime)
  signals = Signals(artefact.arrays['loss'], artefact.arrays['score'])
  for name, rows in (('training', data.source.train),
                     (recipe.held_out, data.source.test)):
    accuracy = evaluation.summary(metrics.accuracy(signals, rows))
    print(f'{name:<10} accuracy {figure(accuracy)} over '
          f'{counted(recipe.seeds, "seed")}')


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
