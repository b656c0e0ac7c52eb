"""Entanglement of forget and retain set: scores, distances and partitions."""

from __future__ import annotations

from rum_jax.entanglement import distances, measures, partitions, separation
from rum_jax.entanglement import wasserstein
from rum_jax.entanglement.score import centroid_distance
from rum_jax.entanglement.score import double_precision_scores
from rum_jax.entanglement.score import entanglement_score
from rum_jax.entanglement.score import entanglement_scores
from rum_jax.entanglement.score import midpoint_scores
from rum_jax.entanglement.score import principal_plane
from rum_jax.entanglement.separation import centroid_silhouette
from rum_jax.entanglement.separation import median_gamma
from rum_jax.entanglement.separation import silhouette
from rum_jax.entanglement.separation import silhouette_entanglement
from rum_jax.entanglement.separation import squared_mmd
from rum_jax.entanglement.separation import squared_silhouette
from rum_jax.entanglement.separation import SquaredMMD
from rum_jax.entanglement.wasserstein import gaussian_wasserstein
from rum_jax.entanglement.wasserstein import sliced_wasserstein
from rum_jax.entanglement.wasserstein import wasserstein_entanglement

__all__ = [
    'SquaredMMD', 'centroid_distance', 'centroid_silhouette', 'distances',
    'double_precision_scores', 'entanglement_score', 'entanglement_scores',
    'gaussian_wasserstein', 'measures', 'median_gamma', 'midpoint_scores',
    'partitions', 'principal_plane', 'separation', 'silhouette',
    'silhouette_entanglement', 'sliced_wasserstein', 'squared_mmd',
    'squared_silhouette', 'wasserstein', 'wasserstein_entanglement',
]
