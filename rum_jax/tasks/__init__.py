"""Tasks: what it means to know an example."""

from __future__ import annotations

from rum_jax.tasks._classification import classification

__all__ = ['classification']
