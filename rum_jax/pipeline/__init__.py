"""The stages of a run: training, unlearning, evaluation, and their results."""

from __future__ import annotations

from rum_jax import _lazy

__all__ = [
    'audit_weights', 'builders', 'cards', 'choosing', 'compare_methods',
    'context', 'findings', 'fitting', 'forget_set', 'forgetting',
    'given_networks', 'inputs', 'leftovers', 'memorize_data', 'own_data',
    'packaging', 'programs', 'progress', 'proxies', 'request_runs', 'requests',
    'results', 'retraining', 'runs', 'segments', 'shards', 'subset_models',
    'trained_models', 'unlearn_request', 'unlearning', 'waiting',
]

__getattr__, __dir__ = _lazy.submodules(__name__, __all__)
