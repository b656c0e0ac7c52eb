"""Writes a page with the most memorized images.

  python -m experiments.memorized --dataset=cifar10 --scores=NAME \
    --page=memorized.html

Each image stands beside the other training image that is nearest in its pixels,
so that a person can see whether it is odd, has a wrong label, or is a copy of
another. `--scores` is the name or the path of a score file. The page holds
images of the data set: it is not part of this package.
"""

from __future__ import annotations

import pathlib

from absl import flags
import numpy as np

from rum_jax import recipes
from rum_jax.commands import app
from rum_jax.memorization import Memorization, score_files
from rum_jax.pipeline import context, subset_models
from rum_jax.reporting import figures, markup
from rum_jax.storage import files

PAGE = flags.DEFINE_string('page', 'memorized.html', 'Where to write the page.')
TOP = flags.DEFINE_integer('top', 24, 'Images to show.', lower_bound=1)
_BLOCK = 2000  # Images that are compared at a time.


def most(scores: Memorization, count: int) -> np.ndarray:
  """Positions of the highest scores, in descending order of the score."""
  rank = np.argsort(-np.nan_to_num(scores.score, nan=-np.inf), kind='stable')
  known = int(np.isfinite(scores.score).sum())
  return rank[:min(count, known)]


def nearest(image: np.ndarray, chosen: np.ndarray) -> np.ndarray:
  """Position of the other image that is nearest to each chosen one, in pixels.

  Args:
    image: `[N, H, W, C]` uint8.
    chosen: `[P]` positions.
  """
  flat = image.reshape(len(image), -1)
  mine = flat[chosen].astype(np.float32)
  distance = np.empty((len(chosen), len(image)), np.float32)
  for start in range(0, len(image), _BLOCK):
    other = flat[start:start + _BLOCK].astype(np.float32)
    distance[:, start:start + _BLOCK] = (
        np.square(other).sum(1) - 2 * mine @ other.T)
  distance[np.arange(len(chosen)), chosen] = np.inf
  return distance.argmin(1)


def page(recipe: recipes.Recipe, data: context.Data, scores: Memorization,
         count: int) -> str:
  """The page as HTML without external files."""
  source = data.source
  train = np.asarray(source.dataset.image[:data.num_train])
  chosen = most(scores, count)
  pair = np.stack([chosen, nearest(train, chosen)], axis=1)
  image, label = train[pair], np.asarray(source.dataset.label)[pair]
  last = scores.score[chosen[-1]]
  ties = int((scores.score == last).sum())
  copies = int((image[:, 0] == image[:, 1]).all(axis=(1, 2, 3)).sum())
  other = int((label[:, 0] != label[:, 1]).sum())
  return markup.document(
      f'The {len(chosen)} most memorized images of {recipe.dataset}',
      f'By the scores {recipe.scores}. Each image stands beside the other '
      'training image that is nearest in its pixels.',
      markup.items([
          f'{ties} of {data.num_train:,} training images have the lowest score '
          f'on this page, {last:.3f}; of images with equal scores the first in '
          'the data set are shown.',
          f'{copies} of the images shown are exact copies of the nearest one; '
          f'the label of {other} differs from that of the nearest one.']),
      markup.figure(figures.memorized(
          image, label, source.row[pair], source.classes, scores.score[chosen],
          scores.standard_error[chosen]),
          'Label, row in the published training part, and memorization with '
          'its standard error.'))


def main() -> None:
  recipe = app.recipe()
  if not recipe.scores:
    raise ValueError('Expected scores= to name a score file, found none.')
  data = context.load(recipe, app.FLAGS.data_dir, forgets=False)
  path = score_files.located(recipe.scores)
  found = subset_models.read_scores(recipe, data, path)
  files.write_text(pathlib.Path(PAGE.value),
                   page(recipe, data, found, TOP.value))
  print(f'Wrote {PAGE.value}.')


if __name__ == '__main__':
  app.define(recipes.Recipe())
  app.run(main)
