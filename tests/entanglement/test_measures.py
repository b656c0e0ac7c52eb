"""All measures of entanglement of the chosen candidate forget sets."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from rum_jax import entanglement
from rum_jax.entanglement import measures, partitions
from rum_jax.types import Split


def test_the_released_groups_are_known_for_15_and_100_parts_only():
  rng = np.random.default_rng(0)
  features, scores = jnp.asarray(rng.normal(size=(60, 4))), rng.uniform(size=60)
  for count, kinds in ((15, ['by_entanglement', 'released']),
                       (5, ['by_entanglement'])):
    parts = partitions.cut(
        entanglement.centroid_distance(features), count, seed=0)
    sets, of_seed = measures.one_seed(features, parts, scores)
    assert list(sets) == kinds and len(of_seed.es) == count
    np.testing.assert_allclose(
        [f['memorization'] for f in sets['by_entanglement']],
        [scores[parts[i]].mean() for (i,) in of_seed.picks])


def test_figures_are_those_of_the_measures():
  rng = np.random.default_rng(1)
  features, scores = jnp.asarray(rng.normal(size=(60, 4))), rng.uniform(size=60)
  scores[3] = np.nan
  group, retain = np.arange(10), np.arange(10, 60)
  found = measures.all_measures(features, group, retain, scores)
  split = Split(group, retain)
  assert found['es'] == entanglement.double_precision_scores(
      features[None], split)
  assert found['es_midpoint'] == entanglement.double_precision_scores(
      features[None], split, midpoint=True)
  assert found['memorization'] == np.nanmean(scores[:10])
  assert all(np.isfinite(value) for value in found.values())


def test_figures_are_summarised_level_by_level():
  names = [x.name for x in dataclasses.fields(measures.SetFigures)]
  found = [[dict.fromkeys(names, 10.0 * seed + level) for level in range(3)]
           for seed in range(2)]
  table = measures.summarised(found)
  assert list(table) == ['low', 'medium', 'high']
  assert table['high'].es.values == (2.0, 12.0)
  assert table['medium'].es.mean == 6.0
