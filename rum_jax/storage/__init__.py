"""Artefacts, files and hashes that stay whole if a process is killed."""

from __future__ import annotations

from rum_jax import _lazy

__all__ = [
    'artefacts', 'digests', 'files', 'hosts',
]

__getattr__, __dir__ = _lazy.submodules(__name__, __all__)
