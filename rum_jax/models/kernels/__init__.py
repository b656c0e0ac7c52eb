"""Convolution, normalization and pooling that are fast on a CPU.

Networks import them from this package, not from its modules.

The reason is a measurement (`results/speed_layers.json`, jax 0.10.2, one core
of an Intel Xeon, forward and backward inside a loop). XLA's own convolutions
take 20.2 to 112.0 times as long as these, its pooling 2.6 to 3.3 times, and its
batch-norm 1.5 to 2.0 times. `python -m experiments.bench.benchmark
--suite=layers` says whether XLA has caught up. Then the kernel can be deleted.
"""

from __future__ import annotations

from rum_jax.models.kernels.activation import gelu
from rum_jax.models.kernels.convolution import patch_convolution
from rum_jax.models.kernels.normalization import moments
from rum_jax.models.kernels.normalization import normalised
from rum_jax.models.kernels.normalization import scaled
from rum_jax.models.kernels.pooling import max_pool
from rum_jax.models.kernels.pooling import mean_pool
from rum_jax.models.kernels.pooling import overlapping_max_pool
from rum_jax.models.kernels.xla import grouped_convolution
from rum_jax.models.kernels.xla import lax_convolution

__all__ = [
    'gelu', 'grouped_convolution', 'lax_convolution', 'max_pool', 'mean_pool',
    'moments', 'normalised', 'overlapping_max_pool', 'patch_convolution',
    'scaled',
]
