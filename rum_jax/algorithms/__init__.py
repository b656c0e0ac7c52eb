"""Every unlearning algorithm: one file, one row of the table, one paper.

What released code does differently stands in `rum_jax.algorithms.released`.
"""

import sys
from typing import Any

from rum_jax.algorithms import released as released
from rum_jax.algorithms._bad_teacher import bad_teacher
from rum_jax.algorithms._cf_k import cf_k
from rum_jax.algorithms._eu_k import eu_k
from rum_jax.algorithms._finetune import finetune
from rum_jax.algorithms._identity import identity
from rum_jax.algorithms._influence import influence
from rum_jax.algorithms._l1_sparse import l1_sparse
from rum_jax.algorithms._neggrad import neggrad
from rum_jax.algorithms._neggrad_plus import neggrad_plus
from rum_jax.algorithms._random_label import random_label
from rum_jax.algorithms._retrain import retrain
from rum_jax.algorithms._salun import salun
from rum_jax.algorithms._scrub import scrub
from rum_jax.algorithms._ssd import ssd

__all__ = [
    'bad_teacher', 'cf_k', 'eu_k', 'finetune', 'identity', 'influence',
    'l1_sparse', 'neggrad', 'neggrad_plus', 'random_label', 'retrain', 'salun',
    'scrub', 'ssd',
]

# Name to what a search fixes and to the limits of what it draws, for each
# algorithm whose file has a SPACE. A space gives the length of a run in epochs
# of training, never in steps; methods without a loop have no length.
SPACES: dict[
    str, tuple[dict[str, Any], dict[str, tuple[float, float, str]]]] = {
    name: module.SPACE for name in __all__
    if hasattr(module := sys.modules[globals()[name].__module__], 'SPACE')}
