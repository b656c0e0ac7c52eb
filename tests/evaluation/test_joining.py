"""Results of single seeds, joined, are those of all seeds at once."""

from __future__ import annotations

import dataclasses
import pathlib

import pytest

from rum_jax import evaluation, records
from rum_jax.evaluation import joining, Results, Summary

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope='module')
def whole() -> Results:
  return records.read(Results, ROOT / 'results' / 'digits_cnn.json')


def only(value, seeds):
  """A record with some of its seeds: their places."""
  if isinstance(value, Summary):
    return evaluation.summary([value.values[k] for k in seeds])
  if isinstance(value, dict):
    return {key: only(x, seeds) for key, x in value.items()}
  if isinstance(value, tuple):
    return tuple(only(x, seeds) for x in value)
  if not dataclasses.is_dataclass(value):
    return value
  return dataclasses.replace(value, **{
      x.name: only(getattr(value, x.name), seeds)
      for x in dataclasses.fields(value)})


def part(whole: Results, *seeds: int) -> Results:
  return dataclasses.replace(
      only(whole, seeds), seeds=tuple(whole.seeds[k] for k in seeds),
      differences=(), recipe=dataclasses.replace(
          whole.recipe, seeds=len(seeds), rest={
              **whole.recipe.rest, 'first_seed': whole.seeds[seeds[0]]}))


def test_joined_seeds_are_one_run(whole):
  parts = [part(whole, 4, 5, 6, 7), part(whole, 0), part(whole, 1, 2, 3)]
  found = joining.joined(parts)
  assert found.seeds == whole.seeds
  assert found.recipe == whole.recipe
  assert found.groups == whole.groups
  assert found.differences == whole.differences
  for one, other in zip(found.rows, whole.rows, strict=True):
    for name, value in vars(other).items():
      if isinstance(value, Summary) or name == 'groups':
        assert getattr(one, name) == value, name


def test_rows_that_a_part_lacks_are_left_out(whole):
  one, other = part(whole, 0), part(whole, 1)
  other = dataclasses.replace(other, rows=other.rows[:-2])
  found = joining.joined([one, other])
  assert [x.method for x in found.rows] == [x.method for x in whole.rows[:-2]]


@pytest.mark.parametrize('change, words', [
    (lambda x: dataclasses.replace(x, data_hash='0' * 64), 'one data set'),
    (lambda x: dataclasses.replace(x, recipe=dataclasses.replace(
        x.recipe, network='mlp')), 'network=cnn and network=mlp'),
    (lambda x: dataclasses.replace(x, groups={**x.groups, 'low': x.groups[
        'high']}), 'the group low'),
    (lambda x: dataclasses.replace(x, seeds=(0,)), 'none twice')])
def test_parts_that_do_not_belong_together_are_named(whole, change, words):
  with pytest.raises(ValueError, match=words):
    joining.joined([part(whole, 0), change(part(whole, 1))])
  with pytest.raises(ValueError, match='found none'):
    joining.joined([])
