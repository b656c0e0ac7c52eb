"""Tasks: the loss, score and divergence of each kind of problem."""

from __future__ import annotations

from rum_jax.tasks._classification import classification

__all__ = ['classification']
