"""Measures the entanglement of forget sets.

  python -m experiments.entangle
  python -m experiments.entangle --partition=class --parts=10

Cuts the training examples into groups by the features of each seed's original
model. Prints the entanglement score (ES) of the groups with the lowest, medium
and highest ES; of the groups that the released code uses; and of the groups of
low, medium and high memorization. Rank correlations show how far the order by
ES agrees with the order by memorization. Writes `entanglement.json` into the
workdir.
"""

from __future__ import annotations

from collections.abc import Mapping
from absl import flags

from rum_jax import evaluation, recipes
from rum_jax.commands import app
from rum_jax.entanglement import measures, partitions
from rum_jax.entanglement.measures import EntanglementFile, SetFigures
from rum_jax.pipeline import builders, forget_set, outlook, results
from rum_jax.pipeline import trained_models

PARTITION = flags.DEFINE_enum(
    'partition', 'distance', builders.PARTITIONS,
    'How the groups are cut: by the distance to the mean embedding, as in the '
    'paper; by that distance inside each class; by the distance to neighbours '
    'of other classes; or at random.')
PARTS = flags.DEFINE_integer(
    'parts', partitions.COUNT, 'Number of groups; the paper has 15, and 100 '
    'for Tiny-ImageNet.', lower_bound=3)


def show(title: str, sets: Mapping[str, SetFigures]) -> None:
  """Prints one table."""
  head = ('ES', 'memorization', 'MMD² (γ = 1)', 'MMD² (median γ)')
  print(f'\n{title:<20}' + ''.join(f'{name:>20}' for name in head))
  for level, figures in sets.items():
    columns = ((figures.es, '.1f'), (figures.memorization, '.3f'),
               (figures.mmd, '.1e'), (figures.mmd_median, '.4f'))
    print(f'{level:<20}' + ''.join(
        f'{x.mean:{form}} ± {x.ci95:{form}}'.rjust(20) for x, form in columns))


def main() -> None:
  """Measures all sets, and writes the figures."""
  recipes.one_of('refine_by', app.recipe().refine_by, (recipes.MEMORIZATION,))
  recipe, data, runtime = app.start_run(
      'entangle', options=(PARTITION, PARTS), stages=lambda recipe, data: [
          outlook.originals(recipe, data),
          *outlook.memorization(recipe, data)])
  n, first = data.num_train, recipe.first_seed
  found = forget_set.chosen(recipe, data, runtime, scored=True)
  groups, retain, scores = found.groups, found.retain, found.score
  assert scores is not None
  features = trained_models.embedding(recipe, data, runtime)
  parts = [builders.partition(PARTITION.value, PARTS.value, x,
                              data.source.dataset.label[:n], first + s)
           for s, x in enumerate(features)]
  sets, seeds = zip(*(measures.one_seed(x, p, scores)
                      for x, p in zip(features, parts)))
  tables = {kind: measures.summarised([of_seed[kind] for of_seed in sets])
            for kind in sets[0]}
  for s, (of_seed, p) in enumerate(zip(seeds, parts)):
    forget_set.copies(
        recipe, data, tuple(p[list(x)].ravel() for x in of_seed.picks),
        f'By ES with seed={first + s}')
  tables['by_memorization'] = measures.summarised([
      [measures.all_measures(x, g, retain, scores) for g in groups]
      for x in features])
  for kind, table in tables.items():
    show(kind.replace('_', ' '), table)
  of_examples = evaluation.summary(
      [x.rank_correlation_of_examples for x in seeds])
  of_groups = evaluation.summary([x.rank_correlation_of_groups for x in seeds])
  print('\nSpearman correlation with memorization: of the distance of an '
        f'example to the mean {of_examples.mean:.3f} ± {of_examples.ci95:.3f}, '
        f'of the ES of a group {of_groups.mean:.3f} ± {of_groups.ci95:.3f}')
  results.write(runtime.workdir / 'entanglement.json', EntanglementFile(
      **vars(results.origin(recipe, data, runtime)), partition=PARTITION.value,
      parts=PARTS.value, by_entanglement=tables['by_entanglement'],
      released=tables.get('released'),
      by_memorization=tables['by_memorization'], seeds=seeds,
      rank_correlation_of_examples=of_examples,
      rank_correlation_of_groups=of_groups))
  print(f'\nWrote {runtime.workdir}/entanglement.json.')


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
