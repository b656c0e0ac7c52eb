"""Networks behind the seam `Model(init, apply)`: the only user of Flax."""

from __future__ import annotations

from rum_jax.models.linen import from_linen
from rum_jax.models.small import MLP
from rum_jax.models.small import SmallCNN

__all__ = ['MLP', 'SmallCNN', 'from_linen']
