"""Files that survive crashes: artefacts (Orbax), files, and several hosts."""

from __future__ import annotations

from rum_jax import _lazy

__all__ = [
    'artefacts', 'files', 'hosts',
]

__getattr__, __dir__ = _lazy.submodules(__name__, __all__)
