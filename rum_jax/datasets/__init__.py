"""Data sets: labelled images in their original order, and their parts."""

from __future__ import annotations

from rum_jax.datasets import parts
from rum_jax.datasets._digits import digits
from rum_jax.datasets._tiny_imagenet import tiny_imagenet
from rum_jax.datasets.cifar import from_cifar
from rum_jax.datasets.copies import Copies
from rum_jax.datasets.copies import describe_copies
from rum_jax.datasets.copies import exact_copies
from rum_jax.datasets.copies import image_hashes
from rum_jax.datasets.copies import part_copies
from rum_jax.datasets.copies import pixel_ids
from rum_jax.datasets.copies import with_copies
from rum_jax.datasets.errors import DataError
from rum_jax.datasets.folders import decoded_path
from rum_jax.datasets.folders import from_folder
from rum_jax.datasets.loading import KINDS
from rum_jax.datasets.loading import check_informative
from rum_jax.datasets.loading import load
from rum_jax.datasets.row_positions import Description
from rum_jax.datasets.row_positions import describe_rows
from rum_jax.datasets.row_positions import positions
from rum_jax.datasets.row_selection import read_groups
from rum_jax.datasets.row_selection import read_rows
from rum_jax.datasets.sources import Source
from rum_jax.datasets.sources import from_arrays
from rum_jax.datasets.sources import from_npz
from rum_jax.datasets.sources import from_parts
from rum_jax.datasets.sources import joined
from rum_jax.datasets.sources import with_channels
from rum_jax.datasets.sources import with_classes
from rum_jax.datasets.splits import corrupted
from rum_jax.datasets.splits import hold_out
from rum_jax.datasets.splits import leave_out
from rum_jax.datasets.splits import sampled
from rum_jax.datasets.tfds import NAMES as TFDS
from rum_jax.datasets.tfds import from_tfds

__all__ = [
    'Copies', 'DataError', 'Description', 'KINDS', 'Source', 'TFDS',
    'check_informative', 'corrupted', 'decoded_path', 'describe_copies',
    'describe_rows', 'digits', 'exact_copies', 'from_arrays', 'from_cifar',
    'from_folder', 'from_npz', 'from_parts', 'from_tfds', 'hold_out',
    'image_hashes', 'joined', 'leave_out', 'load', 'part_copies', 'parts',
    'pixel_ids', 'positions', 'read_groups', 'read_rows', 'sampled',
    'tiny_imagenet', 'with_channels', 'with_classes', 'with_copies',
]
