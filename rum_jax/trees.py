"""Functions of the leading axis of pytrees; arithmetic is in `optax.tree`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from rum_jax.types import PyTree


def length(tree: PyTree) -> int:
  """Length of the leading axis of all leaves."""
  return jax.tree.leaves(tree)[0].shape[0]


def take(tree: PyTree, index: Any) -> PyTree:
  """`leaf[index]` of every leaf: picks rows of examples, or stacked seeds."""
  return jax.tree.map(lambda x: x[index], tree)


def concatenate(trees: Sequence[PyTree]) -> PyTree:
  """Concatenates pytrees along the leading axis, as NumPy arrays."""
  return jax.tree.map(lambda *xs: np.concatenate(xs), *trees)
