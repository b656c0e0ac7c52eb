"""Unlearning within a part of the parameters: last layers, low-rank adapters.

`within` makes any unlearner act on a *subspace*; the result is an unlearner.
"""

from __future__ import annotations

from rum_jax.subspaces._layers import forward_order
from rum_jax.subspaces._layers import gated
from rum_jax.subspaces._layers import held
from rum_jax.subspaces._layers import last
from rum_jax.subspaces._layers import last_layers
from rum_jax.subspaces._low_rank import low_rank
from rum_jax.subspaces._within import Part
from rum_jax.subspaces._within import Subspace
from rum_jax.subspaces._within import within

__all__ = [
    'Part', 'Subspace', 'forward_order', 'gated', 'held', 'last',
    'last_layers', 'low_rank', 'within',
]
