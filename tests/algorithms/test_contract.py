"""Every unlearner keeps the contract, on an MLP and on a batch-norm CNN."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import rum_jax
from rum_jax import algorithms, batch_norm, models, testing
from rum_jax.types import Split

SMALL = {'batch_size': 4}  # Five and eleven examples: the last batch is padded.


def trained(factory, **more):
  """A method that is run in epochs."""
  return lambda model, tx, epochs=2: factory(
      model, tx, epochs=epochs, **SMALL, **more)


def in_stages(*unlearners):
  """RUM whose stages have one and the same split."""
  both = rum_jax.sequential(*unlearners)
  return lambda key, variables, examples, split: both(
      key, variables, examples, (split, split))


TABLE = {
    'bad_teacher': trained(rum_jax.bad_teacher, retain_share=0.5),
    'cf_k': trained(rum_jax.cf_k),
    'eu_k': trained(rum_jax.eu_k),
    'finetune': trained(rum_jax.finetune),
    'identity': lambda model, tx: rum_jax.identity(),
    'influence': lambda model, tx: rum_jax.influence(
        model, num_samples=10, chunk=4, **SMALL),
    'l1_sparse': trained(rum_jax.l1_sparse),
    'neggrad': trained(rum_jax.neggrad),
    'neggrad_plus': trained(rum_jax.neggrad_plus),
    'random_label': trained(rum_jax.random_label),
    'retrain': trained(rum_jax.retrain),
    'salun': trained(rum_jax.salun),
    'scrub': trained(rum_jax.scrub, msteps=1),
    'ssd': lambda model, tx: rum_jax.ssd(model, alpha=1.5, **SMALL),
}
FROM_SCRATCH = ('retrain', 'eu_k')
COMPOSED = {
    'frozen': lambda model, tx: rum_jax.finetune(
        batch_norm.frozen(model), tx, epochs=1, **SMALL),
    'recalibrated': lambda model, tx: batch_norm.recalibrated(
        rum_jax.identity(), model, **SMALL),
    'sequential': lambda model, tx: in_stages(
        rum_jax.identity(), rum_jax.neggrad(model, tx, epochs=1, **SMALL)),
}


@pytest.mark.parametrize('name', TABLE)
def test_unlearner(name):
  testing.check_unlearner(TABLE[name], from_scratch=name in FROM_SCRATCH)


@pytest.mark.parametrize('name', COMPOSED)
def test_what_unlearners_are_composed_to(name):
  testing.check_unlearner(COMPOSED[name])


@pytest.mark.parametrize('name', sorted({*TABLE} - {'identity'}))
def test_rows_that_are_not_there_are_named_or_make_nan(toy, name):
  model = models.from_linen(models.MLP(3, (5,)), (8, 8, 1))
  unlearner = TABLE[name](model, rum_jax.sgd(0.05))
  rows = np.arange(16, dtype=np.int32)
  rows[[2, 9]] = -1, 24  # One to forget, one to retain.
  args = (jax.random.key(0), model.init(jax.random.key(1)), toy,
          Split(rows[:5], rows[5:]))
  with pytest.raises(ValueError, match=r'in \[0, 24\), found (-1|24)'):
    unlearner(*args)
  (params, _), _ = jax.jit(unlearner)(*args)  # Values are not known in time.
  assert any(np.isnan(x).any() for x in jax.tree.leaves(params))


def test_no_unlearner_is_left_out():
  assert sorted(TABLE) == sorted(algorithms.__all__)
