"""Can anybody tell that these examples were ever trained on?

What an unlearned model can show without a retrained one, the record of it, and
the rule that turns it into an answer. Everything works with one model, and with
any task, because it uses losses and scores alone.
"""

from __future__ import annotations

from rum_jax.audits import evidence, measures, observations, verdicts
from rum_jax.audits._beside_held_out import Attack
from rum_jax.audits._beside_held_out import auc_difference
from rum_jax.audits._beside_held_out import beside_held_out
from rum_jax.audits._beside_held_out import class_weights
from rum_jax.audits._intervals import Measured
from rum_jax.audits.evidence import assemble
from rum_jax.audits.evidence import Earlier
from rum_jax.audits.evidence import Evidence
from rum_jax.audits.evidence import File
from rum_jax.audits.evidence import Part
from rum_jax.audits.evidence import Request
from rum_jax.audits.measures import Comparison
from rum_jax.audits.measures import Measures
from rum_jax.audits.observations import batch_norm_check
from rum_jax.audits.observations import has_batch_norm
from rum_jax.audits.observations import Known
from rum_jax.audits.observations import known
from rum_jax.audits.observations import observe
from rum_jax.audits.observations import Observed
from rum_jax.audits.observations import relearning
from rum_jax.audits.verdicts import Check
from rum_jax.audits.verdicts import Margins
from rum_jax.audits.verdicts import Verdict
from rum_jax.audits.verdicts import verdict

__all__ = [
    'Attack', 'Check', 'Comparison', 'Earlier', 'Evidence', 'File', 'Known',
    'Margins', 'Measured', 'Measures', 'Observed', 'Part', 'Request',
    'Verdict', 'assemble', 'auc_difference', 'batch_norm_check',
    'beside_held_out', 'class_weights', 'evidence', 'has_batch_norm', 'known',
    'measures', 'observations', 'observe', 'relearning', 'verdict', 'verdicts',
]
