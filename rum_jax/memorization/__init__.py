"""Memorization: estimates, their reliability, and cheap proxies."""

from __future__ import annotations

from rum_jax.memorization import comparison, ensemble, influence
from rum_jax.memorization import learning_events, proxies, proxy_observers
from rum_jax.memorization import published, reliability, score_files, shards
from rum_jax.memorization.estimator import add_up
from rum_jax.memorization.estimator import estimate
from rum_jax.memorization.estimator import estimate_probability
from rum_jax.memorization.estimator import from_sums
from rum_jax.memorization.estimator import halves
from rum_jax.memorization.estimator import join
from rum_jax.memorization.estimator import LEVELS
from rum_jax.memorization.estimator import membership
from rum_jax.memorization.estimator import Memorization
from rum_jax.memorization.estimator import out_of_sample
from rum_jax.memorization.estimator import OutOfSample
from rum_jax.memorization.estimator import pack
from rum_jax.memorization.estimator import random_subset
from rum_jax.memorization.estimator import Seen
from rum_jax.memorization.estimator import seen
from rum_jax.memorization.estimator import Sums
from rum_jax.memorization.estimator import tally
from rum_jax.memorization.estimator import unpack

__all__ = [
    'LEVELS', 'Memorization', 'OutOfSample', 'Seen', 'Sums', 'add_up',
    'comparison', 'ensemble', 'estimate', 'estimate_probability', 'from_sums',
    'halves', 'influence', 'join', 'learning_events', 'membership',
    'out_of_sample', 'pack', 'proxies', 'proxy_observers', 'published',
    'random_subset', 'reliability', 'score_files', 'seen', 'shards', 'tally',
    'unpack',
]
