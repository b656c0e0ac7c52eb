"""Asks how far entanglement, and what it says, move with what was chosen.

  python -m experiments.sensitivity
  python -m experiments.sensitivity --others=cnn,mlp --methods=finetune,salun

The reference is that of `experiments.difficulty`: groups by the distance to the
mean embedding of the first original, three of them low, medium and high by
their ES over all originals. Each variation changes one choice: the seed whose
embedding is used, the layer, the network, the procedure, the size. Every method
forgets its three sets. Writes `sensitivity.json` and `sensitivity.svg`, and
says what holds.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
from typing import NamedTuple

from absl import flags
import jax
import jax.numpy as jnp
import numpy as np

from experiments import assembly, cli, entangle, recipes, results, stages
from experiments.difficulty import judged
from rum_jax import difficulty, entanglement, files, partitions, plots
from rum_jax import sensitivity
from rum_jax.types import Array, Variables

OTHERS = flags.DEFINE_list(
    'others', ['cnn'], 'Other networks whose embeddings are tried; each needs '
    'tuned settings.')
SEEDS = flags.DEFINE_integer(
    'other_seeds', 2, 'Originals after the first whose embeddings are tried.',
    lower_bound=0)


class Variation(NamedTuple):
  """One choice that differs: what it is, its models, features and groups."""

  axis: str
  value: str
  setup: stages.Setup
  features: Array
  parts: np.ndarray


def layers(setup: stages.Setup) -> dict[str, Array]:
  """`[S, N, D]` of the images, the first layer and the logits."""
  n, recipe = setup.source.num_train, setup.recipe
  look = assembly.hidden_layers(recipe, setup.source)
  image = setup.dataset.image[:n]
  variables = Variables(**jax.tree.map(
      jnp.asarray, stages.originals(setup).tree))
  (first, *_, logits), _ = setup.programs.run(
      'layers', lambda v, x: look(v, x), (0, None), variables, image)
  pixels = jnp.broadcast_to(
      image.reshape(n, -1) / 255, (recipe.seeds, n, image[0].size))
  return {'pixels': pixels, 'first': first, 'logits': logits}


def embedded(setup: stages.Setup) -> Array:
  """`[S, N, D]` of the last layer before the logits."""
  n = setup.source.num_train
  return jnp.asarray(stages.originals(setup).arrays['features'])[:, :n]


def variations(setup: stages.Setup) -> Iterator[Variation]:
  """The reference, then all that differ from it in one choice."""
  n, size = setup.source.num_train, setup.recipe.forget // 3
  label = setup.source.dataset.label[:n]

  def cut(features: Array, kind: str = 'distance', each: int = size
          ) -> np.ndarray:
    return entangle.parts_of(kind, n // each, features, label, seed=3)

  x = embedded(setup)
  yield Variation('', '', setup, x, cut(x[0]))
  for seed in range(1, min(1 + SEEDS.value, len(x))):
    yield Variation('seed', str(setup.recipe.first_seed + seed), setup, x,
                    cut(x[seed]))
  for name, layer in layers(setup).items():
    yield Variation('layer', name, setup, layer, cut(layer[0]))
  for network in OTHERS.value:
    recipe = dataclasses.replace(setup.recipe, network=network)
    other = stages.prepare(
        recipe, setup.root, cli.FLAGS.data_dir, cli.chunk())
    y = embedded(other)
    yield Variation('network', network, other, y, cut(y[0]))
  for kind in ('class', 'neighbours', sensitivity.CONTROL):
    yield Variation('procedure', kind, setup, x, cut(x[0], kind))
  for each in (size // 2, 2 * size):
    yield Variation('size', str(each), setup, x, cut(x[0], each=each))


def main() -> None:
  """Tries all of them."""
  for network in (cli.recipe().network, *OTHERS.value):  # Fails now, not later.
    recipes.tuned(dataclasses.replace(cli.recipe(), network=network))
  setup = cli.begin()
  found, reference, first = [], None, embedded(setup)
  for way in variations(setup):
    chosen = partitions.by_measured_score(way.features, way.parts)
    reference = reference or chosen.groups
    rows = difficulty.by_level(dict(zip(results.GROUPS, (
        judged(way.setup, rows, None) for rows in chosen.groups))))
    seen = [np.asarray(entanglement.entanglement_scores(first, g[None]))[:, 0]
            for g in chosen.groups]
    shares = sensitivity.compared(
        chosen.groups, reference, setup.source.num_train)
    found.append(sensitivity.entry(
        way.axis, way.value, shares, list(chosen.score.T), seen, rows))
    print(f'Done: {sensitivity.label(found[-1])}.', flush=True)
  said = sensitivity.paragraph(found)
  print('', *(f'- {x}' for x in said), sep='\n')
  files.write_text(setup.root / 'sensitivity.svg',
                   plots.sensitivity_of_entanglement(found))
  files.write_json(setup.root / 'sensitivity.json', {
      'recipe': dataclasses.asdict(setup.recipe), 'answer': said,
      'environment': results.environment(), 'data_hash': setup.data_hash,
      'variations': found})
  print(f'\nWrote {setup.root}/sensitivity.json and sensitivity.svg.')


if __name__ == '__main__':
  cli.define(recipes.Recipe())
  cli.run(main)
