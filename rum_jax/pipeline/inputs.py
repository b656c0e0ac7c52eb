"""Checks the forget set of a recipe."""

from __future__ import annotations

from rum_jax import datasets
from rum_jax.recipes import Recipe
from rum_jax.refinement import Groups


def check_retain(num_train: int, batch_size: int, forget: int, what: str
                 ) -> None:
  """Refuses a forget set that leaves fewer examples than one batch.

  Args:
    num_train: the number of training examples.
    batch_size: the batch size of training.
    forget: the number of examples to forget.
    what: the name of the forget set, for the message.

  Raises:
    ValueError: if fewer examples than one batch would be left.
  """
  if forget + batch_size > num_train:
    raise ValueError(
        f'Expected {what} to leave a retain set of at least one batch, '
        f'batch_size={batch_size}, of the {num_train} training examples.')


def check_forget_set(recipe: Recipe, source: datasets.Source) -> None:
  """Refuses a recipe whose forget set does not fit the data.

  Args:
    recipe: names a file of groups, or gives the number of examples to forget.
    source: the data set, as it will be trained on.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if it is not such a file, if a row is not trained on, or if too
      few examples are left to retain.
  """
  count, what = recipe.forget, f'forget={recipe.forget}'
  if recipe.groups:
    count = sum(map(len, read_groups(recipe.groups, source)))
    what = f'{count} rows in groups'
  check_retain(source.num_train, recipe.batch_size, count, what)


def read_groups(path: str, source: datasets.Source) -> Groups:
  """Positions of the published rows that a file lists as low, medium and high.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if it is not such a file, or a row is not trained on.
  """
  return tuple(datasets.positions(rows, source)
               for rows in datasets.read_groups(path, source))
