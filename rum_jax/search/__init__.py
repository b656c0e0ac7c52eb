"""Searches for hyper-parameters, methods and plans."""

from __future__ import annotations

from rum_jax.search import automatic, criterion, spaces
from rum_jax.search.criterion import Figures
from rum_jax.search.criterion import Judge
from rum_jax.search.spaces import draw
from rum_jax.search.spaces import Limits
from rum_jax.search.spaces import spread

__all__ = [
    'Figures', 'Judge', 'Limits', 'automatic', 'criterion', 'draw', 'spaces',
    'spread',
]
