"""Trains the original models and says how well they do.

Run it as `python -m experiments.train --seeds=8`.
"""

from __future__ import annotations

from rum_jax import evaluation, recipes
from rum_jax.commands import app
from rum_jax.evaluation import metrics
from rum_jax.evaluation.statistics import interval
from rum_jax.pipeline import stages
from rum_jax.reporting.vocabulary import counted, shown


def main() -> None:
  setup = app.begin(forgets=False)
  artefact = stages.originals(setup)
  label = setup.source.dataset.label
  for name, rows in (('training', setup.source.train),
                     (setup.recipe.held_out, setup.source.test)):
    found = evaluation.summary(
        metrics.accuracy(artefact.arrays['logits'], label, rows))
    print(f'{name:<10} accuracy {shown(*interval(found))} over '
          f'{counted(setup.recipe.seeds, "seed")}')


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
