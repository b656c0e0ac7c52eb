"""Figures of a run, as SVG for a light or dark page.

Figures of the results may be NaN.
"""

from __future__ import annotations

from rum_jax.reporting.figures import evidence
from rum_jax.reporting.figures.choices import sensitivity_of_entanglement
from rum_jax.reporting.figures.closeness import cost
from rum_jax.reporting.figures.closeness import tow_by_group
from rum_jax.reporting.figures.closeness import tow_by_method
from rum_jax.reporting.figures.forget_set import embedding
from rum_jax.reporting.figures.forget_set import examples
from rum_jax.reporting.figures.forget_set import memorization_histogram
from rum_jax.reporting.figures.pairs import influence
from rum_jax.reporting.figures.pairs import memorized
from rum_jax.reporting.figures.pairs import ranked

__all__ = [
    'cost', 'embedding', 'evidence', 'examples', 'influence',
    'memorization_histogram', 'memorized', 'ranked',
    'sensitivity_of_entanglement', 'tow_by_group', 'tow_by_method',
]
