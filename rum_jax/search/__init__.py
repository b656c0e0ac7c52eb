"""Searches for hyper-parameters: spaces, and draws from them."""

from __future__ import annotations

from rum_jax.search import spaces
from rum_jax.search.spaces import draw
from rum_jax.search.spaces import Limits

__all__ = [
    'Limits', 'draw', 'spaces',
]
