"""Random labels: of a forget set, or of data made wrong on purpose."""

from __future__ import annotations

import jax

from rum_jax.types import Array, Key


def random_labels(key: Key, index: Array, label: Array, classes: int, *,
                  exclude_true: bool) -> Array:
  """A label for every example, a function of the key and its row alone.

  Args:
    key: consumed.
    index: `[B]` rows of the dataset.
    label: `[B]` true labels.
    classes: K, at least 2 where the true label is excluded.
    exclude_true: whether to draw from the other K − 1 classes.

  Returns:
    `[B]` int32, uniform.

  Raises:
    ValueError: if there is no other class to draw.
  """
  if classes < 1 + exclude_true:
    raise ValueError(f'Expected at least {1 + exclude_true} classes to draw a '
                     f'random label from, found {classes}.')
  keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(index)
  count = classes - 1 if exclude_true else classes
  drawn = jax.vmap(lambda k: jax.random.randint(k, (), 0, count))(keys)
  return (label + 1 + drawn) % classes if exclude_true else drawn
