"""Measures how entangled forget sets are, by embedding and by memorization.

  python -m experiments.entangle
  python -m experiments.entangle --partition=class --parts=10

Cuts the training examples into groups by the embedding of each seed's original
model, and prints the entanglement score (ES) of the groups where it is lowest,
middling and highest; of those that the released code takes; and of the groups
of low, medium and high memorization. That one order is not the other is told by
rank correlations. Writes `entanglement.json` into the workdir.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from absl import flags

from rum_jax import evaluation, recipes
from rum_jax.commands import app
from rum_jax.entanglement import measures, partitions
from rum_jax.pipeline import assembly, results, stages, subset_models
from rum_jax.storage import files

PARTITION = flags.DEFINE_enum(
    'partition', 'distance', assembly.PARTITIONS,
    'What the groups are cut by: the distance to the mean embedding (the '
    'paper), the same inside each class, how near other classes are, nothing.')
PARTS = flags.DEFINE_integer(
    'parts', partitions.COUNT, 'Groups to cut; the paper has 15, and 100 for '
    'Tiny-ImageNet.', lower_bound=3)


def show(title: str, groups: Mapping[str, Any]) -> None:
  """Prints one table."""
  columns = (
      ('es', 'ES', '.1f'), ('memorization', 'memorization', '.3f'),
      ('mmd', 'MMD² (γ = 1)', '.1e'), ('mmd_median', 'MMD² (median γ)', '.4f'))
  print(f'\n{title:<20}' + ''.join(f'{name:>20}' for _, name, _ in columns))
  for name, figures in groups.items():
    print(f'{name:<20}' + ''.join(
        f'{figures[k]["mean"]:{form}} ± {figures[k]["ci95"]:{form}}'.rjust(20)
        for k, _, form in columns))


def main() -> None:
  """Runs all of it."""
  recipes.one_of('refine_by', app.recipe().refine_by, (recipes.MEMORIZATION,))
  setup = app.begin()
  n, first = setup.source.num_train, setup.recipe.first_seed
  features = stages.embedding(setup)
  scores = subset_models.estimate(setup).score
  groups, retain = stages.choose(setup, scores)
  parts = [assembly.partition(PARTITION.value, PARTS.value, x,
                              setup.source.dataset.label[:n], first + s)
           for s, x in enumerate(features)]
  found = [measures.one_seed(x, p, scores)
           for x, p in zip(features, parts)]
  tables = {kind: measures.summarised([sets[kind] for sets, _ in found])
            for kind in found[0][0]}
  tables['by_memorization'] = measures.summarised([
      [measures.measure(x, g, retain, scores) for g in groups]
      for x in features])
  for kind, table in tables.items():
    show(kind.replace('_', ' '), table)
  related = {k: evaluation.summary([of_seed[k] for _, of_seed in found])
             for k in ('rank_correlation_of_examples',
                       'rank_correlation_of_groups')}
  print('\nSpearman correlation with memorization: of the distance of an '
        'example to the mean {0[mean]:.3f} ± {0[ci95]:.3f}, of the ES of a '
        'group {1[mean]:.3f} ± {1[ci95]:.3f}'.format(*related.values()))
  files.write_json(setup.root / 'entanglement.json', {
      **results.origin(setup),
      'partition': PARTITION.value, 'parts': PARTS.value, **tables, **related,
      'seeds': [of_seed for _, of_seed in found]})
  print(f'\nWrote {setup.root}/entanglement.json.')


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
