"""How close unlearned models are to retrained ones: metrics and attacks."""

from __future__ import annotations

from rum_jax.evaluation import difficulty, joining, measurements
from rum_jax.evaluation import membership, metrics
from rum_jax.evaluation import reference_checks, results, statistics
from rum_jax.evaluation._signals import Predict
from rum_jax.evaluation._signals import signals
from rum_jax.evaluation.measurements import Behaviour
from rum_jax.evaluation.measurements import behaviour
from rum_jax.evaluation.measurements import compare
from rum_jax.evaluation.measurements import diverged
from rum_jax.evaluation.measurements import finite
from rum_jax.evaluation.measurements import Subsets
from rum_jax.evaluation.membership import balanced
from rum_jax.evaluation.membership import svc_attack
from rum_jax.evaluation.membership import threshold_attack
from rum_jax.evaluation.metrics import accuracy
from rum_jax.evaluation.metrics import grouped_tug_of_war
from rum_jax.evaluation.metrics import tug_of_war
from rum_jax.evaluation.results import assemble
from rum_jax.evaluation.results import best
from rum_jax.evaluation.results import Difference
from rum_jax.evaluation.results import differences
from rum_jax.evaluation.results import Figure
from rum_jax.evaluation.results import FIGURES
from rum_jax.evaluation.results import Group
from rum_jax.evaluation.results import of_oracle
from rum_jax.evaluation.results import Oracle
from rum_jax.evaluation.results import references
from rum_jax.evaluation.results import Results
from rum_jax.evaluation.results import Row
from rum_jax.evaluation.results import row
from rum_jax.evaluation.results import winner
from rum_jax.evaluation.statistics import confidence_interval
from rum_jax.evaluation.statistics import difference
from rum_jax.evaluation.statistics import Interval
from rum_jax.evaluation.statistics import rank_correlation
from rum_jax.evaluation.statistics import smallest
from rum_jax.evaluation.statistics import Summary
from rum_jax.evaluation.statistics import summary
from rum_jax.evaluation.statistics import verdict

__all__ = [
    'Behaviour', 'Difference', 'FIGURES', 'Figure', 'Group', 'Interval',
    'Oracle', 'Predict', 'Results', 'Row', 'Subsets', 'Summary', 'accuracy',
    'assemble', 'balanced', 'behaviour', 'best', 'compare',
    'confidence_interval', 'difference', 'differences', 'difficulty',
    'diverged', 'finite', 'grouped_tug_of_war', 'joining', 'measurements',
    'membership', 'metrics', 'of_oracle', 'rank_correlation',
    'reference_checks', 'references', 'results', 'row', 'signals', 'smallest',
    'statistics', 'summary', 'svc_attack', 'threshold_attack', 'tug_of_war',
    'verdict', 'winner',
]
