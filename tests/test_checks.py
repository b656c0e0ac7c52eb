"""Checks of arguments and their messages."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rum_jax import _checks
from rum_jax.types import Images, Split, Variables

VARIABLES = Variables({}, {})
EXAMPLES = Images(np.zeros((4, 1, 1, 1), np.uint8), np.zeros(4, np.int32))
SOME = np.arange(2)
SPLIT = Split(SOME, SOME + 2)


def refused(kind, message, variables=VARIABLES, examples=EXAMPLES,
            split=SPLIT):
  with pytest.raises(kind) as error:
    _checks.check_run(variables, examples, split)
  assert str(error.value) == message


def test_what_fits_passes():
  for split in (Split(SOME, SOME + 2), Split(SOME[:0], jnp.arange(4))):
    _checks.check_run(VARIABLES, EXAMPLES, split)


@pytest.mark.parametrize('value, found', [
    (None, 'None'), ({'w': 1}, 'dict(…)'), (3, '3'), (dict, 'the class dict'),
    (np.float32(3), 'np.float32(3.0)'), (len, 'the function len'),
    (SOME, 'an array of int64 (2,)')])
def test_types(value, found):
  for name, kind in (('variables', 'Variables'), ('split', 'Split')):
    refused(TypeError, f'Expected {name} to be a rum_jax.{kind}, found '
            f'{found}.', **{name: value})


@pytest.mark.parametrize('value, where, found', [
    (None, '', 'None'), ([0, 1, 0, 1], '[0]', '0'),
    (np.zeros(()), '', 'an array of float64 ()')])
def test_fields_of_examples(value, where, found):
  for name in ('image', 'label'):
    refused(TypeError, f'Expected examples.{name}{where} to be an array with '
            f'an axis of examples, found {found}.',
            examples=EXAMPLES._replace(**{name: value}))


@pytest.mark.parametrize('value, where, found', [
    (None, '', 'None'), ({'w': 1}, "['w']", '1'), (3, '', '3'),
    (dict, '', 'the class dict'), (np.float32(3), '', 'np.float32(3.0)'),
    (len, '', 'the function len')])
def test_examples_are_arrays(value, where, found):
  refused(TypeError, f'Expected examples{where} to be an array with an axis of '
          f'examples, found {found}.', examples=value)
  refused(TypeError, 'Expected examples to hold arrays, found dict(…).',
          examples={})


def test_examples_may_be_any_tree():
  both = {'x': [np.zeros((4, 2)), np.arange(4)]}
  _checks.check_run(VARIABLES, both, SPLIT)


def test_as_many_rows_in_each_array():
  refused(ValueError, 'Expected as many rows in each array of the examples, '
          'found 4 in examples.image, 3 in examples.label.',
          examples=EXAMPLES._replace(label=EXAMPLES.label[:3]))


@pytest.mark.parametrize('name', ['forget', 'retain'])
@pytest.mark.parametrize('rows, empty, found', [
    ([0, 1], '', 'list(…)'), ([], '; for none np.zeros(0, int)', 'list(…)'),
    (np.array([]), '; for none np.zeros(0, int)',
     'an array of float64 (0,)'),
    (SOME / 2, '', 'an array of float64 (2,)'),
    (SOME == 0, '', 'an array of bool (2,)'), (None, '', 'None')])
def test_rows(name, rows, empty, found):
  refused(TypeError, f'Expected rows to {name} to be an array of whole '
          f'numbers, such as np.flatnonzero of a mask{empty}, found {found}.',
          split=SPLIT._replace(**{name: rows}))


def test_shapes_of_rows_and_labels():
  refused(ValueError, 'Expected rows to forget to have one axis, found shape '
          '(1, 2).', split=SPLIT._replace(forget=SOME[None]))
  refused(ValueError, 'Expected examples.label to have one axis, found shape '
          '(4, 3).', examples=EXAMPLES._replace(label=np.eye(4, 3, dtype=int)))
  refused(TypeError, 'Expected examples.label to be an array of whole numbers, '
          'such as class numbers, found an array of float64 (4, 3).',
          examples=EXAMPLES._replace(label=np.eye(4, 3)))


@pytest.mark.parametrize('split', [
    Split(SOME, SOME + 1), Split(SOME[:0], np.array([3, 1, 1])),
    Split(np.array([1, 1]), SOME[:0])])
def test_rows_that_are_there_twice(split):
  refused(ValueError, 'Expected every row once, found row 1 twice.',
          split=split)


def test_rows_that_are_not_there():
  refused(ValueError, 'Expected rows to retain in [0, 4), found 4.',
          split=Split(SOME, SOME + 4))
  refused(ValueError, 'Expected rows to forget in [0, 4), found -1.',
          split=Split(SOME - 1, SOME))
  jax.jit(lambda rows: _checks.check_run(
      VARIABLES, EXAMPLES, Split(rows, rows)))(SOME + 4)  # Not known: passes.


@pytest.mark.parametrize('tx', [0.1, None, 'sgd', optax.sgd])
def test_optimizer(tx):
  with pytest.raises(TypeError, match='Expected tx to be an optax optimiser'):
    _checks.check_optimizer(tx)


@pytest.mark.parametrize('value, bounds, message', [
    (1.3, (0, 1), 'Expected alpha=1.3 in [0, 1].'),
    (-1, (0,), 'Expected alpha=-1 in [0, inf).'),
    (float('nan'), (0, 1), 'Expected alpha=nan in [0, 1].'),
    (float('inf'), (0, 1), 'Expected alpha=inf in [0, 1].'),
    (np.array([0.5, 2.0]), (0, 1), 'Expected alpha=[0.5 2. ] in [0, 1].'),
    ('x', (0, 1), "Expected a number for alpha, found 'x'."),
    (None, (0, 1), 'Expected a number for alpha, found None.'),
    (True, (0, 1), 'Expected a number for alpha, found True.')])
def test_check_range_says_name_value_and_range(value, bounds, message):
  with pytest.raises(ValueError) as error:
    _checks.check_range('alpha', value, *bounds)
  assert str(error.value) == message


def test_check_range_holds_its_ends():
  for value in (0, 0.5, 1, np.float32(1), jnp.array([0.0, 1.0])):
    _checks.check_range('alpha', value, 0, 1)
  with pytest.raises(ValueError) as error:
    _checks.check_range('alpha', 0, 0, 1, open_low=True)
  assert str(error.value) == 'Expected alpha=0 in (0, 1].'


def test_check_range_lets_traced_values_pass():
  def fn(alpha):
    _checks.check_range('alpha', alpha, 0, 1)
    return 2 * alpha

  assert jax.jit(fn)(5.0) == 10


@pytest.mark.parametrize('value, message', [
    (2, 'Expected steps=2 to be at least 3.'),
    (-1, 'Expected steps=-1 to be at least 3.'),
    (3.0, 'Expected a whole number for steps, found 3.0.'),
    (True, 'Expected a whole number for steps, found True.'),
    ('7', "Expected a whole number for steps, found '7'.")])
def test_check_count_says_name_and_value(value, message):
  with pytest.raises(ValueError) as error:
    _checks.check_count('steps', value, 3)
  assert str(error.value) == message


def test_check_count_takes_whole_numbers():
  for value in (3, 4, np.int32(3)):
    _checks.check_count('steps', value, 3)
  _checks.check_count('steps', 0)


def test_check_callable_returns_what_it_is_given():
  assert _checks.check_callable('fn', len) is len
  with pytest.raises(TypeError) as error:
    _checks.check_callable('fn', 3)
  assert str(error.value) == 'Expected fn to be callable, found 3.'
