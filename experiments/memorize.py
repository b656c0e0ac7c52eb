"""Estimates the memorization of every training example.

  python -m experiments.memorize --models=2000

Writes `memorization.npz` into the workdir, in the order of the training
examples: score, standard_error, models_in, models_out, row in the published
data set, and the hash of the data. Stopped, it goes on where it was; with more
`--models` it adds to those that are there.
"""

from __future__ import annotations

import numpy as np

from experiments import cli, recipes, stages
from rum_jax import memorization


def main() -> None:
  setup = cli.begin()
  scores = stages.estimate(setup)
  quantiles = np.nanquantile(scores.score, (0.05, 0.25, 0.5, 0.75, 0.95))
  print('memorization at 5, 25, 50, 75 and 95 %: '
        + ', '.join(f'{q:.3f}' for q in quantiles))
  print(f'mean standard error {np.nanmean(scores.standard_error):.4f}')
  if not setup.recipe.scores:
    r, rho = reliability(setup)
    print(f'split-half Spearman correlation {r:.4f}, of all models {rho:.4f}')


def reliability(setup: stages.Setup) -> tuple[float, float]:
  """Correlation of the scores of two halves of the models, and of all."""
  bits, n = stages.correctness(setup), setup.source.num_train
  halves = [memorization.estimate(*(x[i::2] for x in bits), n).score
            for i in (0, 1)]
  r = memorization.rank_correlation(*halves)
  return r, memorization.spearman_brown(r)


if __name__ == '__main__':
  cli.define(recipes.Recipe())
  cli.run(main)
