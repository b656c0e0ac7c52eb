"""Rows of pytrees; `optax.tree` has arithmetic on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from rum_jax.types import PyTree


def take(tree: PyTree, index: Any) -> PyTree:
  """`leaf[index]` of every leaf: picks one seed, or some, of a stacked tree."""
  return jax.tree.map(lambda x: x[index], tree)


def concatenate(trees: Sequence[PyTree]) -> PyTree:
  """Concatenates equal pytrees along their leading axis (host arrays)."""
  return jax.tree.map(lambda *xs: np.concatenate(xs), *trees)
