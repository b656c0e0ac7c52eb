"""Measures the entanglement score (ES) of the low, medium and high groups.

  python -m experiments.entangle

One line a group: its mean memorization, its ES against what is retained, and
the variant of the released code (mu is the midpoint of the two means).
"""

from __future__ import annotations

import functools

import jax

from experiments import cli, proxies, recipes, results, stages
from rum_jax import entanglement, evaluation
from rum_jax.types import Split


def main() -> None:
  setup = cli.begin()
  features = stages.originals(setup).arrays['features']
  scores = proxies.difficulty(setup)
  groups, retain = stages.choose(setup, scores)
  for name, group in zip(results.GROUPS, groups):
    shown = []
    for midpoint in (False, True):
      score = functools.partial(
          entanglement.entanglement_score, midpoint=midpoint)
      values = jax.jit(jax.vmap(score, in_axes=(0, None)))(
          features, Split(group, retain))
      shown.append(evaluation.summary(values))
    es, released = (f'{x["mean"]:.1f} ± {x["ci95"]:.1f}' for x in shown)
    print(f'{name:<7} {setup.recipe.refine_by} {scores[group].mean():.3f}   '
          f'ES {es}   released form {released}')


if __name__ == '__main__':
  cli.define(recipes.Recipe())
  cli.run(main)
