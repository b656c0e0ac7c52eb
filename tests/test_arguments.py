"""What no run can start from is refused by name and value."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import arguments
from rum_jax.types import Dataset, Split, Variables

VARIABLES = Variables({}, {})
DATASET = Dataset(np.zeros((4, 1, 1, 1), np.uint8), np.zeros(4, np.int32))
SOME = np.arange(2)
SPLIT = Split(SOME, SOME)


def refused(kind, message, variables=VARIABLES, dataset=DATASET,
            split=SPLIT):
  with pytest.raises(kind) as error:
    arguments.check_run(variables, dataset, split)
  assert str(error.value) == message


def test_what_fits_passes():
  for split in (Split(SOME, SOME + 2), Split(SOME[:0], jnp.arange(4))):
    arguments.check_run(VARIABLES, DATASET, split)


@pytest.mark.parametrize('value, found', [
    (None, 'None'), ({'w': 1}, 'dict(…)'), (3, '3'), (SOME, 'an array of int64 '
                                                      '(2,)')])
def test_types(value, found):
  for name, kind in (('variables', 'Variables'), ('dataset', 'Dataset'),
                     ('split', 'Split')):
    refused(TypeError, f'Expected {name} to be a rum_jax.{kind}, found '
            f'{found}.', **{name: value})


def test_as_many_images_as_labels():
  refused(ValueError, 'Expected as many images as labels, found 4 and 3.',
          dataset=DATASET._replace(label=DATASET.label[:3]))


@pytest.mark.parametrize('name', ['forget', 'retain'])
@pytest.mark.parametrize('rows, kind, what', [
    ([0, 1], TypeError, 'be an array of whole numbers, found list(…)'),
    (SOME / 2, TypeError,
     'be an array of whole numbers, found an array of float64 (2,)'),
    (SOME == 0, TypeError, 'be an array of whole numbers, found an array of '
     'bool (2,); np.flatnonzero turns a mask into rows'),
    (SOME[None], ValueError, 'have one axis, found shape (1, 2)')])
def test_rows(name, rows, kind, what):
  refused(kind, f'Expected rows to {name} to {what}.',
          split=SPLIT._replace(**{name: rows}))


def test_rows_that_are_not_there():
  refused(ValueError, 'Expected rows to retain in [0, 4), found 4.',
          split=Split(SOME, SOME + 4))
  refused(ValueError, 'Expected rows to forget in [0, 4), found -1.',
          split=Split(SOME - 1, SOME))
  jax.jit(lambda rows: arguments.check_run(
      VARIABLES, DATASET, Split(rows, rows)))(SOME + 4)  # Not known: passes.


@pytest.mark.parametrize('tx', [0.1, None, 'sgd', lambda grads: grads])
def test_optimizer(tx):
  with pytest.raises(TypeError, match='Expected tx to be an optax optimiser'):
    arguments.check_optimizer(tx)
