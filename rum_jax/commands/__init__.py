"""What command lines share."""

from __future__ import annotations

from rum_jax import _lazy

__all__ = [
    'app',
]

__getattr__, __dir__ = _lazy.submodules(__name__, __all__)
