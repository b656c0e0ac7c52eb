"""Data sets: labelled images in original order, and who is in which part."""

from __future__ import annotations

from rum_jax.datasets._digits import digits
from rum_jax.datasets.sources import Source
from rum_jax.datasets.sources import from_arrays
from rum_jax.datasets.sources import from_npz
from rum_jax.datasets.sources import joined
from rum_jax.datasets.splits import corrupted
from rum_jax.datasets.splits import hold_out
from rum_jax.datasets.splits import leave_out
from rum_jax.datasets.tfds import NAMES as TFDS
from rum_jax.datasets.tfds import from_tfds
from rum_jax.datasets._tiny_imagenet import tiny_imagenet

__all__ = [
    'TFDS', 'Source', 'corrupted', 'digits', 'from_arrays', 'from_npz',
    'from_tfds', 'hold_out', 'joined', 'leave_out', 'tiny_imagenet',
]
