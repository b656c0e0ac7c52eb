"""Arithmetic on pytrees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax.types import Array, PyTree


def size(tree: PyTree) -> int:
  """Number of scalars in a pytree."""
  return sum(math.prod(jnp.shape(x)) for x in jax.tree.leaves(tree))


def l1_norm(tree: PyTree) -> Array:
  """Sum of the absolute values of all leaves: a scalar."""
  return sum(jnp.abs(x).sum() for x in jax.tree.leaves(tree))


def take(tree: PyTree, index: Any) -> PyTree:
  """`leaf[index]` of every leaf: picks one seed, or some, of a stacked tree."""
  return jax.tree.map(lambda x: x[index], tree)


def concatenate(trees: Sequence[PyTree]) -> PyTree:
  """Concatenates equal pytrees along their leading axis (host arrays)."""
  return jax.tree.map(lambda *xs: np.concatenate(xs), *trees)
