"""Tests how far results on entanglement depend on choices.

  python -m experiments.sensitivity
  python -m experiments.sensitivity --others=cnn,mlp --methods=finetune,salun

The reference is that of `experiments.difficulty`: it cuts groups by distance
to the mean embedding of the first original model, and chooses low, medium and
high by the mean ES over all original models. Each variation differs in one
choice: the seed, the layer or the network of the embedding, the procedure, or
the size of the sets. The same models unlearn all sets. The command writes
`sensitivity.json` and `sensitivity.svg`, and prints which findings hold.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
from typing import NamedTuple

from absl import flags
import jax
import jax.numpy as jnp
import numpy as np

from experiments.difficulty import judged, PARTS_SEED
from rum_jax import entanglement, recipes
from rum_jax.commands import app
from rum_jax.entanglement import partitions
from rum_jax.evaluation import difficulty
from rum_jax.pipeline import builders, context, forget_set, outlook, results
from rum_jax.pipeline import trained_models
from rum_jax.pipeline.context import Data, Runtime
from rum_jax.reporting import difficulty_findings, figures
from rum_jax.storage import files
from rum_jax.types import Array, GROUPS, Split, Variables

OTHERS = flags.DEFINE_list(
    'others', ['cnn'], 'Other networks whose embeddings are used.')
SEEDS = flags.DEFINE_integer(
    'other_seeds', 2, 'Number of further originals whose embeddings are used.',
    lower_bound=0)


class Variation(NamedTuple):
  """One choice that differs: its name and value, features and groups."""

  axis: str
  value: str
  features: Array
  parts: np.ndarray


def layers(recipe: recipes.Recipe, data: Data, runtime: Runtime
           ) -> dict[str, Array]:
  """`[S, N, D]` features: the pixels, the first layer and the logits."""
  n = data.num_train
  image = data.examples.image[:n]
  variables = Variables(**jax.tree.map(
      jnp.asarray, trained_models.originals(recipe, data, runtime).tree))
  (first, *_, logits), _ = runtime.programs.run(
      builders.hidden_layers(recipe, data.source), (0, None), variables, image)
  pixels = jnp.broadcast_to(
      image.reshape(n, -1) / 255, (recipe.seeds, n, image[0].size))
  return {'pixels': pixels, 'first': first, 'logits': logits}


def variations(recipe: recipes.Recipe, data: Data, runtime: Runtime, x: Array
               ) -> Iterator[Variation]:
  """The reference, which uses the features `x`, and then all variations."""
  n, size = data.num_train, recipe.forget // 3
  label = data.source.dataset.label[:n]

  def cut(features: Array, kind: str = 'distance', each: int = size
          ) -> np.ndarray:
    return builders.partition(
        kind, n // each, features, label, seed=PARTS_SEED)

  yield Variation('', '', x, cut(x[0]))
  for seed in range(1, 1 + SEEDS.value):
    yield Variation('seed', str(recipe.first_seed + seed), x,
                    cut(x[seed]))
  for name, layer in layers(recipe, data, runtime).items():
    yield Variation('layer', name, layer, cut(layer[0]))
  for network in OTHERS.value:
    other = dataclasses.replace(recipe, network=network)
    y = trained_models.embedding(other, data, context.start(
        other, data, runtime.workdir, runtime.programs, runtime.others))
    yield Variation('network', network, y, cut(y[0]))
  for kind in ('class', 'neighbours', 'random'):
    yield Variation('procedure', kind, x, cut(x[0], kind))
  for each in (size // 2, 2 * size):
    yield Variation('size', str(each), x, cut(x[0], each=each))


def check(recipe: recipes.Recipe) -> None:
  """Refuses flags that would fail or be ignored later."""
  if recipe.forget < 6:
    raise ValueError(f'Expected forget={recipe.forget} to be at least 6: sets '
                     'of half the size are tried.')
  if SEEDS.value >= recipe.seeds:
    raise ValueError(f'Expected other_seeds={SEEDS.value} to be fewer than '
                     f'seeds={recipe.seeds}.')
  for network in OTHERS.value:
    recipes.one_of('others', network, recipes.NETWORKS)


def stages(recipe: recipes.Recipe, data: Data) -> list[outlook.Stage]:
  """What there is to do, when no two choices lead to the same sets.

  Originals of other networks are counted at the pace of this one.
  """
  sets = 3 * (9 + SEEDS.value + len(OTHERS.value))
  return [outlook.originals(recipe, data),
          *(outlook.originals(dataclasses.replace(recipe, network=x), data)
            for x in OTHERS.value),
          outlook.oracles(recipe, data, sets),
          outlook.unlearned(recipe, data, outlook.vanilla_jobs(recipe), sets)]


def main() -> None:
  """Unlearns the sets of all variations, and writes the findings."""
  check(app.recipe())
  recipe, data, runtime = app.start_run(
      'sensitivity', options=(OTHERS, SEEDS), stages=stages,
      check=lambda x: app.settings(x, ('vanilla',)))
  n, size = data.num_train, recipe.forget // 3
  if n < 6 * size:
    raise ValueError(f'Expected forget={recipe.forget} to be at most '
                     f'half of the {n} training examples.')
  features = trained_models.embedding(recipe, data, runtime)
  tried, reference = [], ()
  for way in variations(recipe, data, runtime, features):
    chosen = partitions.by_measured_score(way.features, way.parts)
    reference = reference or chosen.groups
    name = ' '.join(filter(None, (way.axis, way.value))) or 'reference'
    sets = tuple(forget_set.each_alone(recipe, data, {
        f'{level.capitalize()} ES, {name}': rows
        for level, rows in zip(GROUPS, chosen.groups)}).values())
    rows = difficulty.by_level(dict(zip(GROUPS, (
        judged(recipe, data, runtime, rows, None) for rows in sets))))
    es = [entanglement.double_precision_scores(features, Split(
        g, np.setdiff1d(np.arange(n), g))) for g in sets]
    tried.append(difficulty.variation(
        way.axis, way.value, difficulty.compared(chosen.groups, reference, n),
        es, rows, chosen=way.features is features,
        control=way.value == 'random'))
    print(f'Done: {difficulty_findings.label(tried[-1])}.', flush=True)
  answers = difficulty_findings.paragraph(tried)
  print('', *(f'- {x}' for x in answers), sep='\n')
  files.write_text(runtime.workdir / 'sensitivity.svg',
                   figures.sensitivity_of_entanglement(tried))
  results.write(runtime.workdir / 'sensitivity.json', difficulty.Sensitivity(
      **vars(results.origin(recipe, data, runtime)), variations=tuple(tried)))
  print(f'\nWrote {runtime.workdir}/sensitivity.json and sensitivity.svg.')


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
