"""Random labels, for a forget set or for label noise."""

from __future__ import annotations

import jax

from rum_jax.types import Array, Key


def random_labels(key: Key, index: Array, label: Array, classes: int, *,
                  exclude_true: bool) -> Array:
  """A random label for every example, which depends on the key and its row.

  Args:
    key: consumed.
    index: `[B]` rows of the dataset.
    label: `[B]` true labels.
    classes: K, at least 2 where the true label is excluded.
    exclude_true: whether to draw from the other K − 1 classes.

  Returns:
    `[B]` int32, uniform.

  Raises:
    ValueError: if `classes` is too small to draw from.
  """
  if classes < 1 + exclude_true:
    raise ValueError(f'Expected classes={classes} to be at least '
                     f'{1 + exclude_true}, to draw random labels.')
  keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(index)
  count = classes - 1 if exclude_true else classes
  drawn = jax.vmap(lambda k: jax.random.randint(k, (), 0, count))(keys)
  return (label + 1 + drawn) % classes if exclude_true else drawn
