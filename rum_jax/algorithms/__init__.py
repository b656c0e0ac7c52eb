"""Every unlearning algorithm: one file, one row of the table, one paper."""

from rum_jax.algorithms.bad_teacher import bad_teacher
from rum_jax.algorithms.cf_k import cf_k
from rum_jax.algorithms.eu_k import eu_k
from rum_jax.algorithms.finetune import finetune
from rum_jax.algorithms.identity import identity
from rum_jax.algorithms.influence import influence
from rum_jax.algorithms.l1_sparse import l1_sparse
from rum_jax.algorithms.neggrad import neggrad
from rum_jax.algorithms.neggrad_plus import neggrad_plus
from rum_jax.algorithms.random_label import random_label
from rum_jax.algorithms.retrain import retrain
from rum_jax.algorithms.salun import salun
from rum_jax.algorithms.scrub import scrub
from rum_jax.algorithms.ssd import ssd

__all__ = [
    'bad_teacher', 'cf_k', 'eu_k', 'finetune', 'identity', 'influence',
    'l1_sparse', 'neggrad', 'neggrad_plus', 'random_label', 'retrain', 'salun',
    'scrub', 'ssd',
]
